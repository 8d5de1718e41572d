import equations
import pytest
import torch

from spikenas.nn.neurons.lif import LIF
from spikenas.nn.operations import Conv
from spikenas.nn.stems.conv import ConvStem
from spikenas.nn.stems.conv_side import ConvSideStem
from spikenas.nn.stems.deformed_shortcut import DeformedShortcutStem
from spikenas.nn.stems.i_sps import IntegratedPatchSplitting
from spikenas.nn.stems.sps import SpikingPatchSplitting
from spikenas.nn.stems.sps_membrane import MembranePatchSplitting
from spikenas.testing import StemContract

D = 16
PATCHES = [1, 2, 4, 8, 16]
NAMES = ["conv", "conv_side", "deformed_shortcut", "i_sps", "sps", "sps_membrane"]


@pytest.mark.parametrize("name", NAMES)
class TestEveryStem(StemContract):
    pass


def test_every_registered_stem_is_under_contract():
    assert equations.shipped("stem") == NAMES


def lif(threshold=1.0):
    return LIF(v_threshold=threshold)


def built(stem, patch_size, residual):
    return equations.randomised(
        stem(in_channels=2, embed_dim=D, patch_size=patch_size, residual=residual, neuron=lif)
    )


def images(patch_size):
    return equations.pixels(3, 2, 2, max(4, patch_size), max(8, patch_size))


def sps(module, patch_size, place=""):
    """Return one step of the stem."""
    first_pooled = {1: 4, 2: 3, 4: 2, 8: 1, 16: 0}[patch_size]

    def step(x, neuron):
        for i in range(4):
            x = neuron(f"{place}stages.{i}.0.neuron", equations.conv_norm(x, module.stages[i][0]))
            x = equations.max_pool(x) if i >= first_pooled else x
        return x + neuron(f"{place}position.neuron", equations.conv_norm(x, module.position))

    return step


def sps_membrane(module, patch_size, place=""):
    """The same with the fourth neuron behind its pool and sum."""
    first_pooled = {1: 4, 2: 3, 4: 2, 8: 1, 16: 0}[patch_size]

    def step(x, neuron):
        for i in range(4):
            x = equations.conv_norm(x, module.stages[i][0])
            x = neuron(f"{place}stages.{i}.0.neuron", x) if i < 3 else x
            x = equations.max_pool(x) if i >= first_pooled else x
        spikes = neuron(f"{place}position_neuron", x)
        return x + equations.conv_norm(spikes, module.position)

    return step


@pytest.mark.parametrize("patch_size", PATCHES)
def test_sps_pools_its_last_stages_and_adds_the_position(patch_size):
    module = built(SpikingPatchSplitting, patch_size, "spike")

    equations.assert_as_by_the_equations(module, sps(module, patch_size), images(patch_size))


@pytest.mark.parametrize("patch_size", PATCHES)
def test_sps_membrane_ends_in_a_membrane_and_its_position(patch_size):
    module = built(MembranePatchSplitting, patch_size, "membrane")

    equations.assert_as_by_the_equations(
        module, sps_membrane(module, patch_size), images(patch_size)
    )


@pytest.mark.parametrize("residual", ["spike", "membrane"])
@pytest.mark.parametrize("patch_size", PATCHES)
def test_i_sps_shows_what_its_host_makes_of_the_first_step_at_every_step(patch_size, residual):
    module = built(IntegratedPatchSplitting, patch_size, residual)
    host = sps_membrane if residual == "membrane" else sps
    x = images(patch_size)

    output, spikes = equations.seen(module, x)
    expected, expected_spikes = equations.run(host(module.host, patch_size, "host."), x[:1])

    assert spikes.keys() == expected_spikes.keys()
    for name, found in spikes.items():
        assert found.equal(expected_spikes[name]), name
    torch.testing.assert_close(output, expected.expand_as(output), rtol=0, atol=1e-10)
    assert output.shape[0] == x.shape[0]


# Of each layer: whether it pools; the layers of the trunk, then of the branch.
DEFORMED = {
    1: ((False,), (False,)),
    2: ((False,), (True,)),
    4: ((True,), (True, False)),
    8: ((False, True), (True, True)),
}


@pytest.mark.parametrize("patch_size", DEFORMED)
def test_the_deformed_shortcut_leaves_the_trunk_beside_the_branch(patch_size):
    module = built(DeformedShortcutStem, patch_size, "spike")
    trunk, branch = DEFORMED[patch_size]

    def layers(x, place, plan, neuron):
        for i, has_pool in enumerate(plan):
            made = getattr(module, place)[i]
            x = equations.conv_norm(x, made[0])
            x = equations.max_pool(x) if has_pool else x
            x = neuron(f"{place}.{i}.{'2' if has_pool else '0.neuron'}", x)
        return x

    def step(image, neuron):
        f = layers(image, "trunk", trunk, neuron)
        side = equations.conv_norm(f, module.shortcut, 2 ** sum(branch), padding=0)
        side = neuron("shortcut.neuron", side)
        return layers(f, "branch", branch, neuron) + side

    equations.assert_as_by_the_equations(module, step, images(patch_size))


@pytest.mark.parametrize("patch_size", PATCHES)
def test_conv_side_puts_the_raw_patches_before_the_convolutions(patch_size):
    module = built(ConvSideStem, patch_size, "membrane")
    strides = [1] * 5
    for i in range({1: 0, 2: 1, 4: 2, 8: 3, 16: 4}[patch_size]):
        strides[4 - i] = 2

    def step(image, neuron):
        x = image
        for i, stride in enumerate(strides):
            x = equations.conv_norm(x, module.main[i], stride)
            x = neuron(f"main.{i}.neuron", x) if i < 4 else x
        return torch.cat([equations.conv_norm(image, module.side, patch_size, padding=0), x])

    equations.assert_as_by_the_equations(module, step, images(patch_size))


@pytest.mark.parametrize("residual", ["spike", "membrane"])
@pytest.mark.parametrize("patch_size", PATCHES)
def test_the_conv_stem_strides_and_ends_as_the_residual_needs(patch_size, residual):
    module = built(ConvStem, patch_size, residual)
    count, stride = {1: (1, 1), 2: (1, 2), 4: (2, 2), 8: (3, 2), 16: (4, 2)}[patch_size]

    def step(x, neuron):
        for i in range(count):
            x = equations.conv_norm(x, module.layers[i], stride)
            if residual == "spike" or i < count - 1:
                x = neuron(f"layers.{i}.neuron", x)
        return x

    equations.assert_as_by_the_equations(module, step, images(patch_size))


@pytest.mark.parametrize(
    ("stem", "expected"),
    [
        (SpikingPatchSplitting, [(2, 4), (4, 8), (8, 16), (16, 32), (32, 32)]),
        (ConvSideStem, [(2, 4), (4, 8), (8, 16), (16, 32), (32, 28), (2, 4)]),
        (ConvStem, [(2, 16), (16, 32)]),
        (DeformedShortcutStem, [(2, 16), (16, 32), (32, 32), (16, 32)]),
        (IntegratedPatchSplitting, [(2, 4), (4, 8), (8, 16), (16, 32), (32, 32)]),
        (MembranePatchSplitting, [(2, 4), (4, 8), (8, 16), (16, 32), (32, 32)]),
    ],
)
def test_widths_are_those_of_the_papers(stem, expected):
    module = stem(in_channels=2, embed_dim=32, patch_size=4, residual="membrane", neuron=lif)

    widths = [(m.in_channels, m.out_channels) for m in module.modules() if isinstance(m, Conv)]

    assert widths == expected
