"""The command line, the only package that prints. Commands import heavy packages themselves."""

from spikenas.cli.app import app, main

__all__ = ["app", "main"]
