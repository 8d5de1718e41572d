"""`export_candidate`: a trained candidate of a run as a verified folder.

The record tells what the export claims: the weights by their SHA-256, the figures, the settings of
the run, and how images were prepared.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from spikenas import export
from spikenas.data import describe, preprocessing_of
from spikenas.exceptions import DataError
from spikenas.plugins import import_plugins, refuse_changed
from spikenas.preprocessing import Preprocessing
from spikenas.store.candidate import Candidate, read_weights

if TYPE_CHECKING:
    from spikenas.store.run import Run

_log = logging.getLogger(__name__)


def export_candidate(
    run: "Run",
    candidate: Candidate,
    to: str | Path,
    *,
    formats: Sequence[str],
    normalise_input: bool,
    nir_dt: float | None,
    overwrite: bool,
    allow_plugins: bool,
    accept_changes: bool,
) -> Path:
    """Write an export, see `spikenas.store.Run.export`."""
    of = f"run {run.name!r}"
    import_plugins(run.plugins, of=of, is_allowed=allow_plugins)
    settings = run.settings
    refuse_changed(run.plugins, settings.code, of=of, accept_changes=accept_changes)
    weights = read_weights(candidate)
    evaluation = run.evaluation(candidate)
    preprocessing, classes = _preprocessing(run)
    return export.write(
        candidate.architecture,
        weights,
        evaluation.to_dict(),
        {
            **settings.claims(run.name),
            "candidate": candidate.id,
            "created_at": run.created_at.isoformat(),
            "versions": dict(evaluation.versions),
        },
        to,
        beside=formats,
        preprocessing=preprocessing,
        classes=classes,
        normalise_input=normalise_input,
        nir_dt=nir_dt,
        overwrite=overwrite,
    )


def _preprocessing(run: "Run") -> tuple[Preprocessing | None, tuple[str, ...]]:
    """Return what the run recorded of its images, else what its data set tells now."""
    settings = run.settings
    if settings.preprocessing is not None:
        return Preprocessing.from_dict(settings.preprocessing), settings.classes
    if settings.data.plugin is not None:  # no text of a run has a package imported
        return None, settings.classes
    try:
        info = describe(settings.data)
    except DataError as error:
        _log.warning("without preprocessing, which run %s did not record: %s", run.name, error)
        return None, settings.classes
    return preprocessing_of(settings.data, info), settings.classes or info.classes
