"""Arguments and options that several commands share."""

import re
from pathlib import Path
from typing import Annotated

import typer
from typer.models import OptionInfo

from spikenas.cli.output import redacted, say
from spikenas.figures import OBJECTIVES

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def _warn_of_password(url: str | None) -> str | None:
    if url and redacted(url) != url:
        say(
            "warning: every user of this machine can see a password on the command line; "
            "put the URL into SPIKENAS_STORE, or the password into ~/.pgpass"
        )
    return url


def seconds(text: str) -> float:
    """Return a duration such as ``90``, ``90s``, ``10m`` or ``1.5h`` in seconds."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text.strip())
    if not found or not float(found[1]):
        raise typer.BadParameter(f"{text!r} is not a duration; examples: 90s, 10m, 1.5h")
    return float(found[1]) * _UNITS[found[2]]


def names(text: str | None) -> list[str] | None:
    """Return the names in a comma-separated list."""
    return [name.strip() for name in text.split(",")] if text else None


def number(meaning: str, default: str | bool = True, *, metavar: str = "N") -> OptionInfo:
    """Return an option for a whole number from 1."""
    option: OptionInfo = typer.Option(min=1, metavar=metavar, help=meaning, show_default=default)
    return option


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
        help="A published name, an export folder, an architecture.json, or RUN/ID (at least 8 "
        "digits of the id).",
    ),
]
ArtifactsOption = Annotated[
    Path | None,
    typer.Option(
        "--artifacts",
        metavar="DIR",
        help="The folder with the weights of the store.",
        show_default="SPIKENAS_ARTIFACTS, else beside the store",
    ),
]
PluginsOption = Annotated[
    bool,
    typer.Option(
        "--allow-plugins",
        help="Import the plugins that the space, run or export names.",
        show_default="SPIKENAS_ALLOW_PLUGINS=1 in the environment",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")]
ObjectivesOption = Annotated[
    str | None,
    typer.Option("--objectives", metavar="NAME,NAME", help=f"{', '.join(OBJECTIVES)}."),
]
WhereOption = Annotated[
    str | None,
    typer.Option(
        "--where",
        metavar="EXPRESSION",
        help='Only candidates that match: "accuracy > 0.9 and energy_uj < 5".',
    ),
]
FormatsOption = Annotated[
    str,
    typer.Option(
        "--format",
        metavar="NAME,NAME",
        help="Any of safetensors (always written), onnx, pt2 and nir.",
    ),
]
NormaliseOption = Annotated[
    bool,
    typer.Option(
        "--normalise-input",
        help="Let exported graphs take images in 0..1 and normalise them as in training.",
    ),
]
