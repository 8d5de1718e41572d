"""Exports: a candidate as a folder of weights, architecture, metrics and provenance.

`write` writes a folder atomically, `verify` compares every file with its SHA-256, and `load`
returns the network. Weights are safetensors, everything else is JSON; no pickle is ever read.
"""

from spikenas.export.bundle import load, read_architecture, read_metrics, write
from spikenas.export.provenance import check_claims, read_plugins, verify

__all__ = [
    "check_claims",
    "load",
    "read_architecture",
    "read_metrics",
    "read_plugins",
    "verify",
    "write",
]
