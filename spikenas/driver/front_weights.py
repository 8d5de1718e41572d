"""`FrontWeights`: the trained weights of the members of the front, as files beside the store.

A file is complete once it bears its name (written aside, flushed, renamed), and it does before
the store says that its candidate is complete. A driver killed in between loses no weights: the
next `settle` finds the file and enters it.
"""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from spikenas import pareto
from spikenas.evaluation import Evaluation, State
from spikenas.objectives import Objective
from spikenas.store import Candidate, RunWriter

_KIND = "weights"


class FrontWeights:
    """Keeps one file for each member of the front and none for the others."""

    def __init__(self, writer: RunWriter, folder: Path, objectives: Sequence[Objective]) -> None:
        self._writer = writer
        self._folder = folder
        self._objectives = tuple(objectives)
        complete = writer.run.candidates(states=[State.COMPLETE])
        self._kept = {each.row: each for each in complete if each.weights_path is not None}
        self.front: list[Candidate] = []
        self.settle()
        named = {self._path(member.key) for member in self.front}
        for path in folder.glob("*.*"):  # left by a driver that was killed
            if path not in named:
                path.unlink()

    def save(self, key: str, weights: bytes, evaluation: Evaluation) -> None:
        """Write the weights of a new result, if it joins the front; before it is recorded."""
        if not self.would_join(evaluation):
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._path(key)
        aside = path.with_suffix(".part")
        with aside.open("wb") as file:
            file.write(weights)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)

    def settle(self) -> None:
        """Bring files and store in line with the front as it is recorded."""
        self.front = self._writer.run.pareto_front()
        rows = {member.row for member in self.front}
        for member in self.front:
            path = self._path(member.key)
            if member.row not in self._kept and path.is_file():
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                self._writer.add_artifact(member.row, _KIND, path, digest, path.stat().st_size)
                self._kept[member.row] = member
        for row in [row for row in self._kept if row not in rows]:
            left = self._kept.pop(row)
            self._writer.drop_artifact(row, _KIND)
            self._path(left.key).unlink(missing_ok=True)

    def read(self, member: Candidate) -> bytes | None:
        """Return the weights of a member of the front, if they were kept."""
        path = self._path(member.key)
        return path.read_bytes() if path.is_file() else None

    def would_join(self, evaluation: Evaluation) -> bool:
        """Whether a result would be on the front."""
        points = [
            [o.loss(getattr(found, o.name)) for o in self._objectives]
            for found in (evaluation, *self.front)
        ]
        return bool(pareto.is_non_dominated(points)[0])

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.safetensors"
