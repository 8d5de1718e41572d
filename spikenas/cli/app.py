"""The `spikenas` program: its commands and its exit codes.

0 success, 1 internal error, 2 wrong usage, file or data, 3 no such run or candidate, 4 database
unavailable or of another version, or an error of the disk, of permissions or of stdout, 5 damaged
artefact, 6 budget ended without a successful candidate, 7 does not fit the chip or the format,
130 Ctrl-C, 141 stdout was closed by its reader, 143 SIGTERM.
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
_PIPE_CLOSED = 141  # as a shell reports SIGPIPE, for example after `| head`
_WRONG_PATH = (errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR)
_CURES = {
    errno.EACCES: "give yourself the permission, or name another path",
    errno.EPERM: "give yourself the permission, or name another path",
    errno.EROFS: "name a path on a file system that can be written",
    errno.ENOSPC: "make room, or name a path on another disk",
    errno.EDQUOT: "make room, or name a path on another disk",
    errno.ENAMETOOLONG: "use a shorter name",
}

app = typer.Typer(
    name="spikenas",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: half the start-up time
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
for _command in (
    *(search.search, search.resume, runs.runs, runs.status, runs.pareto, verify.verify),
    *(architectures.show, architectures.check, energy.energy, export.export, importing.import_),
    *(listings.spaces, listings.chips, listings.published, doctor.doctor),
):
    app.command(_command.__name__.rstrip("_"))(_command)


class _StdoutError(OSError):
    """Output could not be written to stdout."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code, or raise SystemExit with it."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given  # accepted before and after the name of the command
    if sys.stderr is None:  # closed by the caller
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115  (until the process ends)
    try:
        _prepare_streams()
        _run([word for word in given if word != "--debug"])
    except Exception as error:  # every error becomes a sentence and an exit code
        if debug:
            sys.stderr.write(redacted(traceback.format_exc()))
        return _report(error)
    return 0


def _prepare_streams() -> None:
    """Let stdout and stderr print names that are not UTF-8; refuse a closed stdout or lost cwd."""
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
        if isinstance(ended.__context__, BrokenPipeError):  # typer exits without a message
            _send_nowhere(stdout)
            raise SystemExit(_PIPE_CLOSED) from None
        raise
    finally:
        try:
            stdout.flush()  # here, so that a failure can be reported
        except BrokenPipeError:
            _send_nowhere(stdout)
            raise SystemExit(_PIPE_CLOSED) from None
        except OSError as error:
            _send_nowhere(stdout)
            raise _StdoutError(error.errno, f"cannot be written: {error.strerror}") from None


def _send_nowhere(stdout: TextIO) -> None:
    """Redirect stdout to /dev/null, so that the flush at exit succeeds."""
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), stdout.fileno())


def _report(error: Exception) -> int:
    """Print an error as one sentence and return its exit code."""
    if isinstance(error, exceptions.SpikeNASError):
        say(f"error: {error}")
        return next((code for kind, code in _EXIT_CODES.items() if isinstance(error, kind)), 1)
    if isinstance(error, _StdoutError):
        say(f"error: stdout {error.strerror}")
        return _MACHINE
    if isinstance(error, OSError) and error.errno is not None:
        where = f"{error.filename}: " if isinstance(error.filename, str) else ""
        if not where and error.errno == errno.ENOSPC:
            where = "stdout, or a file, cannot be written: "
        cure = f"; {_CURES[error.errno]}" if error.errno in _CURES else ""
        say(f"error: {where}{error.strerror}{cure}")
        return 2 if error.errno in _WRONG_PATH else _MACHINE
    if isinstance(error, MemoryError):
        say("error: no memory left; use a smaller --train-subset or --image-size, or more memory")
        return _MACHINE
    say(
        f"internal error: {type(error).__name__}: {error}; this is a bug in spikenas: "
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
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
    debug: Annotated[  # read by `main`
        bool, typer.Option("--debug", help="On an error, print the traceback as well.")
    ] = False,
) -> None:
    """Find spiking transformers with high accuracy and low energy that a chip can run.

    A search writes every candidate to a database; the other commands read it. Data go to stdout,
    progress and errors to stderr. Tables are as wide as COLUMNS or the terminal; in a pipe without
    COLUMNS they are as wide as their rows.
    """
