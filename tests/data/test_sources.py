"""Every data set with files keeps the contract, one of an installed package too."""

import math
import os
import pickle
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from lab_data_set import install, write_stripes
from PIL import Image

from spikenas.data import DataSource
from spikenas.data.cifar import CifarSource
from spikenas.data.image_sets import IMAGE_SETS
from spikenas.data.package_sets import load_source
from spikenas.testing import DataSourceContract


class TestDigits(DataSourceContract):
    needs_files = False

    def source(self) -> DataSource:
        return IMAGE_SETS["digits"]


class TestIdx(DataSourceContract):
    def source(self) -> DataSource:
        return IMAGE_SETS["mnist"]

    def write(self, folder: Path) -> None:
        raw = folder / "MNIST" / "raw"
        raw.mkdir(parents=True)
        for name, shape in {
            "train-images-idx3-ubyte": (60_000, 28, 28),
            "train-labels-idx1-ubyte": (60_000,),
            "t10k-images-idx3-ubyte": (10_000, 28, 28),
            "t10k-labels-idx1-ubyte": (10_000,),
        }.items():
            head = struct.pack(f">{1 + len(shape)}I", 0x0800 + len(shape), *shape)
            values = (np.arange(60_000 if len(shape) == 1 else 784) % 10).astype("u1")
            (raw / name).write_bytes(head + values.tobytes())
            os.truncate(raw / name, len(head) + math.prod(shape))


class TestCifar(DataSourceContract):
    def source(self) -> DataSource:
        return CifarSource(
            name="CIFAR10",
            subfolder="batches",
            train_files={"one": 6, "two": 6},
            test_files={"test": 4},
            labels="labels",
            classes=("a", "b"),
            mean=(0.5, 0.5, 0.5),
            std=(0.2, 0.2, 0.2),
        )

    def write(self, folder: Path) -> None:
        (folder / "batches").mkdir()
        for file, count in (("one", 6), ("two", 6), ("test", 4)):
            data = np.arange(count * 3072, dtype=np.uint32).astype("u1").reshape(count, 3072)
            batch = {"data": data, "labels": [i % 2 for i in range(count)]}
            (folder / "batches" / file).write_bytes(pickle.dumps(batch, 2))


class TestImageFolder(DataSourceContract):
    image_size = 8

    def source(self) -> DataSource:
        return IMAGE_SETS["image_folder"]

    def write(self, folder: Path) -> None:
        for part, count in (("train", 3), ("val", 2), ("test", 1)):
            for i, name in [(i, name) for i in range(count) for name in ("dark", "light")]:
                path = folder / part / name / f"{i}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (8, 8 + i), (200 * (name == "light"), i, 0)).save(path)


class TestOfAnInstalledPackage(DataSourceContract):
    @pytest.fixture(autouse=True)
    def package(
        self, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        site = tmp_path_factory.mktemp("site")
        install(site)
        monkeypatch.syspath_prepend(site)
        monkeypatch.delitem(sys.modules, "lab_stripes", raising=False)

    def source(self) -> DataSource:
        return load_source("stripes", "lab_stripes")

    def write(self, folder: Path) -> None:
        write_stripes(folder)


def test_every_source_of_ours_is_under_contract() -> None:
    kinds = {type(source).__name__ for source in IMAGE_SETS.values()}

    assert kinds == {"Digits", "IdxSource", "CifarSource", "ImageFolder"}
