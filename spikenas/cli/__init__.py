"""The command line: the only place that prints. Heavy imports stay inside the commands."""

from spikenas.cli.app import app, main

__all__ = ["app", "main"]
