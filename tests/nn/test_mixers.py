import equations
import pytest
import torch

from spikenas.nn.mixers.conv import ConvMixer
from spikenas.nn.mixers.multi_scale import MultiScaleAttention
from spikenas.nn.mixers.qk_channel import QKChannelAttention
from spikenas.nn.mixers.qk_token import QKTokenAttention
from spikenas.nn.mixers.spike_driven import SpikeDrivenAttention
from spikenas.nn.mixers.ssa import SpikingSelfAttention
from spikenas.nn.mixers.stm import SpikingTokenMixing
from spikenas.nn.neurons.lif import LIF
from spikenas.testing import MixerContract

D, HEADS, GRID = 8, 2, (2, 3)
SIZES = {"embed_dim": D, "grid": GRID}
WITH_HEADS = ["multi_scale", "qk_token", "spike_driven", "ssa", "stm"]


@pytest.mark.parametrize("name", ["conv", "none", "qk_channel"])
class TestMixersWithoutHeads(MixerContract):
    pass


@pytest.mark.parametrize("name", WITH_HEADS)
class TestMixersWithHeads(MixerContract):
    genes = {"num_heads": 4}  # noqa: RUF012  (pytest collects the class; nobody writes to it)


def test_every_registered_mixer_is_under_contract():
    assert equations.shipped("mixer") == sorted([*WITH_HEADS, "conv", "none", "qk_channel"])


def lif(threshold=1.0):
    return LIF(v_threshold=threshold)


def tokens(num_steps=3):
    return equations.spikes_like(num_steps, 2, GRID[0] * GRID[1], D)


def projected(x, module, name, neuron):
    return neuron(f"{name}.neuron", equations.linear_norm(x, getattr(module, name)))


