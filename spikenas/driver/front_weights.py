"""`FrontWeights`: the trained weights of the members of the front, as files beside the store.

A file is complete once it bears its name (written aside, flushed, renamed), and only then is its
candidate recorded as complete, in one transaction with the SHA-256 of the bytes that were written.
A file that was found on disk is never given a new digest: where the driver was killed before the
record, the candidate is trained again. Only files with such a record are deleted, and drafts.
"""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from spikenas import pareto
from spikenas.evaluation import Evaluation, State
from spikenas.exceptions import MachineError
from spikenas.figures import Figure
from spikenas.store import Candidate, KeptFile, RunWriter

_KIND = "weights"


class FrontWeights:
    """Keeps one file for each member of the front and none for the others."""

    def __init__(self, writer: RunWriter, objectives: Sequence[Figure]) -> None:
        self._writer = writer
        self._folder = writer.run.artifact_folder / writer.run.name
        if writer.run.generation > 1:  # an equal key may be in each
            self._folder /= f"generation-{writer.run.generation}"
        self._objectives = tuple(objectives)
        complete = writer.run.candidates(states=[State.COMPLETE])
        self._kept = {each.row: each for each in complete if each.weights_path is not None}
        self.front: list[Candidate] = []
        self.settle()
        for candidate in writer.run.candidates():  # left by a driver that was killed
            self._delete(self._aside(candidate.key))

    def save(self, key: str, weights: bytes, evaluation: Evaluation) -> KeptFile | None:
        """Write the weights of a new result, if it joins the front; before it is recorded."""
        if not self.would_join(evaluation):
            return None
        path, aside = self._path(key), self._aside(key)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with aside.open("wb") as file:
                file.write(weights)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(path)
        except OSError as error:
            raise self._fault(f"weights cannot be written to {path}", error) from error
        return KeptFile(_KIND, path, hashlib.sha256(weights).hexdigest(), len(weights))

    def settle(self) -> None:
        """Bring files and store in line with the front as it is recorded."""
        self.front = self._writer.run.pareto_front()
        rows = {member.row for member in self.front}
        kept = {member.row: member for member in self.front if member.weights_path is not None}
        self._kept |= kept
        for row in [row for row in self._kept if row not in rows]:
            left = self._kept.pop(row)
            self._writer.drop_artifact(row, _KIND)
            if left.weights_path == self._path(left.key):  # nothing that the run did not write
                self._delete(left.weights_path)

    def would_join(self, evaluation: Evaluation) -> bool:
        """Whether a result would be on the front."""
        points = [
            [o.loss(getattr(found, o.name)) for o in self._objectives]
            for found in (evaluation, *self.front)
        ]
        return bool(pareto.is_non_dominated(points)[0])

    def _delete(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise self._fault(f"{path} cannot be deleted", error) from error

    def _fault(self, what: str, error: OSError) -> MachineError:
        cure = self._writer.run.command("resume")
        return MachineError(f"{what}: {error.strerror}; mend that, then `{cure}`")

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.safetensors"

    def _aside(self, key: str) -> Path:
        return self._folder / f"{key}.part"
