"""The image data sets by name."""

from spikenas.data.cifar import CifarSource
from spikenas.data.digits import Digits
from spikenas.data.idx import IdxSource
from spikenas.data.image_folder import ImageFolder
from spikenas.data.source import DataSource

_FASHION = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
CIFAR10_CLASSES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)
CIFAR100_CLASSES = (  # the fine labels
    *("apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle"),
    *("bottle", "bowl", "boy", "bridge", "bus", "butterfly", "camel", "can", "castle"),
    *("caterpillar", "cattle", "chair", "chimpanzee", "clock", "cloud", "cockroach", "couch"),
    *("crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant", "flatfish", "forest"),
    *("fox", "girl", "hamster", "house", "kangaroo", "keyboard", "lamp", "lawn_mower"),
    *("leopard", "lion", "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain"),
    *("mouse", "mushroom", "oak_tree", "orange", "orchid", "otter", "palm_tree", "pear"),
    *("pickup_truck", "pine_tree", "plain", "plate", "poppy", "porcupine", "possum", "rabbit"),
    *("raccoon", "ray", "road", "rocket", "rose", "sea", "seal", "shark", "shrew", "skunk"),
    *("skyscraper", "snail", "snake", "spider", "squirrel", "streetcar", "sunflower"),
    *("sweet_pepper", "table", "tank", "telephone", "television", "tiger", "tractor", "train"),
    *("trout", "tulip", "turtle", "wardrobe", "whale", "willow_tree", "wolf", "woman", "worm"),
)
IMAGE_SETS: dict[str, DataSource] = {
    "digits": Digits(),
    "mnist": IdxSource(name="MNIST", mean=(0.1307,), std=(0.3081,)),
    "fashion_mnist": IdxSource(
        name="FashionMNIST", mean=(0.2860,), std=(0.3530,), classes=_FASHION
    ),
    "cifar10": CifarSource(
        name="CIFAR10",
        subfolder="cifar-10-batches-py",
        train_files={f"data_batch_{i}": 10_000 for i in range(1, 6)},
        test_files={"test_batch": 10_000},
        labels="labels",
        classes=CIFAR10_CLASSES,
        mean=(0.4914, 0.4822, 0.4465),
        std=(0.2470, 0.2435, 0.2616),
    ),
    "cifar100": CifarSource(
        name="CIFAR100",
        subfolder="cifar-100-python",
        train_files={"train": 50_000},
        test_files={"test": 10_000},
        labels="fine_labels",
        classes=CIFAR100_CLASSES,
        mean=(0.5071, 0.4865, 0.4409),
        std=(0.2673, 0.2564, 0.2762),
    ),
    "image_folder": ImageFolder(),
}
