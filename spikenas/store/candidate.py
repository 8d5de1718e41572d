"""`Candidate` and `Attempt`: rows of the store as plain data, and how they are read."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, Select, select

from spikenas.architecture import Architecture
from spikenas.evaluation import State
from spikenas.exceptions import ArtefactError, MachineError, NotFoundError
from spikenas.figures import FIGURES, Figures
from spikenas.store.schema import architectures, artifacts, attempts, evaluations, runs


@dataclass(frozen=True, kw_only=True)
class Candidate(Figures[None]):
    """One proposal of a run: what it is, how it stands and what it scored.

    Figures are None until it was trained. ``row`` is its place in the store, over all runs;
    ``number`` that of its proposal within the run. ``duplicate_of`` is the row whose result it
    shares. ``weights_path`` and ``weights_sha256`` are set while its weights are kept, for
    `read_weights`.
    """

    row: int
    run: str
    number: int
    key: str
    state: State
    genes: Mapping[str, Any]
    choices: Mapping[str, Any]
    margins: Mapping[str, float]
    fidelity: int | None
    seed: int | None
    wall_seconds: float | None
    reason: str | None
    error: str | None
    duplicate_of: int | None
    weights_path: Path | None
    weights_sha256: str | None = None

    @property
    def id(self) -> str:
        """The first 12 digits of the key, as tables and ``RUN/ID`` show it."""
        return self.key[:12]

    @cached_property
    def architecture(self) -> Architecture:
        """The genotype; raises UnknownNameError when a plugin that it needs is not imported."""
        return Architecture.from_dict(self.genes)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form, as a member of ``pareto --json``."""
        shown = {name: getattr(self, name) for name in (*FIGURES, "fidelity", "seed")}
        return {"id": self.id, "key": self.key, "architecture": dict(self.genes), **shown}


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One time that a worker tried a candidate; ``outcome`` is a State, requeued or interrupted."""

    number: int
    worker: str
    started_at: datetime
    ended_at: datetime | None
    outcome: str | None
    error: str | None
    traceback: str | None


def select_candidates() -> Select[Any]:
    """Return the query whose rows `to_candidate` reads; filters are added to it."""
    weights = artifacts.alias("weights")
    of_candidate = (weights.c.evaluation_id == evaluations.c.id) & (weights.c.kind == "weights")
    return (
        select(
            evaluations.c.id.label("row"),
            *(evaluations.c[f.name] for f in fields(Candidate) if f.name in evaluations.c),
            runs.c.name.label("run"),
            architectures.c.key,
            architectures.c.genes,
            weights.c.path.label("weights_path"),
            weights.c.sha256.label("weights_sha256"),
        )
        .select_from(evaluations)
        .join(architectures, architectures.c.id == evaluations.c.architecture_id)
        .join(runs, runs.c.id == evaluations.c.run_id)
        .outerjoin(weights, of_candidate)
    )


def to_candidate(row: Row[Any], artifact_folder: Path) -> Candidate:
    """Return a row of `select_candidates` as data."""
    columns = dict(row._mapping)
    path = columns.pop("weights_path")
    return Candidate(
        **{
            **columns,
            "state": State(columns["state"]),
            "weights_path": None if path is None else artifact_folder / path,
        }
    )


def read_weights(candidate: Candidate) -> bytes:
    """Return the kept weights of a candidate, the same bytes that were recorded.

    Raises:
        NotFoundError: they were not kept, or the file is not where it is looked for.
        ArtefactError: the file is damaged or cut off.
        MachineError: the machine does not let it be read.
    """
    name, path = f"{candidate.run}/{candidate.id}", candidate.weights_path
    if path is None:
        raise NotFoundError(
            f"the weights of {name} ({candidate.state}) were not kept: only members of the front "
            "keep theirs, which `spikenas pareto` lists"
        )
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise NotFoundError(
            f"the weights of {name} are not at {path}; put the file back there, name another "
            "copy of the artefact folder with --artifacts (SPIKENAS_ARTIFACTS), or train the "
            "candidate again in a new run"
        ) from None
    except OSError as error:
        raise MachineError(
            f"the weights of {name} cannot be read: {path}: {error.strerror}; mend that, or name "
            "another copy of the artefact folder with --artifacts (SPIKENAS_ARTIFACTS)"
        ) from error
    found = hashlib.sha256(content).hexdigest()
    if found != candidate.weights_sha256:
        raise ArtefactError(
            f"the weights of {name} are damaged: {path} has SHA-256 {found[:12]}..., recorded was "
            f"{str(candidate.weights_sha256)[:12]}...; restore the file, or train the candidate "
            "again in a new run"
        )
    return content


def read_attempts(connection: Connection, row: int) -> list[Attempt]:
    """Return each time that the candidate was tried, first one first."""
    query = (
        select(*(attempts.c[field.name] for field in fields(Attempt)))
        .where(attempts.c.evaluation_id == row)
        .order_by(attempts.c.number)
    )
    return [Attempt(**found._mapping) for found in connection.execute(query)]
