"""The C kernel against the definition, and what happens where it cannot be built."""

import shutil
from dataclasses import astuple
from pathlib import Path

import pytest
import torch

from spikenas.nn.kernels import attended, backend_of, count_non_zero, counts, meetings, weighed
from spikenas.nn.kernels import cpu as kernels
from spikenas.nn.kernels.cpu import CPUKernel, cpu_kernel
from spikenas.nn.neurons.integrate_and_fire import IntegrateAndFire
from spikenas.nn.neurons.lif import LIF
from spikenas.nn.neurons.plif import ParametricLIF
from spikenas.nn.neurons.stmixer_lif import STMixerLIF
from spikenas.nn.operations import BatchNorm, Conv

SOURCE = Path(kernels.__file__).with_name("multi_step.c")
NEURONS = {
    "lif": lambda slope, reset: LIF(tau=1.7, v_threshold=0.5, surrogate=slope, reset=reset),
    "if": lambda slope, reset: IntegrateAndFire(surrogate=slope, reset=reset),
    "stmixer_lif": lambda *_: STMixerLIF(v_threshold=0.75),
    "plif": lambda slope, reset: ParametricLIF(tau=3.0, surrogate=slope, reset=reset),
}
needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("gcc", "cc", "clang"))), reason="no C compiler here"
)


@pytest.fixture
def no_kernel_yet():
    cpu_kernel.cache_clear()
    yield
    cpu_kernel.cache_clear()


def currents(*shape, seed=0):
    return 0.6 + torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def gradients(neuron, run, x, weights):
    """Return spikes, the gradient of the currents and that of a learnt leak."""
    x = x.clone().requires_grad_()
    neuron.zero_grad()
    spikes = run(x)
    (spikes * weights).sum().backward()
    leak = [p.grad.clone() for p in neuron.parameters()]
    return spikes.detach(), x.grad, leak


@pytest.fixture(params=["kernel", "portable"])
def backend(request, monkeypatch):
    if request.param == "portable":
        monkeypatch.setattr(CPUKernel, "takes", staticmethod(lambda *_: False))
    elif cpu_kernel() is None:
        pytest.skip("no C compiler here")


@pytest.mark.parametrize("reset", ["subtract", "zero"])
@pytest.mark.parametrize("slope", ["atan", "dspike", "sigmoid"])
@pytest.mark.parametrize("name", NEURONS)
def test_a_backend_fires_and_learns_as_the_definition(name, slope, reset, backend):
    neuron = NEURONS[name](slope, reset)
    for T in (1, 2, 3, 4, 7, 16, 64):
        for shape in ((1,), (2, 3, 37), (4, 16, 33)):
            x, weights = currents(T, *shape), currents(T, *shape, seed=1)

            found = gradients(neuron, neuron, x, weights)
            expected = gradients(neuron, neuron.definition, x, weights)

            assert found[0].equal(expected[0])
            torch.testing.assert_close(found[1], expected[1], rtol=1e-4, atol=2e-6)
            torch.testing.assert_close(found[2], expected[2], rtol=1e-4, atol=1e-4)


def behind_norm(shape, *, is_training, dtype):
    """Return a batch norm with learnt numbers, and currents of which it knows the statistics."""
    norm = BatchNorm(shape[2] if len(shape) == 5 else shape[-1]).to(dtype).train(is_training)
    generator = torch.Generator().manual_seed(3)
    for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
        drawn = torch.rand(tensor.shape, generator=generator, dtype=torch.float64)
        tensor.data.copy_(0.5 + drawn)
    return norm, (3.0 * currents(*shape, seed=4) + 1.0).to(dtype)


def fired(neuron, norm, x, num_steps=None):
    """Run a batch norm and a neuron at once."""
    num_steps = num_steps or len(x)
    return neuron.fire(x, num_steps, norm.of(x, num_steps, None))


