"""`Run`: reads one search from the store; `RunSummary`: its line in a list of runs."""

import logging
import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, case, func, literal, select

from spikenas.evaluation import Evaluation, State
from spikenas.exceptions import (
    DataError,
    NotFoundError,
    UnknownNameError,
    UsageError,
    in_short,
)
from spikenas.figures import Figure, objective
from spikenas.plugins import import_plugins, plugins_in, refuse_changed
from spikenas.preprocessing import Preprocessing
from spikenas.store.candidate import (
    Attempt,
    Candidate,
    read_attempts,
    read_weights,
    select_candidates,
    to_candidate,
)
from spikenas.store.clock import DatabaseTime
from spikenas.store.connection import Database
from spikenas.store.evaluation_rows import read_evaluation
from spikenas.store.front import front_rows
from spikenas.store.schema import architectures, evaluations, runs
from spikenas.store.where import compile_where

if TYPE_CHECKING:
    from spikenas.settings import SearchSettings

MIN_PREFIX = 8
_CHUNK = 10_000  # ids in one statement; SQLite allows 32,766
_SHOWN_ROWS = 10
_IMPORTING = ("resume", "export", "energy")  # commands that need consent to a run's plugins
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """One line of the list of runs; ``counts`` has every state as a key."""

    name: str
    status: str
    created_at: datetime
    seed: int
    objectives: tuple[str, ...]
    counts: Mapping[str, int]


