import plain
import pytest
import torch

from spikenas import registry
from spikenas.nn import surrogate
from spikenas.nn.neurons.integrate_and_fire import IntegrateAndFire
from spikenas.nn.neurons.lif import LIF
from spikenas.nn.neurons.stmixer_lif import STMixerLIF
from spikenas.testing import NeuronContract

NEURONS = ["if", "lif", "plif", "stmixer_lif"]
THRESHOLDS = [0.5, 1.0, 2.5]


@pytest.mark.parametrize("name", NEURONS)
class TestEveryNeuron(NeuronContract):
    pass


def test_every_registered_neuron_is_under_contract():
    assert plain.shipped("neuron") == NEURONS


def neuron(name, threshold):
    return registry.operator("neuron", name).load()(v_threshold=threshold)


def currents(*shape, seed=0):
    return 0.6 + torch.randn(shape, generator=torch.Generator().manual_seed(seed)).double()


def test_lif_fires_as_worked_out_by_hand():
    # H = v + (x - v) / 2, row by row; * fires
    x = torch.tensor(
        [
            [2.0, 1.0, 1.5],  #  1*     0.5     0.75
            [2.0, 2.0, 1.0],  #  1*     1.25*   0.875
            [1.0, 1.0, 2.0],  #  0.5    0.5     1.4375*
        ]
    )

    spikes = LIF(tau=2.0)(x.unsqueeze(1)).squeeze(1)

    assert spikes.tolist() == [[1, 0, 0], [1, 1, 0], [0, 0, 1]]


def test_integrate_and_fire_keeps_all_and_the_stmixer_lif_keeps_half():
    x = torch.tensor([0.75, 0.25, 0.75, 0.75]).reshape(4, 1, 1)

    kept = IntegrateAndFire()(x).flatten().tolist()  # 0.75, 1*, 0.75, 1.5*
    halved = STMixerLIF()(x).flatten().tolist()  # 0.75, 0.625, 1.0625*, 0.75

    assert kept == [0, 1, 0, 1]
    assert halved == [0, 0, 1, 0]


@pytest.mark.parametrize("name", NEURONS)
@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_a_membrane_at_the_threshold_fires(name, threshold):
    scale = 2.0 if name in ("lif", "plif") else 1.0  # tau = 2 halves the input

    spikes = neuron(name, threshold)(torch.full((1, 1, 1), scale * threshold))

    assert spikes.item() == 1.0


@pytest.mark.parametrize("name", NEURONS)
@pytest.mark.parametrize("threshold", THRESHOLDS)
@pytest.mark.parametrize("num_steps", range(1, 9))
def test_the_backward_by_hand_is_that_of_autograd(name, threshold, num_steps):
    made = neuron(name, threshold)
    x, weights = currents(num_steps, 2, 40), currents(num_steps, 2, 40, seed=1)
    fast, slow = x.clone().requires_grad_(), x.clone().requires_grad_()

    spikes, expected = made(fast), made.definition(slow)
    (spikes * weights).sum().backward()
    (expected * weights).sum().backward()

    assert spikes.equal(expected)
    torch.testing.assert_close(fast.grad, slow.grad, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", NEURONS)
def test_the_gradient_is_the_chain_of_the_surrogate_by_hand(name):
    # T = 2, below the threshold at t = 1: dL/dx_1 = dh_dx (f'(u_1) g_1 + keep_1 dh_dv f'(u_2) g_2)
    made = neuron(name, 1.0)
    x = torch.tensor([0.5, 0.7], dtype=torch.float64).reshape(2, 1, 1).requires_grad_()
    a, leak = {
        "if": (1.0, 1.0),
        "lif": (0.5, 0.5),
        "plif": (0.5, 0.5),
        "stmixer_lif": (1.0, 0.5),
    }[name]
    slope = {"stmixer_lif": surrogate.dspike, "plif": surrogate.atan}.get(name, surrogate.sigmoid)
    h1 = torch.tensor(a * 0.5).double()
    h2 = leak * h1 + a * 0.7
    keep = 1.0 - (h1 * slope(h1 - 1) if name == "stmixer_lif" else 0.0)

    (made(x) * torch.tensor([2.0, 3.0]).double().reshape(2, 1, 1)).sum().backward()

    second = 3 * slope(h2 - 1)
    first = 2 * slope(h1 - 1) + keep * leak * second
    expected = (a * torch.stack([first, second])).reshape(2, 1, 1)
    torch.testing.assert_close(x.grad, expected, rtol=0, atol=1e-12)


def test_surrogates_are_the_slopes_of_the_curves_that_they_stand_for():
    u = torch.linspace(-0.95, 0.95, 41).double()
    step = 1e-6
    curves = {
        surrogate.sigmoid: lambda u: torch.sigmoid(4 * u),
        surrogate.atan: lambda u: torch.atan(torch.pi * u) / torch.pi,
        surrogate.dspike: lambda u: torch.tanh(2.5 * u) / (2 * torch.tanh(torch.tensor(2.5))),
    }

    for slope, curve in curves.items():
        by_differences = (curve(u + step) - curve(u - step)) / (2 * step)
        torch.testing.assert_close(slope(u), by_differences.double(), rtol=0, atol=1e-7)


def test_dspike_ends_one_away_from_the_threshold():
    assert surrogate.dspike(torch.tensor([-1.01, 1.01])).tolist() == [0.0, 0.0]


def test_the_stmixer_lif_is_a_lif_of_twice_the_threshold_on_its_input():
    x = currents(6, 2, 50)

    assert STMixerLIF(v_threshold=1.0)(x).equal(LIF(tau=2.0, v_threshold=0.5)(x))


@pytest.mark.parametrize("tau", [1.0, 1.5, 4.0])
def test_tau_divides_what_the_membrane_takes_in(tau):
    x = torch.full((1, 1, 2), 1.0)
    x[..., 1] = 0.99

    spikes = LIF(tau=tau, v_threshold=1.0 / tau)(x)

    assert spikes.flatten().tolist() == [1.0, 0.0]