@pytest.mark.parametrize("qkv_bias", [True, False])
@pytest.mark.parametrize("scale", [0.125, 0.25])
def test_ssa_is_scaled_counts_of_common_spikes_weighting_the_values(scale, qkv_bias):
    made = SpikingSelfAttention(
        **SIZES, num_heads=HEADS, neuron=lif, scale=scale, qkv_bias=qkv_bias
    )
    module = equations.randomised(made)
    with torch.no_grad():
        for bn in (module.q.norm, module.k.norm, module.v.norm):
            bn.bias.add_(1.5)  # else no token attends

    def step(x, neuron):
        q, k, v = (projected(x, module, name, neuron) for name in "qkv")
        y = torch.zeros_like(v)
        for c in range(D):
            head = slice(c // 4 * 4, c // 4 * 4 + 4)
            for n in range(len(x)):
                y[n, c] = sum(scale * (q[n, head] @ k[m, head]) * v[m, c] for m in range(len(x)))
        spikes = neuron("attention_neuron", y, 0.5)
        return equations.linear_norm(spikes, module.projection)

    equations.assert_as_by_the_equations(module, step, tokens())


def test_qk_token_attention_lets_those_tokens_of_k_go_on_whose_head_of_q_fires():
    module = equations.randomised(QKTokenAttention(**SIZES, num_heads=HEADS, neuron=lif))
    with torch.no_grad():
        module.q.norm.bias.sub_(1.0)  # else every head has a spike

    def step(x, neuron):
        q, k = (projected(x, module, name, neuron) for name in "qk")
        counts = torch.stack([q[:, :4].sum(1), q[:, 4:].sum(1)], 1)
        attn = neuron("attention_neuron", counts, 0.5)
        masked = torch.stack([attn[:, c // 4] * k[:, c] for c in range(D)], 1)
        return equations.linear_norm(masked, module.projection)

    equations.assert_as_by_the_equations(module, step, tokens())


@pytest.mark.parametrize("threshold", [0.5, 2.0])
def test_qk_channel_attention_lets_those_channels_of_k_go_on_whose_q_fires_often(threshold):
    made = QKChannelAttention(**SIZES, neuron=lif, attention_threshold=threshold)
    module = equations.randomised(made)
    with torch.no_grad():
        module.q.norm.bias.sub_(0.5)  # else every channel has a spike

    def step(x, neuron):
        q, k = (projected(x, module, name, neuron) for name in "qk")
        attn = neuron("attention_neuron", sum(q), threshold)
        masked = torch.stack([attn * token for token in k])
        return equations.linear_norm(masked, module.projection)

    equations.assert_as_by_the_equations(module, step, tokens())


@pytest.mark.parametrize("is_elementwise", [False, True])
@pytest.mark.parametrize("scales", [(1, 3), (1, 1), (3,), (5, 1, 3)])
def test_multi_scale_attention_adds_the_counts_of_all_scales(scales, is_elementwise):
    threshold = 0.5 if len(scales) == 1 else 1.0  # one spike alone never charges a LIF to 1
    made = MultiScaleAttention(
        **SIZES,
        num_heads=HEADS,
        neuron=lif,
        scales=scales,
        elementwise=is_elementwise,
        attention_threshold=threshold,
    )
    module = equations.randomised(made)
    with torch.no_grad():
        for scale in module.scales:
            scale.norm.bias.add_(1.0)  # else one scale alone convinces no head

    def step(x, neuron):
        votes = torch.zeros(len(x), D if is_elementwise else HEADS).double()
        for i, scale in enumerate(module.scales):
            currents = equations.batch_norm(
                equations.conv_over_tokens(x, scale.weighted), scale.norm
            )
            spikes = neuron(f"scales.{i}.neuron", currents)
            if is_elementwise and i == len(scales) - 1:
                votes += spikes
                continue
            for c in range(votes.shape[1]):
                head = c // 4 if is_elementwise else c
                votes[:, c] += sum(spikes[:, 4 * head + j] for j in range(4))
        k = projected(x, module, "k", neuron)
        attn = neuron("attention_neuron", votes, threshold)
        masked = [attn[:, c if is_elementwise else c // 4] * k[:, c] for c in range(D)]
        return equations.linear_norm(torch.stack(masked, 1), module.projection)

    equations.assert_as_by_the_equations(module, step, tokens())


def over_map(x):
    """3x3 maxima of tokens [N, D] on their grid."""
    pooled = equations.max_pool(torch.stack([x[:3], x[3:]]).permute(2, 0, 1), stride=1)
    return torch.stack([pooled[:, n // 3, n % 3] for n in range(6)])


def over_planes(x):
    """3x3 maxima of the planes [N, d] of the heads."""
    return torch.cat(
        [equations.max_pool(head.unsqueeze(0), stride=1)[0] for head in x.split(4, 1)], 1
    )


@pytest.mark.parametrize("has_pools", [False, True])
def test_spike_driven_attention_lets_channels_of_q_go_on_where_k_and_v_coincide(has_pools):
    made = SpikeDrivenAttention(**SIZES, num_heads=HEADS, neuron=lif, event_pooling=has_pools)
    module = equations.randomised(made)
    with torch.no_grad():
        for bn in (module.k.norm, module.v.norm):
            bn.bias.sub_(1.5 if has_pools else 0.0)  # else every channel coincides

    def step(x, neuron):
        q, k, v = (projected(x, module, name, neuron) for name in "qkv")
        if has_pools:
            k, v = over_map(k), over_map(v)
        kv = over_planes(k * v) if has_pools else k * v
        gate = neuron("attention_neuron", sum(kv), 0.5)
        masked = torch.stack([gate * token for token in q])
        masked = over_planes(masked) if has_pools else masked
        return equations.linear_norm(masked, module.projection)

    equations.assert_as_by_the_equations(module, step, tokens())


def test_stm_multiplies_each_heads_channels_by_its_own_matrix_over_tokens():
    module = equations.randomised(SpikingTokenMixing(**SIZES, num_heads=HEADS, neuron=lif))
    with torch.no_grad():
        module.mixing.weight.mul_(4.0)  # else no sum reaches the threshold

    def step(x, neuron):
        before = neuron("fc1.neuron", equations.linear_norm(x, module.fc1))
        mixed = [module.mixing.weight[c // 4] @ before[:, c] for c in range(D)]
        after = neuron("neuron", torch.stack(mixed, 1))
        return equations.linear_norm(after, module.fc2)

    equations.assert_as_by_the_equations(module, step, tokens())


def test_the_convolution_sees_the_tokens_as_a_map_in_raster_order():
    module = equations.randomised(ConvMixer(**SIZES, neuron=lif))

    def step(x, neuron):
        image = torch.stack([x[:3], x[3:]]).permute(2, 0, 1)  # [D, 2, 3]
        out = equations.conv_norm(image, module.conv)
        return torch.stack([out[:, n // 3, n % 3] for n in range(6)])

    equations.assert_as_by_the_equations(module, step, tokens())


def test_only_the_attention_neuron_has_another_threshold():
    asked = []

    def noting(threshold=1.0):
        asked.append(threshold)
        return LIF(v_threshold=threshold)

    SpikingSelfAttention(**SIZES, num_heads=HEADS, neuron=noting, attention_threshold=0.75)

    assert asked == [1.0, 1.0, 1.0, 0.75]
