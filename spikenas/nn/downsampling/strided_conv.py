"""Downsampling by a 3x3 convolution of stride 2, after Springenberg 2015."""

from spikenas.nn.downsampling.downsampling import Downsampling


class StridedConvDownsampling(Downsampling):
    """The convolution with its batch norm and its neuron, without a pool."""

    stride = 2