@pytest.mark.parametrize("is_training", [True, False])
@pytest.mark.parametrize("is_held", [True, False])
@pytest.mark.parametrize(
    "shape", [(4, 3, 7, 5, 6), (4, 2, 9, 16), (3, 2, 3, 1100), (2, 5, 1), (16, 5, 40)]
)
@pytest.mark.parametrize("name", NEURONS)
def test_a_neuron_does_the_batch_norm_before_it(name, shape, is_held, is_training, backend):
    # In float64 on the portable way as PyTorch's own batch norm and the definition; in float32 by
    # the same equations, with as many flips as rounding may give.
    neuron = NEURONS[name]("sigmoid", "zero")
    for dtype, tolerance in ((torch.float64, 1e-9), (torch.float32, 2e-4)):
        neuron.to(dtype)
        fused, x = behind_norm(shape, is_training=is_training, dtype=dtype)
        plain, _ = behind_norm(shape, is_training=is_training, dtype=dtype)
        once = x[:1].clone().requires_grad_() if is_held else x.clone().requires_grad_()
        other = once.detach().clone().requires_grad_()
        weights = currents(*shape, seed=5).to(dtype)

        spikes = fired(neuron, fused, once, shape[0])
        (spikes * weights).sum().backward()
        leak = [p.grad.clone() for p in neuron.parameters()]
        neuron.zero_grad()
        expected = neuron.definition(plain(other.expand(shape)))
        (expected * weights).sum().backward()

        assert (spikes != expected).sum() == 0
        close = {"rtol": tolerance, "atol": tolerance * weights.numel() ** 0.5}
        torch.testing.assert_close(once.grad, other.grad, **close)
        for mine, theirs in zip(fused.parameters(), plain.parameters(), strict=True):
            torch.testing.assert_close(mine.grad, theirs.grad, **close)
        for mine, theirs in zip(leak, neuron.parameters(), strict=True):
            torch.testing.assert_close(mine, theirs.grad, **close)
        neuron.zero_grad()
        torch.testing.assert_close(fused.running_mean, plain.running_mean, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(fused.running_var, plain.running_var, rtol=1e-5, atol=1e-6)


def test_a_backend_has_the_slope_of_the_smooth_neuron_behind_batch_norm(backend):
    # One step has no reset, so the loss through S = atan(pi u) / pi + 1 / 2 can be differentiated.
    shape, step = (1, 40, 6), 1e-6
    neuron, weights = LIF(surrogate="atan"), currents(1, 40, 6, seed=2).double()
    norm, x = behind_norm(shape, is_training=True, dtype=torch.float64)
    x = x.requires_grad_()

    def smooth(x):
        u = neuron.charge(norm(x)[0], torch.zeros(shape[1:]).double()) - neuron.v_threshold
        return ((torch.atan(torch.pi * u) / torch.pi) * weights).sum()

    (fired(neuron, norm, x) * weights).sum().backward()
    for place in ((0, 0, 0), (0, 7, 3), (0, 39, 5)):
        moved = torch.zeros(shape).double()
        moved[place] = step
        slope = (smooth(x.detach() + moved) - smooth(x.detach() - moved)) / (2 * step)
        assert x.grad[place].item() == pytest.approx(slope.item(), rel=1e-5)


def test_spikes_are_counted_on_the_way(backend):
    neuron = LIF()
    norm, x = behind_norm((4, 3, 9, 17), is_training=True, dtype=torch.float32)
    spikes = fired(neuron, norm, x)

    expected = int(spikes.sum()) if backend_of(x).__class__ is CPUKernel else None
    assert neuron.spike_count == expected


def test_sums_do_not_depend_on_the_number_of_threads():
    found = []
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            norm, x = behind_norm((4, 8, 31, 24), is_training=True, dtype=torch.float32)
            x = x.requires_grad_()
            (fired(LIF(), norm, x) * currents(*x.shape, seed=6)).sum().backward()
            found.append((x.grad, norm.weight.grad, norm.running_mean, norm.running_var))
    finally:
        torch.set_num_threads(before)

    for other in found[1:]:
        assert all(a.equal(b) for a, b in zip(found[0], other, strict=True))


def test_a_second_derivative_is_refused(backend):
    norm, x = behind_norm((3, 2, 9, 5), is_training=True, dtype=torch.float32)
    x = x.requires_grad_()
    spikes = fired(LIF(), norm, x)
    (grad,) = torch.autograd.grad(spikes.sum(), x, create_graph=True)

    with pytest.raises(RuntimeError, match="first derivatives only"):
        grad.square().sum().backward()


@pytest.mark.parametrize("name", ["weight", "bias"])
def test_a_norm_that_changes_before_backward_is_noticed(name, backend):
    norm, x = behind_norm((3, 2, 9, 5), is_training=True, dtype=torch.float32)
    spikes = fired(LIF(), norm, x.requires_grad_())
    getattr(norm, name).data.add_(1.0)
    with torch.no_grad():
        getattr(norm, name).add_(1.0)

    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        spikes.sum().backward()


def test_statistics_that_move_on_before_backward_do_no_harm(backend):
    norm, x = behind_norm((3, 2, 9, 5), is_training=False, dtype=torch.float32)
    found = []
    for moves in (False, True):
        one = x.clone().requires_grad_()
        spikes = fired(LIF(), norm, one)
        if moves:
            norm.running_mean.add_(1.0)
        spikes.sum().backward()
        found.append(one.grad)

    assert found[0].equal(found[1])


def test_half_precision_is_normalised_by_pytorch():
    # Sums of so many rows overflow half precision.
    norm = BatchNorm(4).half()
    x = currents(4, 16, 4096, 4).half()
    norm(x)

    assert norm.of(x, 4, None) is None
    assert norm.running_var.isfinite().all()


def test_the_kernel_is_checked_whatever_the_default_type_and_device_are(no_kernel_yet):
    if cpu_kernel() is None:
        pytest.skip("no C compiler here")
    cpu_kernel.cache_clear()
    before = torch.get_default_dtype()
    try:
        torch.set_default_dtype(torch.float64)
        with torch.device("meta"):
            assert cpu_kernel() is not None
    finally:
        torch.set_default_dtype(before)


@pytest.mark.parametrize("name", NEURONS)
def test_the_custom_op_is_whole_and_compiles(name):
    neuron = NEURONS[name]("sigmoid", "subtract")
    dynamics = astuple(neuron.dynamics())
    leak = None if neuron.leak() is None else neuron.leak().detach().requires_grad_()
    x = currents(4, 3, 5).requires_grad_()
    learnt = [currents(5, seed=seed).requires_grad_() for seed in (1, 2)]
    known = [currents(5, seed=3), currents(5, seed=4).abs()]
    once = currents(1, 3, 5).requires_grad_()

    torch.library.opcheck(
        torch.ops.spikenas.multi_step.default, (x, leak, *(None,) * 4, False, 4, *dynamics)
    )
    torch.library.opcheck(
        torch.ops.spikenas.multi_step.default, (once, leak, *learnt, *known, True, 4, *dynamics)
    )

    module = torch.nn.Sequential(Conv(3, 5), BatchNorm(5), neuron)
    compiled = torch.compile(module, backend="aot_eager", fullgraph=True)
    images = currents(4, 2, 3, 6, 6)
    assert compiled(images).equal(module(images))


def test_the_custom_op_stays_whole_in_an_exported_graph():
    class Direct(torch.nn.Module):
        def forward(self, x):
            return torch.ops.spikenas.multi_step(
                x, *(None,) * 5, False, 4, *astuple(LIF().dynamics())
            )[0]

    x = currents(4, 3, 5)
    program = torch.export.export(Direct(), (x,))

    assert "spikenas.multi_step" in str(program.graph)
    assert program.module()(x).equal(LIF()(x))


@pytest.mark.parametrize(
    "x",
    [torch.zeros(0, 3, 4), torch.tensor(1.0), torch.ones(2, 3, dtype=torch.int64)],
    ids=["no step", "no axis", "whole numbers"],
)
def test_currents_without_steps_or_of_whole_numbers_are_refused(x):
    with pytest.raises(ValueError, match=r"needs currents \[T, ...\] of floating point"):
        LIF()(x)


def test_the_counts_of_a_measurement_are_those_of_pytorch(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    for h, d in ((4, 8), (1, 3), (2, 64), (2, 130)):
        tokens = [(torch.rand(3, 2, 20, h, d, generator=generator) < 0.05).float() for _ in "qkv"]
        q, k, v = (x.transpose(2, 3) for x in tokens)  # [T, B, h, N, d]
        flat = [x.flatten(3) for x in tokens]

        found = attended(q, k), attended(q, k, v), meetings(*flat[:2]), count_non_zero(flat[0])
        attn = q @ k.mT

        assert found[0] == torch.count_nonzero(attn)
        assert found[1] == int(weighed(attn, v))
        assert found[2] == int(attn.sum())
        assert found[3] == int(flat[0].sum())
        with monkeypatch.context() as patch:
            patch.setattr(counts, "library_for", lambda *_: None)
            slow = attended(q, k), attended(q, k, v), meetings(*flat[:2]), count_non_zero(flat[0])
        assert [int(x) for x in slow] == [int(x) for x in found]


@needs_compiler
def test_ties_fire_in_the_kernel():
    for threshold in (0.5, 1.0, 2.5):
        x = torch.full((1, 300), 2.0 * threshold)

        assert LIF(tau=2.0, v_threshold=threshold)(x).sum() == 300


@needs_compiler
def test_currents_need_not_be_contiguous():
    x = currents(5, 6, 7).permute(0, 2, 1)
    neuron = LIF()

    assert neuron(x).equal(neuron.definition(x))


@pytest.mark.parametrize(
    "x",
    [
        currents(3, 4).double(),
        currents(3, 4).bfloat16(),
        currents(3, 0, 4),
        currents(65, 4),
        currents(3, 4).to("meta"),
    ],
    ids=["float64", "bfloat16", "empty", "65 steps", "meta"],
)
def test_other_currents_take_the_portable_path(x):
    assert not CPUKernel.takes(x, len(x))
    assert LIF()(x).shape == x.shape
