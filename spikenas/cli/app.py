"""The `spikenas` program: its commands, and errors as exit codes.

0 done, 1 internal error, 2 wrong usage, file or data, 3 no such run or candidate, 4 database
unavailable or of another version, or a disk, permission or stdout at fault, 5 damaged artefact,
6 budget ended without one successful candidate, 7 does not fit the chip or the format, 130 on
Ctrl-C, 141 where the reader of stdout left, 143 on SIGTERM.
"""

import errno
import io
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, TextIO

import typer

from spikenas import exceptions
from spikenas.cli import (
    architectures,
    doctor,
    energy,
    export,
    importing,
    listings,
    runs,
    search,
    verify,
)
from spikenas.cli.output import redacted, say

_EXIT_CODES: dict[type[Exception], int] = {
    exceptions.UsageError: 2,
    exceptions.NotFoundError: 3,
    exceptions.MachineError: 4,
    exceptions.StoreError: 4,
    exceptions.ArtefactError: 5,
    exceptions.BudgetError: 6,
    exceptions.InfeasibleError: 7,
}

_MACHINE = 4
_PIPE_CLOSED = 141  # as a shell tells of SIGPIPE: the reader, such as head, has enough
_OF_THE_PATH = (errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR)
_CURES = {
    errno.EACCES: "give yourself the permission, or name another path",
    errno.EPERM: "give yourself the permission, or name another path",
    errno.EROFS: "name a path on a file system that can be written",
    errno.ENOSPC: "make room, or name a path on another disk",
    errno.EDQUOT: "make room, or name a path on another disk",
    errno.ENAMETOOLONG: "take a shorter name",
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
app.command("spaces")(listings.spaces)
app.command("chips")(listings.chips)
app.command("published")(listings.published)
app.command("doctor")(doctor.doctor)


class _StdoutError(OSError):
    """What this program prints cannot be written."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code, or leave by SystemExit with it."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given  # accepted before and after the command's name
    if sys.stderr is None:  # closed by the caller
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115  (until the process ends)
    try:
        _obey_surroundings()
        _run([word for word in given if word != "--debug"])
    except Exception as error:  # the last door: everything becomes a sentence and a code
        if debug:
            sys.stderr.write(redacted(traceback.format_exc()))
        return _told(error)
    return 0


def _obey_surroundings() -> None:
    """Refuse what no command can work with, and let names print that are not UTF-8."""
    if sys.stdout is None:
        raise _StdoutError(errno.EBADF, "is closed; send it to a file or to /dev/null")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        Path.cwd()
    except FileNotFoundError:
        raise exceptions.UsageError(
            "the current folder no longer exists; change to another"
        ) from None


def _run(arguments: list[str]) -> None:
    stdout = sys.stdout
    try:
        app(arguments, prog_name="spikenas")
    except SystemExit as ended:
        if isinstance(ended.__context__, BrokenPipeError):  # typer's quiet end
            _send_nowhere(stdout)
            raise SystemExit(_PIPE_CLOSED) from None
        raise
    finally:
        try:
            stdout.flush()  # here, so that a failure is ours to tell
        except BrokenPipeError:
            _send_nowhere(stdout)
            raise SystemExit(_PIPE_CLOSED) from None
        except OSError as error:
            _send_nowhere(stdout)
            raise _StdoutError(error.errno, f"cannot be written: {error.strerror}") from None


def _send_nowhere(stdout: TextIO) -> None:
    """Let the interpreter's own last flush succeed."""
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), stdout.fileno())


def _told(error: Exception) -> int:
    """Say an error in one sentence and return its exit code."""
    if isinstance(error, exceptions.SpikeNASError):
        say(f"error: {error}")
        return _exit_code(error)
    if isinstance(error, _StdoutError):
        say(f"error: stdout {error.strerror}")
        return _MACHINE
    if isinstance(error, OSError) and error.errno is not None:
        where = f"{error.filename}: " if isinstance(error.filename, str) else ""
        if not where and error.errno == errno.ENOSPC:
            where = "stdout, or a file, cannot be written: "
        cure = f"; {_CURES[error.errno]}" if error.errno in _CURES else ""
        say(f"error: {where}{error.strerror}{cure}")
        return 2 if error.errno in _OF_THE_PATH else _MACHINE
    if isinstance(error, MemoryError):
        say("error: no memory left; take a smaller --train-subset or --image-size, or more memory")
        return _MACHINE
    say(
        f"internal error: {type(error).__name__}: {error}; this is a fault of spikenas: "
        "please report it with the traceback, which the option --debug prints"
    )
    return 1


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
