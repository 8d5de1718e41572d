"""`find`: which files of an event data set are read, where it may lie in several layouts.

What is nearest to the publisher's files is read. Another layout beside it is passed over with a
note where it has the same recordings by class and name; where it has others it is refused, for
nothing tells which of the two is meant. Frames are read only where there are no events.
"""

import os
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from spikenas.data.recordings import EventSource, Layout, Recording, Recordings
from spikenas.data.source import Survey, is_foreign
from spikenas.data.spikingjelly_events import events_np
from spikenas.exceptions import DataError


class Found(NamedTuple):
    """The files to read, and what is to be told of the others."""

    recordings: Recordings
    notes: tuple[str, ...]


def find(source: EventSource, folder: Path) -> Found:
    """Return the files of a data set; raises DataError where some are missing or ambiguous."""
    own = source.layouts(folder)
    chosen, *others = [each for each in (*own, *events_np(source, folder)) if each.is_there] or own
    if not chosen.is_there:
        others = []
    recordings = chosen.listed()
    passed_over = [_same(chosen, recordings, other) for other in others]
    notes = []
    if others:
        notes.append(
            f"{chosen} is read; {' and '.join(map(str, others))} has the same "
            f"{len(recordings.train) + len(recordings.test)} recordings by class and name and is "
            "passed over"
        )
    return Found(recordings, (*notes, *_unread(chosen, others, [recordings, *passed_over])))


def survey(source: EventSource, folder: Path) -> Survey:
    """Check the files on disk without reading them."""
    found = find(source, folder)
    source.check_readable(found.recordings)
    return Survey(
        kind="events",
        channels=2,
        height=source.sensor[0],
        width=source.sensor[1],
        num_classes=len(source.classes),
        num_train=len(found.recordings.train),
        num_test=len(found.recordings.test),
        test_fraction=0.1,
        mean=(0.0, 0.0),
        std=(1 / 255, 1 / 255),
        classes=source.classes,
        notes=found.notes,
    )


def _same(one: Layout, recordings: Recordings, other: Layout) -> Recordings:
    """Return the files of another layout, or raise DataError where it has other recordings."""
    try:
        theirs = other.listed()
    except DataError as error:
        difference = str(error)
    else:
        first, second = _names(recordings), _names(theirs)
        if first == second:
            return theirs
        part, label, name = min((first - second) or (second - first))
        difference = (
            f"they have {first.total()} and {second.total()}, and only the "
            f"{'first' if first - second else 'second'} has {name!r} of class {label} in its "
            f"{part} part"
        )
    raise DataError(
        f"{one} and {other} lie side by side and have different recordings, so nothing tells which "
        f"are meant: {difference}. Move one of them elsewhere"
    )


def _names(recordings: Recordings) -> Counter[tuple[str, int, str]]:
    parts: tuple[tuple[str, list[Recording]], ...] = (
        ("training", recordings.train),
        ("test", recordings.test),
    )
    return Counter((part, each.label, each.name) for part, files in parts for each in files)


def _unread(chosen: Layout, others: list[Layout], known: list[Recordings]) -> tuple[str, ...]:
    """Return a note on what lies among the recordings and is none."""
    paths = {os.fspath(each.path) for parts in known for part in parts for each in part}
    folders = {os.path.dirname(each.path) for part in known[0] for each in part}  # noqa: PTH120
    paths |= folders | {os.fspath(other.home) for other in others}
    kinds: Counter[str] = Counter()
    for place in folders | {os.path.dirname(each) for each in folders}:  # noqa: PTH120
        with os.scandir(place) as entries:
            kinds.update(
                f"folder {entry.name}" if entry.is_dir() else Path(entry.name).suffix or entry.name
                for entry in entries
                if entry.path not in paths and not is_foreign(entry.name)
            )
    if not kinds:
        return ()
    named = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    return (f"{chosen}: passed over, as they are no recordings of it: {named}",)
