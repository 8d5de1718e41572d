"""`Candidate` and `Attempt`: rows of the store as plain data, and their queries."""

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
    """One proposal of a run: its genes, its state and its figures.

    Figures are None until it is trained. ``row`` is its id in the store; ``number`` counts the
    proposals of the run. ``duplicate_of`` is the row whose result it shares. ``weights_path`` and
    ``weights_sha256`` are set while its weights are kept; `read_weights` reads them.
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
        """The genotype; UnknownNameError if a plugin that it needs is not imported."""
        return Architecture.from_dict(self.genes)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form, as in ``pareto --json``."""
        shown = {name: getattr(self, name) for name in (*FIGURES, "fidelity", "seed")}
        return {"id": self.id, "key": self.key, "architecture": dict(self.genes), **shown}


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A worker's attempt at a candidate; ``outcome`` is a State, requeued or interrupted."""

    number: int
    worker: str
    started_at: datetime
    ended_at: datetime | None
    outcome: str | None
    error: str | None
    traceback: str | None


def select_candidates() -> Select[Any]:
    """Return the query for the rows that `to_candidate` reads; callers add filters."""
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
    """Convert a row of `select_candidates`."""
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
    """Return the kept weights of a candidate, verified against the recorded SHA-256.

    Raises:
        NotFoundError: they were not kept, or the file is missing.
        ArtefactError: the file is damaged or truncated.
        MachineError: the file cannot be read.
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
            f"the weights of {name} cannot be read: {path}: {error.strerror}; fix that, or name "
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
    """Return the attempts at a candidate, first one first."""
    query = (
        select(*(attempts.c[field.name] for field in fields(Attempt)))
        .where(attempts.c.evaluation_id == row)
        .order_by(attempts.c.number)
    )
    return [Attempt(**found._mapping) for found in connection.execute(query)]
