"""The multi-step neuron fused with its batch norm, convolutions of events, and counts.

``spikenas.nn.neurons`` defines the neuron; these are fast implementations.
"""

import spikenas.nn.kernels.custom_ops  # noqa: F401  (registers them)
from spikenas.nn.kernels.backend import Backend
from spikenas.nn.kernels.counts import attended, count_non_zero, meetings, non_zero, weighed
from spikenas.nn.kernels.dynamics import Dynamics
from spikenas.nn.kernels.events import convolution
from spikenas.nn.kernels.multi_step import Norm, backend_of, multi_step, normalise

__all__ = [
    "Backend",
    "Dynamics",
    "Norm",
    "attended",
    "backend_of",
    "convolution",
    "count_non_zero",
    "meetings",
    "multi_step",
    "non_zero",
    "normalise",
    "weighed",
]
