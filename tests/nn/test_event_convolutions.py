"""Convolutions of events against PyTorch's, and when they are taken."""

import pytest
import torch
import torch.nn.functional as F

from spikenas.nn.kernels import convolution, events

pytestmark = pytest.mark.skipif(events._library() is None, reason="no C compiler here")


def case(shape, out_channels, kernel_size, *, share, seed=0):
    """Return spikes and counts [n, C, H, W], channels last, and weights."""
    generator = torch.Generator().manual_seed(seed)
    n, C, H, W = shape
    spikes = (torch.rand(n, H, W, C, generator=generator) < share).float()
    spikes *= torch.randint(1, 3, spikes.shape, generator=generator)
    weight = torch.randn(out_channels, C, kernel_size, kernel_size, generator=generator)
    return spikes.movedim(-1, 1), weight


@pytest.fixture
def runs(monkeypatch):
    """The shapes that the C source has computed, forward or backward."""
    library, seen = events._library(), []

    class Watched:
        count_non_zero = library.count_non_zero

        @staticmethod
        def forward(*given):
            seen.append("forward")
            library.forward(*given)

        @staticmethod
        def weight_gradient(*given):
            seen.append("weight_gradient")
            library.weight_gradient(*given)

    monkeypatch.setattr(events, "_library", lambda: Watched)
    return seen


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel", [(1, 0), (3, 1), (3, 0), (4, 0), (5, 2)])  # size, padding
@pytest.mark.parametrize(
    ("shape", "out_channels"),
    [((3, 5, 9, 7), 11), ((1, 1, 5, 5), 1), ((9, 70, 6, 8), 150), ((2, 33, 5, 5), 64)],
)
def test_outputs_and_gradients_are_those_of_a_dense_convolution(
    shape, out_channels, kernel, stride, runs
):
    kernel_size, padding = kernel
    x, weight = case(shape, out_channels, kernel_size, share=0.1)
    found = [
        x.clone(memory_format=torch.preserve_format).requires_grad_(),
        weight.clone().requires_grad_(),
    ]
    exact = [x.double().requires_grad_(), weight.double().requires_grad_()]

    y = convolution(*found, stride, padding)
    dense = F.conv2d(*exact, stride=stride, padding=padding)
    grad = torch.randn(dense.shape, generator=torch.Generator().manual_seed(1))
    y.backward(grad)
    dense.backward(grad.double())

    assert runs == ["forward", "weight_gradient"]
    for one, other in ((y, dense), *((a.grad, b.grad) for a, b in zip(found, exact, strict=True))):
        torch.testing.assert_close(
            one.double(), other, rtol=0, atol=1e-5 * float(other.detach().abs().max())
        )


def test_a_linear_map_of_tokens_is_one_of_them(runs):
    x, weight = case((4, 24, 9, 1), 40, 1, share=0.05)

    y = convolution(x, weight)

    expected = x.squeeze(3).mT @ weight.flatten(1).T
    torch.testing.assert_close(y.squeeze(3).mT, expected, rtol=1e-5, atol=1e-5)
    assert runs == ["forward"]


def test_many_events_are_convolved_densely(runs):
    for share, expected in ((0.9, []), (0.22, ["forward"]), (0.1, ["forward", "weight_gradient"])):
        x, weight = case((4, 32, 9, 9), 16, 3, share=share)
        convolution(x, weight.requires_grad_(), 1, 1).sum().backward()

        assert runs == expected
        runs.clear()


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x.double(),
        lambda x: x.contiguous(),
        lambda x: x[:0],
        lambda x: x.to("meta"),
    ],
    ids=["float64", "channels first", "empty", "meta"],
)
def test_what_the_source_does_not_read_goes_to_pytorch(change, runs):
    x, weight = case((2, 4, 8, 8), 8, 3, share=0.05)
    x = change(x)
    weight = weight.to(x)

    assert convolution(x, weight, 1, 1).shape == F.conv2d(x, weight, padding=1).shape
    assert runs == []


@pytest.mark.parametrize(
    ("weight", "padding"),
    [(torch.ones(8, 5, 3, 3), 1), (torch.ones(8, 4, 1, 1), 3), (torch.ones(8, 4, 9, 9), 0)],
    ids=["other channels", "padding wider than the kernel", "kernel wider than the map"],
)
def test_sizes_that_do_not_fit_are_left_to_pytorch(weight, padding, runs):
    x, _ = case((2, 4, 8, 8), 8, 3, share=0.05)
    try:
        expected = F.conv2d(x, weight, padding=padding)
    except RuntimeError:
        with pytest.raises(RuntimeError):
            convolution(x, weight, 1, padding)
    else:
        assert convolution(x, weight, 1, padding).equal(expected)
    assert runs == []


def test_under_autocast_the_type_does_not_depend_on_the_data(runs):
    x, weight = case((2, 4, 8, 8), 8, 3, share=0.05)
    with torch.autocast("cpu", torch.bfloat16):
        assert convolution(x, weight, 1, 1).dtype is torch.bfloat16
    assert runs == []


def test_sums_do_not_depend_on_the_number_of_threads():
    before, found = torch.get_num_threads(), []
    x, weight = case((16, 24, 8, 8), 48, 3, share=0.1)
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            learnt = weight.clone().requires_grad_()
            y = convolution(x, learnt, 1, 1)
            y.square().sum().backward()
            found.append((y, learnt.grad))
    finally:
        torch.set_num_threads(before)

    assert all(y.equal(found[0][0]) and g.equal(found[0][1]) for y, g in found[1:])


def test_a_library_that_adds_up_wrongly_is_not_used():
    library = events._library()

    class Wrong:
        count_non_zero, forward = library.count_non_zero, library.forward

        @staticmethod
        def weight_gradient(*given):
            pass

    assert events._adds_up(library)
    assert not events._adds_up(Wrong)
