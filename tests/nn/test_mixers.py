import plain
import pytest
import torch

from spikenas.nn.mixers.conv import ConvMixer
from spikenas.nn.mixers.qk_token import QKTokenAttention
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
    assert plain.shipped("mixer") == sorted([*WITH_HEADS, "conv", "none", "qk_channel"])


def lif(threshold=1.0):
    return LIF(v_threshold=threshold)


def tokens(num_steps=3):
    return plain.spikes_like(num_steps, 2, GRID[0] * GRID[1], D)


def projected(x, module, name, neuron):
    currents = plain.linear(x, getattr(module, name))
    return neuron(f"{name}_neuron", plain.batch_norm(currents, getattr(module, f"{name}_bn")))


@pytest.mark.parametrize("qkv_bias", [True, False])
@pytest.mark.parametrize("scale", [0.125, 0.25])
def test_ssa_is_scaled_counts_of_common_spikes_weighting_the_values(scale, qkv_bias):
    made = SpikingSelfAttention(
        **SIZES, num_heads=HEADS, neuron=lif, scale=scale, qkv_bias=qkv_bias
    )
    module = plain.randomised(made)
    with torch.no_grad():
        for bn in (module.q_bn, module.k_bn, module.v_bn):
            bn.bias.add_(1.5)  # else no token attends

    def step(x, neuron):
        q, k, v = (projected(x, module, name, neuron) for name in "qkv")
        y = torch.zeros_like(v)
        for c in range(D):
            head = slice(c // 4 * 4, c // 4 * 4 + 4)
            for n in range(len(x)):
                y[n, c] = sum(scale * (q[n, head] @ k[m, head]) * v[m, c] for m in range(len(x)))
        spikes = neuron("attention_neuron", y, 0.5)
        return plain.batch_norm(plain.linear(spikes, module.projection), module.projection_bn)

    plain.assert_as_by_the_equations(module, step, tokens())


def test_qk_token_attention_lets_those_tokens_of_k_go_on_whose_head_of_q_fires():
    module = plain.randomised(QKTokenAttention(**SIZES, num_heads=HEADS, neuron=lif))
    with torch.no_grad():
        module.q_bn.bias.sub_(1.0)  # else every head has a spike

    def step(x, neuron):
        q, k = (projected(x, module, name, neuron) for name in "qk")
        counts = torch.stack([q[:, :4].sum(1), q[:, 4:].sum(1)], 1)
        attn = neuron("attention_neuron", counts, 0.5)
        masked = torch.stack([attn[:, c // 4] * k[:, c] for c in range(D)], 1)
        return plain.batch_norm(plain.linear(masked, module.projection), module.projection_bn)

    plain.assert_as_by_the_equations(module, step, tokens())


def test_stm_multiplies_each_heads_channels_by_its_own_matrix_over_tokens():
    module = plain.randomised(SpikingTokenMixing(**SIZES, num_heads=HEADS, neuron=lif))
    with torch.no_grad():
        module.mixing.weight.mul_(4.0)  # else no sum reaches the threshold

    def step(x, neuron):
        before = neuron("before", plain.batch_norm(plain.linear(x, module.fc1), module.bn1))
        mixed = [module.mixing.weight[c // 4] @ before[:, c] for c in range(D)]
        after = neuron("after", torch.stack(mixed, 1))
        return plain.batch_norm(plain.linear(after, module.fc2), module.bn2)

    plain.assert_as_by_the_equations(module, step, tokens())


def test_the_convolution_sees_the_tokens_as_a_map_in_raster_order():
    module = plain.randomised(ConvMixer(**SIZES, neuron=lif))

    def step(x, neuron):
        image = torch.stack([x[:3], x[3:]]).permute(2, 0, 1)  # [D, 2, 3]
        out = plain.on_map(plain.conv(image, module.conv), module.bn)
        return torch.stack([out[:, n // 3, n % 3] for n in range(6)])

    plain.assert_as_by_the_equations(module, step, tokens())


def test_only_the_attention_neuron_has_another_threshold():
    asked = []

    def noting(threshold=1.0):
        asked.append(threshold)
        return LIF(v_threshold=threshold)

    SpikingSelfAttention(**SIZES, num_heads=HEADS, neuron=noting, attention_threshold=0.75)

    assert asked == [1.0, 1.0, 1.0, 0.75]
