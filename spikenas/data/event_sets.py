"""The event data sets by name."""

from spikenas.data.cifar10dvs import Cifar10Dvs
from spikenas.data.dvs128 import Dvs128
from spikenas.data.nmnist import NMnist
from spikenas.data.recordings import EventSource

EVENT_SETS: dict[str, EventSource] = {
    "cifar10dvs": Cifar10Dvs(),
    "dvs128": Dvs128(),
    "nmnist": NMnist(),
}
