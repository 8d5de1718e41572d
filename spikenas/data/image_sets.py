"""The image data sets by name."""

from spikenas.data.cifar import CifarSource
from spikenas.data.digits import Digits
from spikenas.data.idx import IdxSource
from spikenas.data.image_folder import ImageFolder
from spikenas.data.source import Source

IMAGE_SETS: dict[str, Source] = {
    "digits": Digits(),
    "mnist": IdxSource(name="MNIST", mean=(0.1307,), std=(0.3081,)),
    "fashion_mnist": IdxSource(name="FashionMNIST", mean=(0.2860,), std=(0.3530,)),
    "cifar10": CifarSource(
        name="CIFAR10",
        subfolder="cifar-10-batches-py",
        train_files={f"data_batch_{i}": 10_000 for i in range(1, 6)},
        test_files={"test_batch": 10_000},
        labels="labels",
        num_classes=10,
        mean=(0.4914, 0.4822, 0.4465),
        std=(0.2470, 0.2435, 0.2616),
    ),
    "cifar100": CifarSource(
        name="CIFAR100",
        subfolder="cifar-100-python",
        train_files={"train": 50_000},
        test_files={"test": 10_000},
        labels="fine_labels",
        num_classes=100,
        mean=(0.5071, 0.4865, 0.4409),
        std=(0.2673, 0.2564, 0.2762),
    ),
    "image_folder": ImageFolder(),
}