class Run:
    """One search: its settings, its candidates and their front. Every call reads the store anew.

    When the data or the code changed, the run began a new ``generation``; candidates of earlier
    generations are never compared with those of the current one.
    """

    def __init__(self, database: Database, row: int, artifact_folder: Path) -> None:
        self._database, self._row = database, row
        self.artifact_folder = artifact_folder
        with database.reading() as connection:
            found = connection.execute(select(runs).where(runs.c.id == row)).one()
        self.name: str = found.name
        self.seed: int = found.seed
        self.objectives: tuple[str, ...] = tuple(found.objectives)
        self.settings_json: dict[str, Any] = found.settings
        self.space_toml: str = found.space_toml
        self.plugins = plugins_in(self.space_toml)
        self.generation: int = found.generation
        self.created_at: datetime = found.created_at

    @property
    def settings(self) -> "SearchSettings":
        """The settings of the search; UsageError if a later spikenas wrote unknown ones."""
        from spikenas.settings import SearchSettings  # noqa: PLC0415  (imports torch)

        return SearchSettings.from_dict(self.settings_json)

    @property
    def status(self) -> str:
        """``running``, ``finished``, ``failed`` or ``interrupted`` (also if the driver died)."""
        with self._database.reading() as connection:
            return str(
                connection.execute(select(STATUS).where(runs.c.id == self._row)).scalar_one()
            )

    def counts(self) -> dict[str, int]:
        """Return the number of candidates per state, without duplicates; has every state."""
        return read_counts(self._database, self._row)[self._row]

    def candidates(
        self,
        states: Collection[State | str] | None = None,
        *,
        where: str | None = None,
        include_duplicates: bool = False,
        all_generations: bool = False,
    ) -> list[Candidate]:
        """Return the candidates in the order of their proposal.

        Args:
            states: only candidates in these states, each a `spikenas.State` or its name; None for
                all.
            where: a filter, see `spikenas.store.where`.
            include_duplicates: also proposals that share the result of an earlier one.
            all_generations: also those trained on earlier data or by earlier code.
        """
        query = self._select(include_duplicates, all_generations)
        if states is not None:
            query = query.where(evaluations.c.state.in_(_state_values(states)))
        if where is not None:
            query = query.where(compile_where(where))
        return self._read(query.order_by(evaluations.c.number))

    def candidate(self, id_prefix: str) -> Candidate:
        """Return the candidate whose key has this prefix of at least 8 hex digits."""
        prefix = id_prefix.lower()
        if not re.fullmatch(rf"[0-9a-f]{{{MIN_PREFIX},64}}", prefix):
            raise UsageError(
                f"candidate {id_prefix!r}: give at least {MIN_PREFIX} digits of its key, of the "
                "64 from 0 to f that it has"
            )
        query = self._select().where(architectures.c.key.startswith(prefix))
        found = self._read(query.order_by(evaluations.c.number))
        if not found:
            raise NotFoundError(
                f"run {self.name!r} has no candidate {id_prefix}; "
                f"`{self.command('pareto')}` lists the best"
            )
        if len(found) > 1:
            shown = "\n".join(f"  {c.key}  number {c.number}, {c.state}" for c in found[:20])
            raise UsageError(
                f"candidate {id_prefix} of run {self.name!r} could be one of {len(found)}; "
                f"give more digits:\n{shown}"
            )
        return found[0]

    def pareto_front(
        self, objectives: Sequence[str] | None = None, where: str | None = None
    ) -> list[Candidate]:
        """Return the non-dominated candidates, best in the first objective first.

        Args:
            objectives: names of `spikenas.figures.OBJECTIVES`; None for those of the run.
            where: a filter that is applied before the front is computed.
        """
        if isinstance(objectives, str):
            raise UsageError(f"objectives = {objectives!r}; needed: a list, [{objectives!r}]")
        sought = [objective(name) for name in dict.fromkeys(objectives or self.objectives)]
        condition = evaluations.c.generation == self.generation
        if where is not None:
            condition &= compile_where(where)
        with self._database.reading() as connection:
            rows = front_rows(connection, self._row, sought, condition)
        found = [
            candidate
            for start in range(0, len(rows), _CHUNK)
            for candidate in self._read(
                self._select().where(evaluations.c.id.in_(rows[start : start + _CHUNK]))
            )
        ]
        return sorted(found, key=lambda c: (*(_loss(o, c) for o in sought), c.number))

    def best(self, objective_name: str, where: str | None = None) -> Candidate:
        """Return the candidate that is best in one objective; the others break ties.

        ``where`` is a filter of the candidates to choose from.
        """
        names = dict.fromkeys((objective_name, *self.objectives))
        front = self.pareto_front([objective_name], where)
        if not front and where is not None and self.pareto_front([objective_name]):
            raise NotFoundError(f"run {self.name!r} has no complete candidate with {where}")
        if not front:
            raise NotFoundError(
                f"run {self.name!r} has no complete candidate yet; "
                f"`{self.command('status')}` shows its state"
            )
        return min(front, key=lambda c: (*(_loss(objective(n), c) for n in names), c.number))

    def command(self, verb: str, *options: str, candidate: str = "") -> str:
        """Return a shell command for this run, or for a candidate of it, ready to be typed.

        A run on data of the user's own is resumed in Python, which must be given the data again.
        """
        name = f"{self.name}/{candidate}" if candidate else self.name
        if verb == "resume" and (self.settings_json.get("data") or {}).get("own"):
            store = "".join(f", store={url!r}" for url in self._database.option[1:])
            return f"spikenas.resume({name!r}, data=...{store})"
        plugins = self.plugins
        if verb == "resume":
            plugins += tuple(self.settings_json.get("plugins", ()))  # also of energy model and data
        consent = ["--allow-plugins"] if verb in _IMPORTING and plugins else []
        return shlex.join(["spikenas", verb, name, *options, *self._database.option, *consent])

    def export(
        self,
        candidate: Candidate | str,
        to: str | Path,
        *,
        formats: Sequence[str] = (),
        normalise_input: bool = False,
        nir_dt: float | None = None,
        overwrite: bool = False,
        allow_plugins: bool = False,
        accept_changes: bool = False,
    ) -> Path:
        """Write a trained candidate as a verified folder, and return the folder.

        The folder contains the weights, the architecture, the figures and the provenance. It is
        read back and the logits of its network are compared before this method returns.
        `spikenas.load` reads it.

        Args:
            candidate: one of this run, or at least 8 digits of its id.
            to: a folder that does not exist yet.
            formats: any of ``onnx``, ``pt2`` and ``nir``; each is compared with the network.
            normalise_input: let the graphs of these formats take images in 0..1 and normalise them.
            nir_dt: time step of the simulators that will run the NIR file, in seconds; ``if``
                neurons become LIF nodes then.
            overwrite: replace an older export.
            allow_plugins: import the plugins of the run's space.
            accept_changes: also if the code of a plugin has changed since the training.

        Raises:
            NotFoundError: the candidate does not exist, or its weights were not kept.
            ArtefactError: the weights are damaged.
            InfeasibleError: a format cannot express the network.
            UsageError: the folder exists, or a format is unknown or its package is missing.
        """
        from spikenas import export  # noqa: PLC0415  (imports torch)

        candidate = self._own(candidate)
        of, settings = f"run {self.name!r}", self.settings
        import_plugins(settings.plugins, of=of, is_allowed=allow_plugins)
        refuse_changed(settings.plugins, settings.code, of=of, accept_changes=accept_changes)
        weights = read_weights(candidate)
        evaluation = self.evaluation(candidate)
        preprocessing, classes = self._preprocessing()
        return export.write(
            candidate.architecture,
            weights,
            evaluation.to_dict(),
            {
                **settings.claims(self.name),
                "candidate": candidate.id,
                "created_at": self.created_at.isoformat(),
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

    def _own(self, candidate: Candidate | str) -> Candidate:
        """Return a candidate of this run; what another run says of one would not be true of it."""
        if isinstance(candidate, str):
            return self.candidate(candidate)
        if not isinstance(candidate, Candidate):
            raise UsageError(
                f"candidate = {in_short(candidate)}; needed: a Candidate of this run, or its id"
            )
        query = self._select(all_generations=True).where(evaluations.c.id == candidate.row)
        found = self._read(query)
        if not found or (candidate.run, candidate.key) != (self.name, found[0].key):
            raise UsageError(
                f"candidate {candidate.id} is of run {candidate.run!r}, not of run {self.name!r} "
                "in this store; use the run that it was read from"
            )
        return found[0]

    def evaluation(self, candidate: Candidate) -> Evaluation:
        """Return the evaluation of a candidate, with its measured Workload."""
        with self._database.reading() as connection:
            return read_evaluation(connection, candidate.row)

    def attempts(self, candidate: Candidate) -> list[Attempt]:
        """Return the attempts of workers at the candidate, with tracebacks of failures."""
        with self._database.reading() as connection:
            return read_attempts(connection, candidate.row)

    def __repr__(self) -> str:
        return f"<Run {self.name!r}: {self.status}; {self._counts_text()}>"

    def _repr_html_(self) -> str:
        front = self.pareto_front()
        columns = ("id", *dict.fromkeys((*self.objectives, "parameters", "test_accuracy")))
        head = "".join(f"<th>{escape(name)}</th>" for name in columns)
        rows = "".join(
            f"<tr>{''.join(f'<td>{_cell(getattr(c, name))}</td>' for name in columns)}</tr>"
            for c in front[:_SHOWN_ROWS]
        )
        more = f"<p>{len(front) - _SHOWN_ROWS} more</p>" if len(front) > _SHOWN_ROWS else ""
        return (
            f"<p><b>Run {escape(self.name)}</b>: {escape(self.status)}; "
            f"{self._counts_text()}; front of {len(front)}</p>"
            f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{more}"
        )

    def _counts_text(self) -> str:
        counts = ", ".join(f"{n} {state}" for state, n in self.counts().items() if n)
        return counts or "no candidates"

    def _preprocessing(self) -> tuple[Preprocessing | None, tuple[str, ...]]:
        """Return what the run recorded; for a run of 0.1.0, what its data set says today."""
        from spikenas.data import describe, preprocessing_of  # noqa: PLC0415  (imports torch)

        settings = self.settings
        if settings.preprocessing is not None:
            return Preprocessing.from_dict(settings.preprocessing), settings.classes
        if settings.data.plugin is not None:  # a recorded name must not import a package
            return None, settings.classes
        try:
            info = describe(settings.data)
        except DataError as error:
            _log.warning("without preprocessing, which run %s did not record: %s", self.name, error)
            return None, settings.classes
        return preprocessing_of(settings.data, info), settings.classes or info.classes

    def _select(
        self, include_duplicates: bool = False, all_generations: bool = False
    ) -> Select[Any]:
        query = select_candidates().where(evaluations.c.run_id == self._row)
        if not all_generations:
            query = query.where(evaluations.c.generation == self.generation)
        return query if include_duplicates else query.where(evaluations.c.duplicate_of.is_(None))

    def _read(self, query: Select[Any]) -> list[Candidate]:
        with self._database.reading() as connection:
            return [to_candidate(row, self.artifact_folder) for row in connection.execute(query)]


# A killed driver leaves ``running`` behind; its expired lease shows that it is gone.
STATUS = case(
    (
        (runs.c.status == "running")
        & func.coalesce(runs.c.lease_expires_at < DatabaseTime(), literal(True)),
        "interrupted",
    ),
    else_=runs.c.status,
).label("status")


def read_counts(database: Database, *rows: int) -> dict[int, dict[str, int]]:
    """Return the number of candidates per state, for each of the runs."""
    counts = {row: dict.fromkeys((state.value for state in State), 0) for row in rows}
    query = (
        select(evaluations.c.run_id, evaluations.c.state, func.count())
        .join(runs, runs.c.id == evaluations.c.run_id)
        .where(
            evaluations.c.run_id.in_(rows),
            evaluations.c.generation == runs.c.generation,
            evaluations.c.duplicate_of.is_(None),
        )
        .group_by(evaluations.c.run_id, evaluations.c.state)
    )
    with database.reading() as connection:
        for row, state, number in connection.execute(query):
            counts[row][state] = number
    return counts


def _state_values(states: Collection[State | str]) -> list[str]:
    names = [state.value for state in State]
    if isinstance(states, str):
        raise UsageError(f"states = {str(states)!r}; needed: a list, [{str(states)!r}]")
    for state in states:
        if state not in names:
            raise UnknownNameError("state", state, names)
    return [str(state) for state in states]


def _loss(sought: Figure, candidate: Candidate) -> float:
    return sought.loss(getattr(candidate, sought.name))


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return escape(f"{value:.4g}" if isinstance(value, float) else str(value))
