import equations
import pytest

from spikenas import registry
from spikenas.nn.downsampling.deformed_shortcut import DeformedShortcutDownsampling
from spikenas.nn.neurons.lif import LIF
from spikenas.testing import DownsamplingContract

NAMES = ["deformed_shortcut", "max_pool", "strided_conv", "sum_pool"]
PLAIN = ["max_pool", "strided_conv", "sum_pool"]


@pytest.mark.parametrize("name", NAMES)
class TestEveryDownsampling(DownsamplingContract):
    pass


def test_every_registered_downsampling_is_under_contract():
    assert equations.shipped("downsampling") == NAMES


def lif(threshold=1.0):
    return LIF(v_threshold=threshold)


def sum_pool(x):
    return x[:, ::2, ::2] + x[:, 1::2, ::2] + x[:, ::2, 1::2] + x[:, 1::2, 1::2]


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("residual", ["spike", "membrane", "none"])
def test_the_neuron_stands_before_the_convolution_only_in_a_membrane_stream(name, residual):
    kind = registry.component("downsampling", name).load()
    module = equations.randomised(kind(in_channels=4, embed_dim=6, residual=residual, neuron=lif))
    stride = 2 if name == "strided_conv" else 1
    pool = {"max_pool": equations.max_pool, "sum_pool": sum_pool}.get(name, lambda x: x)
    is_membrane = residual == "membrane"
    x = equations.pixels(3, 2, 4, 4, 6) if is_membrane else equations.spikes_like(3, 2, 4, 4, 6)

    def step(image, neuron):
        if is_membrane:
            return pool(equations.conv_norm(neuron("layers.0", image), module.layers[1], stride))
        return pool(neuron("layers.0.neuron", equations.conv_norm(image, module.layers[0], stride)))

    equations.assert_as_by_the_equations(module, step, x)


@pytest.mark.parametrize("is_early", [False, True])
@pytest.mark.parametrize("size", [(4, 6), (5, 3)])
def test_the_deformed_shortcut_adds_a_strided_path_of_its_own_neuron(is_early, size):
    made = DeformedShortcutDownsampling(
        in_channels=4, embed_dim=6, residual="spike", neuron=lif, early_pool=is_early
    )
    module = equations.randomised(made)
    places = (
        ("branch.0.2", "branch.1.0.neuron") if is_early else ("branch.0.0.neuron", "branch.1.2")
    )

    def step(image, neuron):
        x = equations.conv_norm(image, module.branch[0][0])
        x = neuron(places[0], equations.max_pool(x) if is_early else x)
        x = equations.conv_norm(x, module.branch[1][0])
        x = neuron(places[1], x if is_early else equations.max_pool(x))
        side = equations.conv_norm(image, module.shortcut, 2, padding=0)
        return x + neuron("shortcut.neuron", side)

    equations.assert_as_by_the_equations(module, step, equations.spikes_like(3, 2, 4, *size))


@pytest.mark.parametrize("name", ["deformed_shortcut", "max_pool", "strided_conv"])
def test_odd_maps_are_halved_upwards(name):
    kind = registry.component("downsampling", name).load()
    module = kind(in_channels=4, embed_dim=6, residual="spike", neuron=lif)

    assert module(equations.pixels(1, 1, 4, 5, 3).float()).shape == (1, 1, 6, 3, 2)
