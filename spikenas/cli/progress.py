"""The progress of a search: a live bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

from spikenas.cli.output import redacted, say
from spikenas.report.figures import duration, text

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from spikenas.driver import Progress

_FAILED = ("diverged", "failed", "timed_out", "out_of_memory", "lost")


class SearchDisplay:
    """Shows each `Progress` of the driver that it is called with, on stderr."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.run = ""  # its name, once there is one
        self._is_quiet = quiet
        self._stack = ExitStack()
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._num_complete = 0
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        if sys.stderr.isatty() and not self._is_quiet:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn
            from rich.table import Column

            self._bar = self._stack.enter_context(
                Progress(
                    SpinnerColumn(),
                    BarColumn(bar_width=16),
                    TextColumn(
                        "{task.description}", markup=False, table_column=Column(no_wrap=False)
                    ),
                    console=Console(stderr=True),
                    transient=True,
                )
            )
            self._task = self._bar.add_task("starting", total=None)
        return self

    def __exit__(self, *raised: object) -> None:
        self._stack.close()

    def __call__(self, progress: "Progress") -> None:
        """Show the state of the search."""
        is_resumed = not self.run and progress.counts["complete"] > 0
        self.run = progress.run
        if self._is_quiet:
            return
        if progress.message:
            self._line(progress.message)
        num_complete = progress.counts["complete"]
        if num_complete > self._num_complete == 0 and not is_resumed:
            self._line(f"first candidate after {duration(time.monotonic() - self._began)}")
        if self._bar is not None and self._task is not None:
            self._bar.update(
                self._task,
                total=progress.trials,
                completed=_ended(progress.counts),
                description=_summary(progress),
            )
        elif num_complete > self._num_complete:
            self._line(f"{_ended(progress.counts)}/{progress.trials}: {_summary(progress)}")
        self._num_complete = num_complete

    def _line(self, line: str) -> None:
        if self._bar is None:
            say(line)
        else:
            self._bar.console.print(redacted(line), markup=False, highlight=False)


def _ended(counts: Mapping[str, int]) -> int:
    return counts["complete"] + counts["pruned"] + _failed(counts)


def _failed(counts: Mapping[str, int]) -> int:
    return sum(counts[state] for state in _FAILED)


def _summary(progress: "Progress") -> str:
    counts = progress.counts
    left = "?" if progress.remaining_s is None else duration(progress.remaining_s)
    return (
        f"{counts['complete'] + counts['pruned']} done, {counts['running']} running, "
        f"{counts['refused']} refused, {_failed(counts)} failed | "
        f"best {text('accuracy', progress.best_accuracy)}, "
        f"lowest {text('energy_uj', progress.lowest_energy_uj)} | "
        f"{left} left"
    )
