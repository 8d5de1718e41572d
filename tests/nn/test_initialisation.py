import pytest
import torch

from spikenas.architecture import Architecture, InputSpec, Stage
from spikenas.nn.downsampling.deformed_shortcut import DeformedShortcutDownsampling
from spikenas.nn.network import build_network
from spikenas.nn.neurons.lif import LIF
from spikenas.nn.operations import BatchNorm, Conv, ConvOverTokens, Linear


def network(mixer, *, residual="spike", stem="conv", head="mean_linear", **genes):
    torch.manual_seed(0)
    stage = Stage(embed_dim=64, depth=1, mixer=(mixer,), num_heads=4, mlp_ratio=4.0, **genes)
    return build_network(
        Architecture(
            input=InputSpec(channels=3, height=16, width=16),
            num_classes=64,
            num_steps=1,
            neuron="lif",
            residual=residual,
            stem=stem,
            patch_size=2,
            stages=(stage,),
            head=head,
        )
    )


def weights_of(module, kind=Linear):
    return {name: leaf for name, leaf in module.named_modules() if isinstance(leaf, kind)}


def assert_uniform(layer):
    """PyTorch's default: uniform within 1 / sqrt(fan-in)."""
    bound = layer.weight[0].numel() ** -0.5
    assert layer.weight.abs().max() <= bound
    assert layer.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.1)


def assert_he_over_fan_out(weight):
    """Normal of sqrt(2 / fan-out)."""
    fan_out = weight.shape[0] * weight[0, 0].numel()
    assert weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.15)


def test_ssa_blocks_start_as_spikformers_cifar_code():
    block = network("ssa").stages

    layers = weights_of(block)
    assert len(layers) == 6  # q, k, v, projection, fc1, fc2
    for layer in layers.values():
        assert layer.weight.std().item() == pytest.approx(0.02, rel=0.1)
        assert not layer.bias.any()


@pytest.mark.parametrize(
    ("mixer", "options"),
    [
        ("qk_token", ()),
        ("qk_channel", ()),
        ("ssa", (("qkv_bias", False),)),
        ("conv", ()),
        ("multi_scale", ()),
    ],
)
def test_blocks_of_released_convolutions_keep_pytorchs_default(mixer, options):
    block = network(mixer, options=options).stages

    for layer in weights_of(block, Linear | ConvOverTokens).values():
        assert_uniform(layer)


def assert_normal(layer):
    """Normal of 0.02, bias 0."""
    assert layer.weight.std().item() == pytest.approx(0.02, rel=0.15)
    assert layer.weight.abs().max() > 2 * 0.02  # truncated at 2, not at two deviations
    assert layer.bias is None or not layer.bias.any()


def test_spike_driven_blocks_start_from_a_normal_of_a_fiftieth():
    block = network("spike_driven", residual="membrane").stages

    layers = weights_of(block)
    assert len(layers) == 6  # q, k, v, projection, fc1, fc2
    assert [layer.bias is not None for layer in layers.values()] == [False] * 3 + [True] * 3
    for layer in layers.values():
        assert_normal(layer)


@pytest.mark.parametrize("stem", ["sps_membrane", "i_sps"])
def test_the_stem_of_a_membrane_starts_from_a_normal_of_a_fiftieth(stem):
    made = network("spike_driven", residual="membrane", stem=stem).stem

    layers = weights_of(made, Conv)
    assert len(layers) == 5
    for layer in layers.values():
        assert_normal(layer)
    for bn in weights_of(made, BatchNorm).values():
        assert bn.weight.eq(1).all()
        assert bn.bias.eq(0).all()


def test_the_deformed_shortcuts_and_the_stem_of_counts_keep_pytorchs_default():
    embeddings = [network("qk_token", stem=stem).stem for stem in ("deformed_shortcut", "i_sps")]
    embeddings.append(
        DeformedShortcutDownsampling(in_channels=32, embed_dim=64, residual="spike", neuron=LIF)
    )

    for embedding in embeddings:
        for layer in weights_of(embedding, Conv).values():
            assert_uniform(layer)


def test_stm_blocks_start_he_normal_over_the_fan_out():
    block = network("stm", residual="membrane").stages

    for layer in weights_of(block).values():
        assert_he_over_fan_out(layer.weight)
    mixing = next(m for m in block.modules() if hasattr(m, "num_heads"))
    for matrix in mixing.weight:
        assert_he_over_fan_out(matrix)


def test_conv_side_starts_he_normal_and_other_stems_as_pytorch():
    side = weights_of(network("stm", residual="membrane", stem="conv_side").stem, Conv)
    plain = weights_of(network("conv").stem, Conv)

    for layer in side.values():
        assert_he_over_fan_out(layer.weight)
    for layer in plain.values():
        assert_uniform(layer)


def test_the_head_starts_small_but_for_membranes():
    small, default = (network("conv", residual=r).head for r in ("spike", "membrane"))

    assert small.classifier.weight.std().item() == pytest.approx(0.02, rel=0.1)
    assert not small.classifier.bias.any()
    assert_uniform(default.classifier)


def test_the_head_with_a_neuron_starts_as_pytorch():
    for residual in ("spike", "membrane"):
        assert_uniform(network("conv", residual=residual, head="neuron_linear").head.classifier)


@pytest.mark.parametrize(
    ("mixer", "has_bias"),
    [("ssa", True), ("qk_token", True), ("spike_driven", True), ("stm", False)],
)
def test_an_mlp_has_biases_where_its_paper_has(mixer, has_bias):
    block = network(mixer).stages

    layers = [leaf for name, leaf in weights_of(block).items() if "fc" in name]
    mlp = [leaf for leaf in layers if leaf.weight.numel() == 64 * 256]
    assert [leaf.bias is not None for leaf in mlp] == [has_bias] * 2


def test_equal_seeds_draw_equal_weights():
    first, second = (network("ssa").state_dict() for _ in range(2))

    assert all(first[name].equal(second[name]) for name in first)
