"""`SearchLoop`: ask, screen, submit, record, tell, until the budget is spent.

It is the only writer of the run. Each step leaves the store in a state that `resume` can go on
from: a result is one transaction, weights are on disk before it, and what is in flight when the
driver stops is put back into the queue.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from spikenas.architecture import Architecture
from spikenas.data import fingerprint
from spikenas.distributed import WorkerPool
from spikenas.driver.faults import Faults, can_go_on
from spikenas.driver.front_weights import FrontWeights
from spikenas.driver.progress import OnProgress, Tally, no_success
from spikenas.driver.proposals import Proposals, Screened, shortened
from spikenas.evaluation import Evaluation, State
from spikenas.evaluator import Outcome
from spikenas.exceptions import (
    ArtefactError,
    BudgetError,
    NotFoundError,
    StoreError,
)
from spikenas.figures import objective
from spikenas.settings import SearchSettings
from spikenas.store import Candidate, RunWriter, Store, read_weights

_TICK_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    """A candidate on its way through the pool."""

    row: int
    number: int
    architecture: Architecture
    margins: Mapping[str, float]

    @property
    def job_id(self) -> str:
        return str(self.row)


class SearchLoop:
    """Drives one run from where it stands to its end.

    Args:
        proposals: goes on after those of ``screened`` and those the run holds.
        screened: proposals that were made before there was a run.
        known: the run's candidates when it is resumed.
        began: when the caller began, by `time.monotonic`.
    """

    def __init__(
        self,
        *,
        settings: SearchSettings,
        store: Store,
        writer: RunWriter,
        pool: WorkerPool,
        proposals: Proposals,
        screened: Iterable[Screened] = (),
        known: Sequence[Candidate] = (),
        began: float,
        on_progress: OnProgress | None = None,
    ) -> None:
        self._settings = settings
        self._store = store
        self._writer = writer
        self._pool = pool
        self._proposals = proposals
        self._screened = deque(screened)
        self._objectives = [objective(name) for name in settings.objectives]
        self._data_fingerprint = fingerprint(settings.data, settings.data_sha256)
        self._rows = {each.key: each.row for each in known}
        self._tally = Tally(
            run=writer.run.name,
            trials=settings.trials,
            time_budget_s=settings.time_budget_s,
            known=known,
            began=began,
            on_progress=on_progress,
        )
        self._states, self._report = self._tally.states, self._tally.report
        self._repeats: dict[int, list[Screened]] = {}  # of what has no end yet, by its row
        self._queue = deque(_task(each) for each in known if each.state is State.QUEUED)
        self._in_flight: dict[str, _Task] = {}
        self._weights = FrontWeights(writer, self._objectives)
        self._idle_proposals = 0
        self._is_over = False
        self._faults = Faults(writer.run.command("resume"), self._report, settings.max_attempts)
        self._rules_shown: set[str] = set()
        self._reasons_shown: set[str] = set()

    def run(self) -> None:
        """Search; on Ctrl-C or an error put back what is in flight, say so in the store, raise."""
        try:
            was_finished = self._is_finished()
            self._report("the search is finished already" if was_finished else "")
            self._train()
            self._test_front()
            if not self._writer.run.counts()[State.COMPLETE]:
                raise BudgetError(no_success(self._writer.run))
        except BaseException as error:
            with suppress(StoreError):  # the first error is the one to hear of
                self._put_back()
                self._writer.finish("interrupted" if can_go_on(error) else "failed")
            raise
        self._writer.finish("finished")
        self._report(self._bounds_kept())
        self._report("" if was_finished else "the search is finished")

    def _is_finished(self) -> bool:
        """Whether nothing is left to be trained or tested, before anything was."""
        is_trained = self._tally.num_ended >= self._settings.trials and not self._queue
        front = self._weights.front
        is_tested = all(m.test_accuracy is not None for m in front)
        return is_trained and bool(front) and (is_tested or not self._settings.data.has_test)

    def _train(self) -> None:
        while True:
            while len(self._in_flight) < self._pool.num_workers and self._prepare():
                self._submit(self._queue.popleft())
            if not self._in_flight:
                return
            if self._pool.num_workers > 1 and not self._queue:
                self._prepare()  # the next worker that is free does not wait for the sampler
            outcome = self._pool.next_result(_TICK_S)
            if outcome is None:
                self._report()
            else:
                self._settle(outcome)

    def _prepare(self) -> bool:
        """Have a candidate in the queue; False where none shall be begun any more."""
        if self._tally.time_is_up:
            return False
        while not self._queue:
            is_enough = self._tally.num_ended + len(self._in_flight) >= self._settings.trials
            if is_enough or self._is_over:
                return False
            if not self._screened and self._proposals.is_exhausted:
                return self._end("every member of the space is known")
            limit = max(200, 50 * self._settings.trials)
            if self._idle_proposals >= limit:
                return self._end(f"{limit} proposals in a row needed no training; this is the end")
            self._take(self._screened.popleft() if self._screened else self._proposals.next())
        return True

    def _take(self, screened: Screened) -> None:
        """Enter a proposal in the store, and queue it if a worker should have it."""
        proposal = screened.proposal
        self._idle_proposals += 1
        if screened.is_repeat:
            self._enter_repeat(screened, self._rows[proposal.architecture.key])
        elif screened.traceback is not None:
            row = self._add(screened, State.QUEUED)
            lines = screened.traceback.strip().splitlines()
            self._writer.record(
                row, state=State.FAILED, error=lines[-1], traceback=screened.traceback
            )
            self._states[row] = State.FAILED
            self._report(f"candidate {proposal.architecture.id} cannot be built: {lines[-1]}")
        elif not screened.is_trainable:
            self._add(screened, State.REFUSED)
            self._report(self._refusal(screened))
        else:
            self._idle_proposals = 0
            row = self._add(screened, State.QUEUED)
            task = _Task(
                row=row,
                number=proposal.number,
                architecture=proposal.architecture,
                margins=screened.margins,
            )
            if not self._reuse(task):
                self._queue.append(task)
                self._report()

    def _add(self, screened: Screened, state: State, duplicate_of: int | None = None) -> int:
        proposal = screened.proposal
        reasons = screened.screening.reasons if screened.screening else ()
        row = self._writer.add(
            proposal.number,
            proposal.architecture,
            proposal.choices,
            state=state,
            margins=screened.margins,
            reason=shortened(reasons) or None,
            duplicate_of=duplicate_of,
            reuse_key=self._reuse_key(proposal.architecture),
        )
        if duplicate_of is None:
            self._rows[proposal.architecture.key] = row
            self._states[row] = state
        return row

    def _reuse_key(self, architecture: Architecture) -> str:
        return self._settings.reuse_key(architecture, self._data_fingerprint)

    def _enter_repeat(self, screened: Screened, original: int) -> None:
        """Answer a known architecture from the record; wait where that is still under way."""
        if not self._states[original].is_final:
            self._repeats.setdefault(original, []).append(screened)
            return
        self._add(screened, self._states[original], duplicate_of=original)
        self._report()

    def _reuse(self, task: _Task) -> bool:
        """Take over an equal training of another run, if its weights are there when needed."""
        damage = None
        for found in self._store.find_results(self._reuse_key(task.architecture)):
            evaluation = self._store.evaluation(found)
            weights = None
            if self._weights.would_join(evaluation):
                try:
                    weights = read_weights(found)
                except NotFoundError:
                    continue
                except ArtefactError as error:
                    damage = error
                    continue
            self._complete(task, evaluation, weights, worker=f"run {found.run}")
            self._report(f"candidate {task.architecture.id} is answered from run {found.run}")
            return True
        if damage is not None:
            self._report(f"candidate {task.architecture.id} is trained again: {damage}")
        return False

    def _submit(self, task: _Task) -> None:
        self._writer.start(task.row)
        self._states[task.row] = State.RUNNING
        self._in_flight[task.job_id] = task
        self._pool.submit(self._settings.job(task.job_id, task.architecture))
        self._report()

    def _settle(self, outcome: Outcome) -> None:
        """Record what became of a job, and learn from it."""
        task = self._in_flight.pop(outcome.job_id)
        if self._faults.count(outcome):
            self._writer.requeue(
                task.row, error=outcome.error, traceback=outcome.traceback, worker=outcome.worker
            )
            self._states[task.row] = State.QUEUED
            self._queue.appendleft(task)
            self._faults.tell(outcome, task.architecture.id)
            return
        self._tally.note_job()
        if outcome.state is State.COMPLETE and outcome.evaluation is not None:
            self._complete(
                task,
                outcome.evaluation,
                outcome.weights,
                worker=outcome.worker,
                wall_seconds=outcome.wall_seconds,
            )
            self._report()
            return
        self._writer.record(
            task.row,
            state=outcome.state,
            error=outcome.error,
            traceback=outcome.traceback,
            worker=outcome.worker,
            wall_seconds=outcome.wall_seconds,
        )
        self._end_task(task, outcome.state, None)
        ended = outcome.state.value.replace("_", " ")
        self._report(f"candidate {task.architecture.id} {ended}: {outcome.error or 'no reason'}")

    def _complete(
        self,
        task: _Task,
        evaluation: Evaluation,
        weights: bytes | None,
        *,
        worker: str,
        wall_seconds: float = 0.0,
    ) -> None:
        kept = None
        if weights is not None:
            kept = self._weights.save(task.architecture.key, weights, evaluation)
        try:
            self._writer.record(
                task.row,
                state=State.COMPLETE,
                evaluation=evaluation,
                worker=worker,
                wall_seconds=wall_seconds,
                kept=kept,
            )
        except ValueError as error:  # a figure that is not finite is no result
            self._writer.record(task.row, state=State.DIVERGED, error=str(error), worker=worker)
            self._end_task(task, State.DIVERGED, None)
            return
        self._end_task(task, State.COMPLETE, evaluation)
        self._weights.settle()
        self._tally.note_result(evaluation)

    def _end_task(self, task: _Task, state: State, evaluation: Evaluation | None) -> None:
        self._states[task.row] = state
        values = None
        if evaluation is not None:
            values = {o.name: getattr(evaluation, o.name) for o in self._objectives}
        margins = {**task.margins, **self._settings.limits.margins(evaluation)}
        self._proposals.tell(task.number, values, margins)
        for repeat in self._repeats.pop(task.row, ()):
            self._enter_repeat(repeat, task.row)

    def _test_front(self) -> None:
        """Score the members of the front on the test set; nothing else ever sees it."""
        if not self._settings.data.has_test:
            return
        members = {f"test-{member.row}": member for member in self._weights.front}
        untested = [job_id for job_id, m in members.items() if m.test_accuracy is None]
        in_flight = {job_id for job_id in untested if self._submit_test(job_id, members[job_id])}
        while in_flight:
            outcome = self._pool.next_result(_TICK_S)
            if outcome is None:
                self._report()
                continue
            member = members[outcome.job_id]
            in_flight.remove(outcome.job_id)
            if self._faults.count(outcome):
                self._faults.tell(outcome, member.id)
                if self._submit_test(outcome.job_id, member):
                    in_flight.add(outcome.job_id)
            elif outcome.test_accuracy is not None:
                self._writer.record_test_accuracy(member.row, outcome.test_accuracy)
                self._report()
            else:
                self._report(f"candidate {member.id} has no test accuracy: {outcome.error}")

    def _submit_test(self, job_id: str, member: Candidate) -> bool:
        """Hand out a test; False where the weights are lost or damaged, which is reported."""
        try:
            weights = read_weights(member)
        except (ArtefactError, NotFoundError) as error:
            self._report(f"candidate {member.id} has no test accuracy: {error}")
            return False
        job = self._settings.job(job_id, member.architecture)
        self._pool.submit(replace(job, kind="test", weights=weights))
        return True

    def _bounds_kept(self) -> str:
        """Say how many candidates are within the bounds, if there are bounds."""
        where = self._settings.limits.where
        if not where:
            return ""
        complete = {State.COMPLETE}
        kept = len(self._writer.run.candidates(complete, where=where))
        return f"{kept} of {len(self._writer.run.candidates(complete))} candidates have {where}"

    def _put_back(self) -> None:
        for row, state in self._states.items():
            if state is State.RUNNING:
                with suppress(ValueError):  # interrupted just after it was recorded
                    self._writer.requeue(row)

    def _end(self, why: str) -> bool:
        self._is_over = True
        self._report(f"{why}; the search trains no further candidate")
        return False

    def _refusal(self, screened: Screened) -> str:
        """Return a line for the first candidate that breaks a rule, nothing for the others."""
        broken = {rule for rule, margin in screened.margins.items() if margin > 0}
        is_news = not broken <= self._rules_shown
        self._rules_shown |= broken
        reasons = screened.screening.reasons if screened.screening else ()
        news = [reason for reason in reasons if reason not in self._reasons_shown][:1]
        if not is_news or not news:
            return ""
        self._reasons_shown.update(news)
        return f"refused {screened.proposal.architecture.id}: {news[0]}"


def _task(candidate: Candidate) -> _Task:
    return _Task(
        row=candidate.row,
        number=candidate.number,
        architecture=candidate.architecture,
        margins=candidate.margins,
    )
