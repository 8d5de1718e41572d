import pytest
import torch

from spikenas.data import ImageSet


@pytest.fixture
def ten() -> ImageSet:
    """Ten 2x2 images whose pixels are their number."""
    numbers = torch.arange(10)
    images = numbers.to(torch.uint8).view(10, 1, 1, 1).expand(10, 2, 2, 2).clone()
    return ImageSet(images=images, labels=numbers, num_classes=10, mean=(0.0, 0.5), std=(1.0, 0.5))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_batches_without_a_generator_keep_the_order(ten: ImageSet) -> None:
    labels = [labels.tolist() for _, labels in ten.batches(4)]

    assert labels == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_an_incomplete_last_batch_can_be_left_out(ten: ImageSet) -> None:
    assert [len(labels) for _, labels in ten.batches(4, drop_last=True)] == [4, 4]


def test_pixels_are_normalised_per_channel(ten: ImageSet) -> None:
    images, _ = next(ten.batches(10))

    assert images.dtype == torch.float32
    torch.testing.assert_close(images[5, 0], torch.full((2, 2), 5 / 255))
    torch.testing.assert_close(images[5, 1], torch.full((2, 2), (5 / 255 - 0.5) / 0.5))


def test_equal_generators_shuffle_alike_and_leave_the_global_one_alone(ten: ImageSet) -> None:
    before = torch.get_rng_state()

    first, second, other = (
        torch.cat([labels for _, labels in ten.batches(3, generator=generator(seed))])
        for seed in (1, 1, 2)
    )

    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert first.sort().values.tolist() == list(range(10))
    assert torch.equal(torch.get_rng_state(), before)


def test_augmenting_without_a_generator_is_refused(ten: ImageSet) -> None:
    with pytest.raises(ValueError, match="needs a generator"):
        next(ten.batches(4, augment=lambda images, labels, generator: (images, labels)))
