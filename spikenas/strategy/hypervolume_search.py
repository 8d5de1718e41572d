"""`HypervolumeSearch`: chooses the member that should add most to the hypervolume of the front.

A Gaussian process for each objective predicts the candidates; the one with the largest expected
hypervolume improvement, times the probability that it breaks no constraint, is proposed. What is
in flight counts as evaluated at its prediction (a believer, Ginsbourger 2010), so many workers get
different members. A proposal is a pure function of seed, number and record.

Of a score, what is maximised, large losses are cut: a dead network, at 10 % where others are at
90 %, would set the scale of the model and hide what tells good members apart, and bad members that
cost little would set the reference. Losses that are positive are modelled by their logarithm. The
reference point lies half a range of the front beyond its worst values, unless the user has limits.
Constraints are modelled by their margins; a failure is a broken constraint.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeAlias
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from spikenas import pareto
from spikenas.search_space.choice_space import ChoiceSpace, MemberT, Traits
from spikenas.strategy.candidates import Candidates
from spikenas.strategy.encoding import Encoder
from spikenas.strategy.gaussian_process import Features, GaussianProcess, Prior, fit
from spikenas.strategy.hypervolume_improvement import expected_improvement, non_dominated_boxes

Array: TypeAlias = NDArray[np.float64]
_LOOSE = 0.5  # the reference point lies this share of the front's range beyond it
_CUT = 0.5  # interquartile ranges above the third quartile, where losses of scores are cut
_MOST_FITTED = 128  # observations that hyper-parameters are fitted to
_MOST_MODELLED = 256  # that predictions are made from
_MOST_CONSTRAINTS = 4  # those broken most often
_FAILURE = "failure"
_RUNG = "(rung)"
_FULL = 1.0
_EXACT = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Known(Generic[MemberT]):
    """A member that was proposed.

    Attributes:
        losses: by objective, lower is better; None where there is no result.
        margins: by constraint, above 0 where it is broken.
        is_final: False while it is in flight.
        rung: the share of the full budget that the losses are of; a member that has gone on from
            there is known twice.
    """

    member: MemberT
    losses: tuple[float, ...] | None = None
    margins: Mapping[str, float] = field(default_factory=dict)
    is_final: bool = True
    rung: float = _FULL

    @property
    def is_allowed(self) -> bool:
        """Whether no constraint is broken."""
        return all(margin <= 0 for margin in self.margins.values())


class HypervolumeSearch(Generic[MemberT]):
    """Proposes members of a space.

    Args:
        objectives: their names, as in `Traits.known`; known values are losses there.
        is_score: by objective, whether it tells how well a member works, and so may collapse; a
            cost cannot.
        limits: by objective, the loss above which a member is of no use; None where any is.
        allow_repeats: whether a member may be proposed that was before.
        priors: of the hyper-parameters; the improvement is the mean over them.
    """

    def __init__(
        self,
        space: ChoiceSpace[MemberT],
        *,
        objectives: Sequence[str],
        is_score: Sequence[bool],
        seed: int,
        limits: Sequence[float | None] = (),
        allow_repeats: bool = False,
        priors: Sequence[Prior] = (Prior(),),
    ) -> None:
        self._objectives = tuple(objectives)
        self._is_score = tuple(is_score)
        self._limits = tuple(limits) or (None,) * len(self._objectives)
        self._allow_repeats = allow_repeats
        self._priors = tuple(priors)
        self._candidates = Candidates(space, seed)

    def propose(
        self,
        record: Sequence[Known[MemberT]],
        number: int,
        paused: Sequence[tuple[MemberT, float]] = (),
    ) -> MemberT | None:
        """Return the member to evaluate next; None where no other one was found.

        ``record`` is what was proposed before, in order. Members that are ``paused`` at a rung may
        be returned too: what a member should add is divided by what is left of its budget.
        """
        parents = [each.member for rung in _rungs(record) for each in _front(record, rung)]
        parents = list({each.key: each for each in parents}.values())
        found = self._candidates.around(parents, number)
        if not self._allow_repeats:
            seen = {each.member.key for each in record}
            found = {key: member for key, member in found.items() if key not in seen}
            if not found and not paused:
                return self._candidates.unseen(seen, number)
        members = [found[key] for key in sorted(found)] + [member for member, _ in paused]
        left = np.array([_FULL] * len(found) + [_FULL - rung for _, rung in paused])
        return members[int((self._worth(record, members, number) / left).argmax())]

    def _worth(
        self, record: Sequence[Known[MemberT]], members: Sequence[MemberT], number: int
    ) -> Array:
        """Return what each member should add, [n]."""
        told = _most_telling(record, _MOST_MODELLED)
        final = [each for each in told if each.is_final]
        if not final:
            return np.ones(len(members))
        basis = _most_telling(_settled([e for e in record if e.is_final], number), _MOST_FITTED)
        chosen = {id(each) for each in basis}
        encoder = Encoder(self._at_rungs(basis))
        traits = [self._candidates.traits(member) for member in members]
        worth = np.zeros(len(members))
        for prior in self._priors:
            models = _Models(
                prior=prior,
                seen=encoder.features(self._at_rungs(final)),
                is_basis=np.array([id(each) in chosen for each in final], dtype=bool),
                pending=encoder.features(self._at_rungs([e for e in told if not e.is_final])),
                asked=encoder.features(traits),
            )
            worth += self._improvement(final, traits, models) * _feasibility(final, models)
        return worth

    def _at_rungs(self, record: Sequence[Known[MemberT]]) -> list[Traits]:
        return [_at_rung(self._candidates.traits(each.member), each.rung) for each in record]

    def _improvement(
        self, final: Sequence[Known[MemberT]], traits: Sequence[Traits], models: "_Models"
    ) -> Array:
        """Return the expected hypervolume improvement, [n]; ones while nothing can be improved."""
        has_losses = np.array([each.losses is not None for each in final], dtype=bool)
        scored = [each for each in final if each.losses is not None]
        is_allowed = np.array([each.is_allowed for each in scored], dtype=bool)
        if not is_allowed.any():
            return np.ones(len(traits))
        losses = np.array([each.losses for each in scored])  # [n, m]
        rungs = np.array([each.rung for each in scored])
        for j, is_score in enumerate(self._is_score):
            for rung in set(rungs.tolist()) if is_score else ():
                losses[rungs == rung, j] = _cut(losses[rungs == rung, j])
        front = losses[is_allowed & (rungs == rungs[is_allowed].max())]
        front = front[pareto.is_non_dominated(front)]
        mean, deviation = np.empty((2, len(traits), len(self._objectives)))
        beliefs = np.empty((len(models.pending), len(self._objectives)))
        is_log = [bool((column > 0).all()) for column in losses.T]
        for j, name in enumerate(self._objectives):
            column = np.log(losses[:, j]) if is_log[j] else losses[:, j]
            column = _aligned(column, rungs, [each.member.key for each in scored])
            mean[:, j], deviation[:, j], beliefs[:, j] = models.predict(has_losses, column)
            if all(name in each.known for each in traits):
                known = np.array([each.known[name] for each in traits])
                mean[:, j] = np.log(known) if is_log[j] else known
                deviation[:, j] = _EXACT
        reference = self._reference(front, losses)
        believed = np.where(is_log, np.exp(beliefs), beliefs)
        lower, upper = non_dominated_boxes(np.concatenate([front, believed]), reference)
        return expected_improvement(lower, upper, mean, deviation, is_log)

    def _reference(self, front: Array, losses: Array) -> Array:
        ranges = np.ptp(front, axis=0)
        spread = np.median(losses, axis=0) - losses.min(axis=0)
        ranges = np.where(ranges > 0, ranges, np.where(spread > 0, spread, 1.0))
        reference: Array = front.max(axis=0) + _LOOSE * ranges
        for j, limit in enumerate(self._limits):
            if limit is not None:
                reference[j] = limit
        return reference


@dataclass(frozen=True, slots=True, kw_only=True)
class _Models:
    """What all models of one proposal share: features of members seen, in flight and asked about.

    Attributes:
        is_basis: of those seen, whether hyper-parameters are fitted to it.
    """

    prior: Prior
    seen: Features
    is_basis: NDArray[np.bool_]
    pending: Features
    asked: Features

    def predict(self, rows: NDArray[np.bool_], targets: Array) -> tuple[Array, Array, Array]:
        """Return mean and deviation of those asked about, and the mean of those in flight.

        ``rows`` says which of those seen have a target.
        """
        seen, is_basis = self.seen[np.flatnonzero(rows)], np.flatnonzero(self.is_basis[rows])
        if len(is_basis) == 0:
            is_basis = np.arange(len(seen))
        logs = fit(seen[is_basis], targets[is_basis], self.prior)
        process = GaussianProcess(seen, targets, logs)
        if len(self.pending) == 0:
            return *process.predict(self.asked), np.empty(0)
        beliefs, _ = process.predict(self.pending)
        process = GaussianProcess(
            seen.joined(self.pending), np.concatenate([targets, beliefs]), logs
        )
        return *process.predict(self.asked), beliefs


def _feasibility(final: Sequence[Known[MemberT]], models: _Models) -> Array:
    """Return the probability that a member breaks no constraint and does not fail, [n]."""
    margins = [_margins(each) for each in final]
    broken = Counter(name for each in margins for name, margin in each.items() if margin > 0)
    probability = np.ones(len(models.asked))
    for name, _ in broken.most_common(_MOST_CONSTRAINTS):
        has_margin = np.array([name in each for each in margins])
        column = np.array([each[name] for each in margins if name in each])
        squeezed = column / (1 + np.abs(column))  # 10^12 parameters too many are like 10^3
        mean, deviation, _ = models.predict(has_margin, squeezed)
        probability *= ndtr(-mean / deviation)
    return probability


def _margins(known: Known[MemberT]) -> Mapping[str, float]:
    """Return the margins, and one that says whether an allowed member failed."""
    if not known.is_allowed:
        return known.margins
    return {**known.margins, _FAILURE: 1.0 if known.losses is None else -1.0}


def _aligned(column: Array, rungs: Array, keys: Sequence[str]) -> Array:
    """Bring the losses of lower rungs to the level of the highest, by members that have both.

    The slope is that of least squares, with two further pairs that say 1.
    """
    aligned, top = column.copy(), rungs.max()
    places = range(len(column))
    at_top = {keys[i]: float(column[i]) for i in places if rungs[i] == top}
    for rung in set(rungs.tolist()) - {top}:
        both = [i for i in places if rungs[i] == rung and keys[i] in at_top]
        if both:
            rows = rungs == rung
            low, high = column[both], np.array([at_top[keys[i]] for i in both])
            prior = 2 * column[rows].var() + 1e-12
            away = low - low.mean()
            slope = (away @ (high - high.mean()) + prior) / (away @ away + prior)
            aligned[rows] = high.mean() + slope * (column[rows] - low.mean())
    return aligned


def _at_rung(traits: Traits, rung: float) -> Traits:
    """Make a lower rung a choice: how far it agrees with the full budget is fitted."""
    if rung == _FULL:
        return traits
    return Traits(choices={**traits.choices, _RUNG: rung}, counts=traits.counts)


def _rungs(record: Sequence[Known[MemberT]]) -> list[float]:
    return sorted({each.rung for each in record}, reverse=True)


def _front(record: Sequence[Known[MemberT]], rung: float) -> list[Known[MemberT]]:
    useful = [e for e in record if e.losses is not None and e.is_allowed and e.rung == rung]
    is_in = pareto.is_non_dominated([each.losses or () for each in useful])
    return [each for each, on_front in zip(useful, is_in, strict=True) if on_front]


def _settled(final: Sequence[Known[MemberT]], number: int) -> Sequence[Known[MemberT]]:
    """Leave out the latest, so that a long record is not fitted anew for each result."""
    n = len(final)
    step = 1 if n < 50 else 5 if n < 100 else 10 if n < 300 else 25
    return final[: n - number % step]


def _most_telling(record: Sequence[Known[MemberT]], most: int) -> Sequence[Known[MemberT]]:
    """Return at most so many: half of them the nearest to the front, then the latest and others."""
    if len(record) <= most:
        return record
    useful = [i for i, each in enumerate(record) if each.losses is not None and each.is_allowed]
    nearest: list[int] = []
    if useful:
        losses = np.array([record[i].losses for i in useful])
        front = losses[pareto.is_non_dominated(losses)]
        scale = np.ptp(front, axis=0) + 1e-12
        behind = ((losses[:, None] - front) / scale).max(axis=2).min(axis=1)  # 0 on the front
        nearest = [useful[i] for i in np.argsort(behind, kind="stable")[: most // 2]]
    pending = [i for i, each in enumerate(record) if not each.is_final]
    latest = range(len(record) - most // 4, len(record))
    others = sorted(range(len(record)), key=lambda i: crc32(record[i].member.key.encode()))
    kept = list(dict.fromkeys([*nearest, *pending, *latest, *others]))[:most]
    return [record[i] for i in sorted(kept)]


def _cut(losses: Array) -> Array:
    """Cut losses to a little above the third quartile."""
    low, high = np.quantile(losses, [0.25, 0.75])
    cut: Array = np.minimum(losses, high + _CUT * (high - low))
    return cut
