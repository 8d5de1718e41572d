"""The small vocabulary of operations that every network is assembled from.

Each is a module that reports its own cost (`Leaf.facts`) and the signal of its output
(`Leaf.carries`).
"""

from spikenas.nn.operations.attention import (
    ChannelMask,
    Coincidence,
    HeadMask,
    HeadSum,
    TokenAggregation,
    TokenSimilarity,
    TokenSum,
)
from spikenas.nn.operations.batch_norm import BatchNorm
from spikenas.nn.operations.joining import Add, Concat
from spikenas.nn.operations.leaf import Count, Facts, Leaf
from spikenas.nn.operations.means import MeanOverSteps, MeanOverTokens
from spikenas.nn.operations.pooling import HeadPlanePool, MaxPool, SumPool
from spikenas.nn.operations.weighted import Conv, ConvOverTokens, Linear, TokenMixing

__all__ = [
    "Add",
    "BatchNorm",
    "ChannelMask",
    "Coincidence",
    "Concat",
    "Conv",
    "ConvOverTokens",
    "Count",
    "Facts",
    "HeadMask",
    "HeadPlanePool",
    "HeadSum",
    "Leaf",
    "Linear",
    "MaxPool",
    "MeanOverSteps",
    "MeanOverTokens",
    "SumPool",
    "TokenAggregation",
    "TokenMixing",
    "TokenSimilarity",
    "TokenSum",
]
