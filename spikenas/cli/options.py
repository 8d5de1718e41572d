"""Arguments and options that several commands share."""

import re
from pathlib import Path
from typing import Annotated

import typer

from spikenas.cli.output import redacted, say
from spikenas.figures import OBJECTIVES

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def _warn_of_password(url: str | None) -> str | None:
    if url and redacted(url) != url:
        say(
            "warning: a password on the command line is seen by every user of this machine; "
            "put the URL into SPIKENAS_STORE, or the password into ~/.pgpass"
        )
    return url


def seconds(text: str) -> float:
    """Return a duration such as ``90``, ``90s``, ``10m`` or ``1.5h`` in seconds."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text.strip())
    if not found or not float(found[1]):
        raise typer.BadParameter(f"{text!r} is no duration; examples: 90s, 10m, 1.5h")
    return float(found[1]) * _UNITS[found[2]]


def names(text: str | None) -> list[str] | None:
    """Return the names in a comma-separated list."""
    return [name.strip() for name in text.split(",")] if text else None


StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="URL",
        callback=_warn_of_password,
        help="The database.",
        show_default="SPIKENAS_STORE, else sqlite:///spikenas.db",
    ),
]
RunArgument = Annotated[
    str | None, typer.Argument(metavar="RUN", help="Name of a run.", show_default="the newest")
]
ArchArgument = Annotated[
    str,
    typer.Argument(
        metavar="ARCH",
        help="A published name, an export folder, an architecture.json, or RUN/ID with at least "
        "8 digits of the id.",
    ),
]
ArtifactsOption = Annotated[
    Path | None,
    typer.Option(
        "--artifacts",
        metavar="DIR",
        help="The folder of the store's weights.",
        show_default="SPIKENAS_ARTIFACTS, else beside the store",
    ),
]
PluginsOption = Annotated[
    bool,
    typer.Option(
        "--allow-plugins",
        help="Import the Python modules that the space, run or export names as plugins.",
        show_default="SPIKENAS_ALLOW_PLUGINS=1 in the environment",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")]
ObjectivesOption = Annotated[
    str | None,
    typer.Option(
        "--objectives",
        metavar="NAME,NAME",
        help=f"{', '.join(OBJECTIVES)}.",
    ),
]
WhereOption = Annotated[
    str | None,
    typer.Option(
        "--where",
        metavar="EXPRESSION",
        help='Only candidates for which this holds: "accuracy > 0.9 and energy_uj < 5".',
    ),
]
FormatsOption = Annotated[
    str,
    typer.Option(
        "--format",
        metavar="NAME,NAME",
        help="safetensors, which is always written; beside it onnx, pt2, nir.",
    ),
]
NormaliseOption = Annotated[
    bool,
    typer.Option(
        "--normalise-input",
        help="The graphs of --format take images in 0..1 and normalise them as in training.",
    ),
]
