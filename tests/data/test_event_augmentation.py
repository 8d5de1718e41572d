import pytest
import torch
from torch import Tensor

from spikenas.data import Augmentation
from spikenas.data.event_augmentation import event_drop, snn_augment_wide
from spikenas.exceptions import UsageError
from spikenas.training import recipe

B, T, SIDE = 48, 4, 20


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def frames(*, is_alike: bool = False) -> Tensor:
    """Counts 1 to 4 everywhere; where ``is_alike`` every step of a sample is the same."""
    shape = (B, 1 if is_alike else T, 2, SIDE, SIDE)
    drawn = torch.randint(1, 5, shape, generator=generator(7), dtype=torch.uint8)
    return drawn.expand(B, T, 2, SIDE, SIDE).clone()


@pytest.mark.parametrize("change", [event_drop, snn_augment_wide])
def test_equal_generators_change_alike_and_leave_the_global_one_alone(change) -> None:
    before = torch.get_rng_state()

    first, second, other = (change(frames(), generator(seed)) for seed in (3, 3, 4))

    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("change", [event_drop, snn_augment_wide])
def test_counts_stay_counts(change) -> None:
    x = frames()

    y = change(x, generator())

    assert (y.dtype, y.shape) == (x.dtype, x.shape)
    assert not torch.equal(x, y)
    empty = torch.zeros_like(x)
    assert torch.equal(change(empty, generator()), empty)


def test_all_steps_of_a_sample_are_moved_alike_and_samples_are_not() -> None:
    y = snn_augment_wide(frames(is_alike=True), generator())

    assert all(torch.equal(y[:, 0], y[:, k]) for k in range(T))
    holes = {sample[0, 0].eq(0).numpy().tobytes() for sample in y}
    assert len(holes) > B // 3


def test_about_a_quarter_of_the_samples_stays_as_it_was() -> None:
    x = frames()[:1, :1].repeat(4_000, 1, 1, 1, 1)

    y = snn_augment_wide(x, generator())

    # Identity; shifts below a pixel, shears and turns that move no pixel of 20x20.
    expected = 1 / 6 + (5 + 5 + 5 + 3) / 31 / 6
    same = float((x == y).flatten(1).all(1).float().mean())
    assert same == pytest.approx(expected, abs=0.03)


def test_every_sample_is_changed_as_torchvision_would() -> None:
    """Each sample equals, but for pixels on an edge, one of the operations of the original."""
    from spikenas.data.torchvision_door import v2  # noqa: PLC0415

    F = v2.functional
    x = frames()[:24, :1]
    strengths = torch.linspace(-1, 1, 31).tolist()

    def affine(sample: Tensor, **given: object) -> Tensor:
        settings = {"angle": 0.0, "translate": [0, 0], "scale": 1.0, "shear": [0.0, 0.0], **given}
        return F.affine(sample, **settings)

    def originals(sample: Tensor) -> list[Tensor]:
        return [
            *(
                affine(sample, shear=[torch.rad2deg(torch.tensor(0.3 * s)).item(), 0.0])
                for s in strengths
            ),
            *(affine(sample, translate=[k, 0]) for k in range(-5, 6)),
            *(affine(sample, translate=[0, k]) for k in range(-5, 6)),
            *(F.rotate(sample, 30 * s) for s in strengths),
        ]

    y = snn_augment_wide(x, generator(2))

    differing = [
        min(float((o != b).float().mean()) for o in originals(a)) for a, b in zip(x, y, strict=True)
    ]
    is_cut = [
        bool(((b == a) | (b == 0)).all()) and float((b == 0).float().mean()) <= 0.13
        for a, b in zip(x, y, strict=True)
    ]
    assert all(d <= 0.03 or cut for d, cut in zip(differing, is_cut, strict=True))


def test_dropping_events_adds_none_and_knows_three_ways() -> None:
    x = frames().repeat(8, 1, 1, 1, 1)

    y = event_drop(x, generator())

    assert (y <= x).all()
    kept = y.float().sum((2, 3, 4)) / x.float().sum((2, 3, 4))  # [B, T]
    share = float((kept == 1).all(1).float().mean())
    assert share == pytest.approx(1 / 4, abs=0.06)
    is_while = (kept == 0).any(1)
    has_box = ((y == 0).all(2).all(1).flatten(1).float().mean(1) > 0) & (kept > 0.9).all(1)
    is_thinned = ((kept > 0.02) & (kept < 0.98)).all(1)
    for way in (is_while, has_box, is_thinned):
        assert float(way.float().mean()) > 0.08


def test_one_step_keeps_some_events_when_a_while_is_dropped() -> None:
    y = event_drop(frames()[:, :1], generator())

    assert (y.sum((1, 2, 3, 4)) > 0).all()


def augmentation(**settings) -> Augmentation:
    return Augmentation(num_classes=4, fill=(0.0, 0.0), **settings)


@pytest.mark.parametrize(
    "settings",
    [{"random_crop_padding": 3}, {"horizontal_flip": True}, {"random_erasing": 0.8}],
)
def test_what_images_and_events_share_changes_all_steps_alike(settings) -> None:
    x = frames(is_alike=True)

    y, _ = augmentation(**settings)(x, torch.arange(B) % 4, generator())

    assert (y.dtype, y.shape) == (x.dtype, x.shape)
    assert not torch.equal(x, y)
    assert all(torch.equal(y[:, 0], y[:, k]) for k in range(T))


@pytest.mark.parametrize("settings", [{"mixup": 0.5}, {"cutmix": 1.0}])
def test_event_frames_are_mixed_like_images(settings) -> None:
    x = frames()

    y, labels = augmentation(**settings)(x, torch.arange(B) % 4, generator())

    assert y.shape == x.shape
    torch.testing.assert_close(labels.sum(1), torch.ones(B))


def test_everything_at_once_repeats_itself() -> None:
    augment = augmentation(
        event_drop=True,
        snn_augment_wide=True,
        random_crop_padding=2,
        horizontal_flip=True,
        random_erasing=0.5,
        mixup=0.5,
    )

    first, second = (augment(frames(), torch.arange(B) % 4, generator(9)) for _ in range(2))

    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("change", [event_drop, snn_augment_wide])
def test_frames_on_the_gpu_are_changed_there_and_repeatedly_so(change) -> None:
    first, second = (change(frames().cuda(), generator(3)) for _ in range(2))

    assert first.is_cuda
    assert torch.equal(first, second)


def test_a_recipe_for_colours_says_what_to_use_with_events() -> None:
    with pytest.raises(UsageError, match=r"rand_augment_ops = 1 .* snn_augment_wide"):
        recipe("spikformer-cifar10").check_kind("events")
