import equations
import pytest
import torch

from spikenas import registry
from spikenas.architecture import Architecture, InputSpec, Stage
from spikenas.measurement import trace
from spikenas.nn import surrogate
from spikenas.nn.network import build_network
from spikenas.nn.neurons.integrate_and_fire import IntegrateAndFire
from spikenas.nn.neurons.lif import LIF
from spikenas.nn.neurons.neuron import Neuron
from spikenas.nn.neurons.plif import ParametricLIF
from spikenas.nn.neurons.stmixer_lif import STMixerLIF
from spikenas.testing import NeuronContract
from spikenas.workload import Kind

NEURONS = ["if", "lif", "plif", "stmixer_lif"]
THRESHOLDS = [0.5, 1.0, 2.5]


@pytest.mark.parametrize("name", NEURONS)
class TestEveryNeuron(NeuronContract):
    pass


def test_every_registered_neuron_is_under_contract():
    assert equations.shipped("neuron") == NEURONS


class SquareRoot(Neuron):
    """Has no kernel, and says nothing of itself."""

    def charge(self, x, v):
        return v.sqrt() + x


def test_a_neuron_without_a_kernel_claims_no_leak_but_gives_its_name():
    x = torch.zeros(2, 1, 3)

    facts = SquareRoot(v_threshold=0.5).facts([x], x)

    assert facts.attributes == {"v_threshold": 0.5, "reset": "zero", "neuron": "SquareRoot"}
    assert LIF().facts([x], x).attributes.keys() == {"v_threshold", "leak", "reset", "tau"}


def neuron(name, threshold):
    return registry.component("neuron", name).load()(v_threshold=threshold)


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


def test_plif_fires_as_worked_out_by_hand():
    # tau = 4: H = v + (x - v) / 4, row by row; * fires
    x = torch.tensor(
        [
            [2.0, 5.0, 1.0],  #  0.5       1.25*     0.25
            [2.0, 2.0, 1.0],  #  0.875     0.5       0.4375
            [2.0, 3.0, 3.0],  #  1.15625*  1.125*    1.078125*
        ]
    )

    spikes = ParametricLIF(tau=4.0)(x.unsqueeze(1)).squeeze(1)

    assert spikes.tolist() == [[0, 1, 0], [0, 0, 0], [1, 1, 1]]


@pytest.mark.parametrize("tau", [1.25, 2.0, 5.0])
def test_plif_starts_as_the_lif_of_its_tau(tau):
    x = currents(6, 2, 50)
    learnt = ParametricLIF(tau=tau, surrogate="sigmoid").double()

    assert learnt.leak().item() == pytest.approx(1 / tau, rel=1e-6)
    assert learnt(x).equal(LIF(tau=tau)(x))


def test_plif_refuses_a_tau_that_no_weight_can_give():
    with pytest.raises(ValueError, match="tau must be above 1"):
        ParametricLIF(tau=1.0)


@pytest.mark.parametrize("surrogate_name", surrogate.SURROGATES)
@pytest.mark.parametrize("num_steps", [1, 2, 7])
def test_the_gradient_of_the_learnt_leak_is_that_of_autograd(num_steps, surrogate_name):
    x, weights = currents(num_steps, 3, 40), currents(num_steps, 3, 40, seed=1)
    fast, slow = (ParametricLIF(tau=3.0, surrogate=surrogate_name).double() for _ in range(2))

    (fast(x) * weights).sum().backward()
    (slow.definition(x) * weights).sum().backward()

    assert slow.weight.grad.abs() > 1e-3
    torch.testing.assert_close(fast.weight.grad, slow.weight.grad, rtol=1e-11, atol=1e-11)


def test_the_gradient_of_the_learnt_leak_is_the_slope_of_the_smooth_neuron():
    # The surrogate is the slope of S = atan(pi u) / pi; the spikes of the reset are constants.
    x, weights = currents(5, 2, 40), currents(5, 2, 40, seed=1)
    made = ParametricLIF(tau=3.0).double()
    spikes = made(x)

    def smooth(weight):
        k, v, total = torch.sigmoid(weight), torch.zeros_like(x[0]), 0.0
        for x_t, s_t, w_t in zip(x, spikes.detach(), weights, strict=True):
            h = v + k * (x_t - v)
            total += (w_t * torch.atan(torch.pi * (h - 1.0)) / torch.pi).sum()
            v = h * (1.0 - s_t)
        return total

    (spikes * weights).sum().backward()

    step = 1e-5
    weight = made.weight.detach()
    by_differences = (smooth(weight + step) - smooth(weight - step)) / (2 * step)
    torch.testing.assert_close(made.weight.grad, by_differences, rtol=1e-7, atol=1e-7)


def test_a_trace_counts_each_learnt_leak_once():
    a = Architecture(
        input=InputSpec(channels=1, height=8, width=8),
        num_classes=3,
        num_steps=2,
        neuron="plif",
        tau=4.0,
        residual="spike",
        stem="conv",
        patch_size=2,
        stages=(Stage(embed_dim=8, depth=1, mixer=("ssa",), num_heads=2),),
    )
    network = build_network(a)

    workload = trace(network)

    neurons = [o for o in workload.operations if o.kind is Kind.NEURON]
    assert [o.weights for o in neurons] == [1] * len(neurons)
    assert sum(isinstance(m, ParametricLIF) for m in network.modules()) == len(neurons)
    assert sum(o.weights + o.biases for o in workload.operations) == workload.parameters
    assert {o.attributes["tau"] for o in neurons} == {4.0}
    assert {o.attributes["leak"] for o in neurons} == {0.25}


@pytest.mark.parametrize("name", ["if", "lif", "plif"])
@pytest.mark.parametrize("option", surrogate.SURROGATES)
def test_the_surrogate_is_an_option_that_changes_gradients_alone(name, option):
    made = registry.component("neuron", name).load()(surrogate=option)
    default = neuron(name, 1.0)
    x = currents(1, 1, 20)
    given = x.clone().requires_grad_()

    spikes = made(given)
    spikes.sum().backward()

    h = x * made.dh_dx
    assert spikes.equal(default(x))
    expected = surrogate.SURROGATES[option](h - 1.0) * made.dh_dx
    torch.testing.assert_close(given.grad, expected, rtol=0, atol=1e-7)


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
