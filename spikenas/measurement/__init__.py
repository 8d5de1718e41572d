"""Determine a network's Workload: its operations without data, and its spike rates on data."""

from spikenas.measurement.measure import Measurement, measure
from spikenas.measurement.trace import trace, trace_architecture

__all__ = ["Measurement", "measure", "trace", "trace_architecture"]
