"""A data set of an installed package, made by hand: 48 noisy images of stripes, from one file."""

from pathlib import Path

from packages import write_package

LAB = """
import numpy as np
from spikenas.data import Arrays, Survey
from spikenas.exceptions import DataError

print("imported", __name__)

class Stripes:
    def survey(self, folder, image_size):
        self.files(folder)
        return Survey(channels=1, height=8, width=8, num_classes=2, num_train=40, num_test=8,
                      mean=(0.5,), std=(0.5,), classes=("rows", "columns"))

    def files(self, folder):
        if not (folder / "stripes.bin").is_file():
            raise DataError(f"there is no {folder / 'stripes.bin'}; write it")
        return [folder / "stripes.bin"]

    def read(self, folder, image_size):
        noise = np.frombuffer(self.files(folder)[0].read_bytes(), np.uint8).reshape(48, 1, 8, 8)
        images, labels = noise // 4, np.arange(48) % 2
        images[labels == 0, :, ::2] += 128
        images[labels == 1, :, :, ::2] += 128
        return Arrays(images[:40], labels[:40], images[40:], labels[40:])
"""


def install(site: Path, code: str = LAB, *, name: str = "stripes", entry: str = "Stripes") -> None:
    """Install the package ``lab_stripes`` with the data set ``name`` in a folder of packages."""
    write_package(site, code, module="lab_stripes", group="data_sets", **{name: entry})


def write_stripes(folder: Path) -> None:
    """Write the file that `LAB` reads."""
    (folder / "stripes.bin").write_bytes(bytes(i * i * 7 % 251 for i in range(48 * 64)))
