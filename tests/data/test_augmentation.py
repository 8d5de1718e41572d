from typing import Any

import pytest
import torch
from torch import Tensor

from spikenas.data import Augmentation


def images(channels: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(1, 256, (32, channels, 8, 8), generator=generator, dtype=torch.uint8)


def augmented(seed: int, *, channels: int = 3, **settings: Any) -> tuple[Tensor, Tensor]:
    augment = Augmentation(num_classes=4, fill=(7.0,) * channels, **settings)
    x = images(channels)
    return augment(x, torch.arange(len(x)) % 4, torch.Generator().manual_seed(seed))


EVERYTHING: dict[str, Any] = {
    "random_crop_padding": 2,
    "horizontal_flip": True,
    "rand_augment_ops": 2,
    "random_erasing": 0.5,
    "mixup": 0.5,
    "cutmix": 1.0,
}


def test_each_image_is_mirrored_or_left_as_it_was() -> None:
    x = images()

    y, _ = augmented(0, horizontal_flip=True)

    mirrored = [torch.equal(b, a.flip(-1)) for a, b in zip(x, y, strict=True)]
    same = [torch.equal(b, a) for a, b in zip(x, y, strict=True)]
    assert all(m or s for m, s in zip(mirrored, same, strict=True))
    assert 5 < sum(mirrored) < 27


def test_each_image_is_a_window_of_its_padded_self() -> None:
    x = torch.nn.functional.pad(images(), (2, 2, 2, 2))

    y, _ = augmented(0, random_crop_padding=2)

    offsets = [
        [(i, j) for i in range(5) for j in range(5) if torch.equal(a[:, i : i + 8, j : j + 8], b)]
        for a, b in zip(x, y, strict=True)
    ]
    assert all(offsets)
    assert len({found[0] for found in offsets}) > 10  # drawn per image


def test_rand_augment_changes_groups_of_images_apart() -> None:
    x = images()

    y, _ = augmented(1, rand_augment_ops=3)

    assert y.dtype == torch.uint8
    assert y.shape == x.shape
    assert not torch.equal(x, y)


def test_one_grey_channel_goes_through_every_rand_augment_operation() -> None:
    for seed in range(20):
        y, _ = augmented(seed, channels=1, rand_augment_ops=4, random_erasing=0.5)

        assert y.shape == (32, 1, 8, 8)


def test_random_erasing_fills_a_rectangle_of_about_so_many_images() -> None:
    x = images()

    y, _ = augmented(3, random_erasing=0.5)

    changed = (x != y).any(dim=1)  # [B, H, W]
    erased = changed.flatten(1).any(dim=1)
    assert 8 <= int(erased.sum()) <= 24
    assert (y[(x != y)] == 7).all()


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_mixed_labels_are_probabilities_of_two_neighbours(kind: str) -> None:
    x = images().float()
    settings: dict[str, Any] = {kind: 1.0}

    y, labels = augmented(2, **settings)

    torch.testing.assert_close(labels.sum(dim=1), torch.ones(32))
    share = labels[0, 0]  # image 0, of class 0, is mixed with image 31, of class 3
    torch.testing.assert_close(labels[0], torch.stack([share, share * 0, share * 0, 1 - share]))
    if kind == "mixup":
        torch.testing.assert_close(y, share * x + (1 - share) * x.roll(1, 0))
    else:
        assert ((y == x) | (y == x.roll(1, 0))).all()


def test_equal_generators_augment_alike_and_leave_the_global_one_alone() -> None:
    before = torch.get_rng_state()

    first, second, other = (augmented(seed, **EVERYTHING) for seed in (5, 5, 6))

    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])
    assert not torch.equal(first[0], other[0])
    assert torch.equal(torch.get_rng_state(), before)


def test_nothing_switched_on_changes_nothing() -> None:
    y, labels = augmented(0)

    assert torch.equal(y, images())
    assert labels.dtype == torch.int64
