"""Downsampling by 2x2 sums, which event-driven chips do by addressing."""

from spikenas.nn.downsampling.downsampling import Downsampling
from spikenas.nn.operations import SumPool


class SumPoolDownsampling(Downsampling):
    """A convolution of stride 1, then the pool."""

    pool = SumPool
