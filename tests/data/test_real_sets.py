import subprocess
import sys
from pathlib import Path

import pytest
import torch

from spikenas.data import DataSpec, load


def test_fashion_mnist_is_read_from_its_gzipped_files(shared: Path) -> None:
    if not (shared / "data" / "FashionMNIST").is_dir():
        pytest.skip("the shared folder has no FashionMNIST")

    splits = load(DataSpec(name="fashion_mnist", root=str(shared / "data")))

    assert (len(splits.train), len(splits.validation), len(splits.test)) == (54_000, 6_000, 10_000)
    assert torch.bincount(splits.validation.labels).tolist() == [600] * 10
    assert splits.test.labels[:5].tolist() == [9, 2, 1, 1, 6]  # as published
    pixels = splits.train.images.float() / 255
    assert abs(float(pixels.mean()) - splits.info.mean[0]) < 0.002
    assert abs(float(pixels.std()) - splits.info.std[0]) < 0.002


@pytest.fixture(scope="session")
def expanded(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    script = shared / "data" / "expand.py"
    if not script.is_file():
        pytest.skip("the shared folder has no data sets")
    folder = tmp_path_factory.mktemp("data")
    subprocess.run([sys.executable, str(script), str(folder)], check=True)
    return folder


@pytest.mark.slow
def test_cifar10_is_read_though_its_batches_were_pickled_anew(expanded: Path) -> None:
    splits = load(DataSpec(name="cifar10", root=str(expanded), train_subset=20_000))

    assert splits.train.images.shape == (20_000, 3, 32, 32)
    assert torch.bincount(splits.validation.labels).tolist() == [500] * 10
    assert torch.bincount(splits.test.labels).tolist() == [1000] * 10
    assert splits.test.labels[:5].tolist() == [3, 8, 8, 0, 6]  # as published
    mean = (splits.train.images.float() / 255).mean(dim=(0, 2, 3))
    torch.testing.assert_close(mean, torch.tensor(splits.info.mean), atol=0.005, rtol=0)
