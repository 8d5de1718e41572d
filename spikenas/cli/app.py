"""The `spikenas` program: its commands, and errors as exit codes.

0 done, 1 internal error, 2 wrong usage, file or data, 3 no such run or candidate, 4 database
unavailable or of another version, 5 damaged artefact, 6 budget ended without one successful
candidate, 7 does not fit the chip or the format, 130 on Ctrl-C, 143 on SIGTERM.
"""

import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer

from spikenas import exceptions
from spikenas.cli import (
    architectures,
    catalogue,
    doctor,
    energy,
    export,
    importing,
    runs,
    search,
    verify,
)
from spikenas.cli.output import redacted, say

_EXIT_CODES: dict[type[Exception], int] = {
    exceptions.UsageError: 2,
    exceptions.NotFoundError: 3,
    exceptions.StoreError: 4,
    exceptions.ArtefactError: 5,
    exceptions.BudgetError: 6,
    exceptions.InfeasibleError: 7,
}

app = typer.Typer(
    name="spikenas",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: half the start-up time
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
app.command("search")(search.search)
app.command("resume")(search.resume)
app.command("runs")(runs.runs)
app.command("status")(runs.status)
app.command("pareto")(runs.pareto)
app.command("verify")(verify.verify)
app.command("show")(architectures.show)
app.command("check")(architectures.check)
app.command("energy")(energy.energy)
app.command("export")(export.export)
app.command("import")(importing.import_)
app.command("spaces")(catalogue.spaces)
app.command("chips")(catalogue.chips)
app.command("published")(catalogue.published)
app.command("doctor")(doctor.doctor)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code, or leave by SystemExit with it."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given  # accepted before and after the command's name
    try:
        app([word for word in given if word != "--debug"], prog_name="spikenas")
    except Exception as error:  # the last door: everything becomes a sentence and a code
        if debug:
            sys.stderr.write(redacted(traceback.format_exc()))
        if isinstance(error, exceptions.SpikeNASError):
            say(f"error: {error}")
            return _exit_code(error)
        say(
            f"internal error: {type(error).__name__}: {error}; this is a fault of spikenas: "
            "please report it with the traceback, which the option --debug prints"
        )
        return 1
    return 0


def _print_version(is_asked: bool) -> None:
    if is_asked:
        from importlib.metadata import version

        print(version("spikenas"))
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and end."
        ),
    ] = False,
    debug: Annotated[  # read by main, which must know it when an error arrives
        bool, typer.Option("--debug", help="On an error, print the traceback as well.")
    ] = False,
) -> None:
    """Find the spiking transformers with the best accuracy for the least energy a chip can run.

    A search writes every candidate to a database; the other commands read it. stdout carries
    data, stderr progress and errors. Tables are as wide as COLUMNS or the terminal says, in a pipe
    without COLUMNS as wide as their rows.
    """


def _exit_code(error: exceptions.SpikeNASError) -> int:
    return next((code for kind, code in _EXIT_CODES.items() if isinstance(error, kind)), 1)
