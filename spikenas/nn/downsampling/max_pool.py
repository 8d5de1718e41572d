"""Downsampling by 3x3 maxima of stride 2, as in the stem of Zhou 2023 (Spikformer)."""

from spikenas.nn.downsampling.downsampling import Downsampling
from spikenas.nn.operations import MaxPool


class MaxPoolDownsampling(Downsampling):
    """A convolution of stride 1, then the pool."""

    pool = MaxPool
