"""`find`: which files of an event data set are read, where it may lie in several layouts.

What is nearest to the publisher's files is read. Another layout beside it is passed over with a
note where it has the same recordings by class and name; where it has others it is refused, for
nothing tells which of the two is meant. Frames are read only where there are no events.
"""

import os
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from spikenas.data.binning import Binning
from spikenas.data.recordings import EventSource, Layout, Recording, Recordings
from spikenas.data.source import Survey, is_foreign
from spikenas.data.spikingjelly_events import events_np
from spikenas.data.spikingjelly_frames import Frames, frame_folders
from spikenas.exceptions import DataError


class Found(NamedTuple):
    """The files to read, and what is to be told of the others.

    Where there are no events, ``frames`` has the files for each number of steps, and
    ``recordings`` those for the one that was asked for, or for the least.
    """

    recordings: Recordings
    notes: tuple[str, ...]
    frames: dict[int, Recordings]

    @property
    def files(self) -> list[Path]:
        """All that is read, whatever the number of steps."""
        every = self.frames.values() or [self.recordings]
        return [each.path for parts in every for part in parts for each in part]


def find(
    source: EventSource, folder: Path, binning: Binning, num_steps: int | None = None
) -> Found:
    """Return the files of a data set; raises DataError where some are missing or ambiguous.

    Binning and number of steps matter only where there are frames and no events.
    """
    own = source.layouts(folder)
    layouts = [each for each in (*own, *events_np(source, folder)) if each.is_there]
    frames = frame_folders(source, folder)
    if frames and not layouts:
        return _found_frames(frames, folder, binning, num_steps)
    chosen, *others = [*layouts, *(each.layout for each in frames)] or own[:1]
    recordings = chosen.listed()
    passed_over = [_same(chosen, recordings, other) for other in others]
    notes = []
    if others:
        notes.append(
            f"{chosen} is read; passed over, with the same "
            f"{len(recordings.train) + len(recordings.test)} recordings by class and name: "
            f"{', '.join(map(str, others))}"
        )
    return Found(recordings, (*notes, *_unread(chosen, others, [recordings, *passed_over])), {})


def survey(source: EventSource, folder: Path, binning: Binning, num_steps: int | None) -> Survey:
    """Check the files on disk without reading them."""
    found = find(source, folder, binning, num_steps)
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
        num_steps=tuple(found.frames),
    )


def _found_frames(
    frames: list[Frames], folder: Path, binning: Binning, num_steps: int | None
) -> Found:
    layouts: dict[int, Layout] = {}
    for each in frames:
        if each.binning == binning:
            other = layouts.setdefault(each.num_steps, each.layout)
            if other is not each.layout:
                raise DataError(f"there are both {other} and {each.layout}; leave one of them")
    if not layouts or num_steps not in (None, *layouts):
        asked = "" if num_steps is None else f"num_steps = {num_steps} and "
        there = ", ".join(
            f"num_steps = {each.num_steps} with --binning {each.binning} ({each.layout.home.name})"
            for each in frames
        )
        raise DataError(
            f"{folder} has no events of this data set, only SpikingJelly's frames: {there}. "
            f"Needed: {asked}--binning {binning}. Let SpikingJelly make these too, ask for what is "
            "there, or put its folder events_np beside them, of which any number of steps is binned"
        )
    first, *others = layouts.values()
    listed = [first.listed()]
    listed += [_same(first, listed[0], other) for other in others]
    by_steps = dict(zip(layouts, listed, strict=True))
    chosen = min(layouts) if num_steps is None else num_steps
    note = (
        f"{first.home.parent} has no events, so SpikingJelly's frames are read as they are, for "
        f"num_steps = {', '.join(map(str, layouts))}"
    )
    unread = _unread(layouts[chosen], [], [by_steps[chosen]])
    return Found(by_steps[chosen], (note, *unread), by_steps)


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
