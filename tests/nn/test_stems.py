import plain
import pytest
import torch

from spikenas.nn.neurons.lif import LIF
from spikenas.nn.operations import Conv
from spikenas.nn.stems.conv import ConvStem
from spikenas.nn.stems.conv_side import ConvSideStem
from spikenas.nn.stems.sps import SpikingPatchSplitting
from spikenas.testing import StemContract

D = 8
PATCHES = [1, 2, 4]


NAMES = ["conv", "conv_side", "deformed_shortcut", "i_sps", "sps", "sps_membrane"]


@pytest.mark.parametrize("name", NAMES)
class TestEveryStem(StemContract):
    pass


def test_every_registered_stem_is_under_contract():
    assert plain.shipped("stem") == NAMES


def lif(threshold=1.0):
    return LIF(v_threshold=threshold)


def built(stem, patch_size, residual):
    return plain.randomised(
        stem(in_channels=2, embed_dim=D, patch_size=patch_size, residual=residual, neuron=lif)
    )


def images():
    return plain.pixels(3, 2, 2, 4, 8)


@pytest.mark.parametrize("patch_size", PATCHES)
def test_sps_pools_its_last_stages_and_adds_the_position(patch_size):
    module = built(SpikingPatchSplitting, patch_size, "spike")
    pooled = {1: (), 2: (3,), 4: (2, 3)}[patch_size]

    def step(x, neuron):
        for i in range(4):
            convolution, bn = module.stages[i][:2]
            x = neuron(f"stages.{i}.2", plain.on_map(plain.conv(x, convolution), bn))
            x = plain.max_pool(x) if i in pooled else x
        convolution, bn = module.position[:2]
        return x + neuron("position.2", plain.on_map(plain.conv(x, convolution), bn))

    plain.assert_as_by_the_equations(module, step, images())


@pytest.mark.parametrize("patch_size", PATCHES)
def test_conv_side_puts_the_raw_patches_before_the_convolutions(patch_size):
    module = built(ConvSideStem, patch_size, "membrane")
    strides = {1: (1, 1, 1, 1, 1), 2: (1, 1, 1, 1, 2), 4: (1, 1, 1, 2, 2)}[patch_size]

    def step(image, neuron):
        x = image
        for i, stride in enumerate(strides):
            convolution, bn = module.main[3 * i : 3 * i + 2]
            x = plain.on_map(plain.conv(x, convolution, stride), bn)
            x = neuron(f"main.{3 * i + 2}", x) if i < 4 else x
        patches = plain.conv(image, module.side[0], patch_size, padding=0)
        return torch.cat([plain.on_map(patches, module.side[1]), x])

    plain.assert_as_by_the_equations(module, step, images())


@pytest.mark.parametrize("residual", ["spike", "membrane"])
@pytest.mark.parametrize("patch_size", PATCHES)
def test_the_conv_stem_strides_and_ends_as_the_residual_needs(patch_size, residual):
    module = built(ConvStem, patch_size, residual)
    count, stride = {1: (1, 1), 2: (1, 2), 4: (2, 2)}[patch_size]

    def step(x, neuron):
        for i in range(count):
            convolution, bn = module.layers[3 * i : 3 * i + 2]
            x = plain.on_map(plain.conv(x, convolution, stride), bn)
            if residual == "spike" or i < count - 1:
                x = neuron(f"layers.{3 * i + 2}", x)
        return x

    plain.assert_as_by_the_equations(module, step, images())


@pytest.mark.parametrize(
    ("stem", "expected"),
    [
        (SpikingPatchSplitting, [(2, 4), (4, 8), (8, 16), (16, 32), (32, 32)]),
        (ConvSideStem, [(2, 4), (4, 8), (8, 16), (16, 32), (32, 28), (2, 4)]),
        (ConvStem, [(2, 16), (16, 32)]),
    ],
)
def test_widths_are_those_of_the_papers(stem, expected):
    module = stem(in_channels=2, embed_dim=32, patch_size=4, residual="membrane", neuron=lif)

    widths = [(m.in_channels, m.out_channels) for m in module.modules() if isinstance(m, Conv)]

    assert widths == expected
