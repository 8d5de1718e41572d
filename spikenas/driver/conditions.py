"""The data and the code that a run's figures depend on: found, read, and compared on `resume`."""

import logging
from dataclasses import replace

from spikenas import code
from spikenas import data as data_sets
from spikenas.data import Data, DataInfo, DataSpec, data_spec
from spikenas.data.own_data import given_settings
from spikenas.exceptions import UsageError
from spikenas.search_space import SearchSpace
from spikenas.settings import SearchSettings, code_of

_log = logging.getLogger(__name__)


def identified(space: SearchSpace, settings: SearchSettings) -> tuple[SearchSpace, SearchSettings]:
    """Return the space for the images of the data set, and settings that say what is there now.

    The files of the data set are checked on the way.
    """
    info = data_sets.describe(settings.data)
    space = space.with_input(info.input, info.num_classes)
    for num_steps in _steps_on_disk(space, info):
        data_sets.describe(settings.data.with_steps(num_steps))
    code.refresh()
    return space, replace(
        settings,
        code=code_of(space, settings.modules_of_others),
        data_sha256=data_sets.content_sha256(settings.data),
        preprocessing=data_sets.preprocessing_of(settings.data, info).to_dict(),
        classes=info.classes,
    )


def _steps_on_disk(space: SearchSpace, info: DataInfo) -> list[int]:
    """Return the space's numbers of steps where events are read as frames, made for each of them.

    Where the frames are binned here, any number of steps will do, and the list is empty.
    """
    choices = dict(space.domain())["num_steps"] if info.num_steps else ()
    return [value for value in choices if isinstance(value, int)]


def read_all(space: SearchSpace, data: DataSpec, settings: SearchSettings) -> None:
    """Read the whole data set, so that a damaged file is found before a run begins or goes on."""
    info = data_sets.load(data, settings.data_sha256).info
    for note in info.notes:
        _log.warning("%s", note)
    for num_steps in _steps_on_disk(space, info):
        data_sets.load(settings.data.with_steps(num_steps), settings.data_sha256)


def given_again(run: str, begun: DataSpec, data: Data | None) -> DataSpec:
    """Return the data of a run with the samples of the user's own, which no store keeps.

    Whether they are those that the run was begun with, is for `changes` to say. Settings that come
    with them and contradict the run are refused.
    """
    if begun.own is None:
        if data is not None:
            raise UsageError(
                f"run {run!r} reads its data set {begun.name} by itself; leave data out"
            )
        return begun
    if data is None:
        raise UsageError(
            f"run {run!r} was begun with data of your own, {begun.name!r} with SHA-256 "
            f"{begun.own.sha256[:12]}..., which no store keeps; give the same again, in Python: "
            f"spikenas.resume({run!r}, data=...)"
        )
    own = data_spec(data).own
    if own is None:
        raise UsageError(
            f"run {run!r} was begun with data of your own, {begun.name!r}; give the same, not the "
            "data set of a name"
        )
    for setting, value in given_settings(data).items():
        then = getattr(begun, setting)
        if value != then:
            raise UsageError(
                f"data has {setting} = {value!r}, but run {run!r} was begun with {then!r}; give "
                "the same, or leave it out"
            )
    return replace(begun, own=own)


def changes(begun: SearchSettings, now: SearchSettings) -> list[str]:
    """Say in which data or code a run differs from when it was begun."""
    if not begun.code:
        return ["spikenas 0.1.0 recorded neither its data nor its code"]
    changes = []
    if begun.data_sha256 != now.data_sha256:
        changes.append(
            f"the {'samples' if now.data.own else 'files'} of {now.data.place} have SHA-256 "
            f"{str(now.data_sha256)[:12]}..., then {str(begun.data_sha256)[:12]}..."
        )
    if changed := code.changes(begun.code, now.code):
        changes.append(f"the code has changed: {', '.join(changed)}")
    return changes
