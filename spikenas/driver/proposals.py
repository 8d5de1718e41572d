"""`Proposals`: what the sampler asks for, screened, and told again where no training is needed."""

import traceback
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from spikenas.exceptions import InfeasibleError
from spikenas.hardware import ChipProfile
from spikenas.search_space import SearchSpace
from spikenas.settings import Limits
from spikenas.strategy.sampler import Proposal, Sampler
from spikenas.strategy.screening import Screening, screen

_DRAWS = 200  # refused in a row before a space counts as without a feasible member
_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Screened:
    """A proposal and what became of it before training.

    Attributes:
        screening: None where it was not screened, or screening failed.
        is_repeat: the run knows its architecture already.
        traceback: of a component that could not be traced.
    """

    proposal: Proposal
    screening: Screening | None = None
    is_repeat: bool = False
    traceback: str | None = None

    @property
    def margins(self) -> Mapping[str, float]:
        """By rule, above 0 where broken; empty where it was not screened."""
        return {} if self.screening is None else self.screening.margins

    @property
    def is_trainable(self) -> bool:
        """Whether a worker should have it."""
        return self.screening is not None and not self.screening.refused


class Proposals:
    """Numbered proposals of one run.

    Args:
        known: the keys of what an earlier process proposed, by number.
        first_number: of the next proposal, where ``known`` does not tell.
    """

    def __init__(
        self,
        space: SearchSpace,
        sampler: Sampler,
        *,
        chip: ChipProfile | None,
        limits: Limits,
        known: Mapping[int, str] | None = None,
        first_number: int = 0,
    ) -> None:
        self._space = space
        self._sampler = sampler
        self._chip = chip
        self._limits = limits
        known = known or {}
        self._keys = set(known.values())
        self._number = max(known, default=first_number - 1) + 1
        self._size = space.size()

    @property
    def is_exhausted(self) -> bool:
        """Whether every member of the space was proposed."""
        return self._size.is_exact and len(self._keys) >= self._size

    def next(self) -> Screened:
        """Ask and screen once; what needs no training is told to the sampler here."""
        proposal = self._sampler.ask(self._number)
        self._number += 1
        key = proposal.architecture.key
        if key in self._keys:
            screened = Screened(proposal=proposal, is_repeat=True)
        else:
            self._keys.add(key)
            screened = self._screen(proposal)
        if not screened.is_trainable:
            unknown = self._limits.margins(None) if screened.margins else {}
            self._sampler.tell(proposal.number, None, {**screened.margins, **unknown})
        return screened

    def tell(
        self, number: int, values: Mapping[str, float] | None, margins: Mapping[str, float]
    ) -> None:
        """Pass on to the sampler what became of a proposal."""
        self._sampler.tell(number, values, margins)

    def until_feasible(self, space_name: str) -> list[Screened]:
        """Return proposals up to the first that can be trained; raise InfeasibleError if none."""
        screened: list[Screened] = []
        while not self.is_exhausted and len(screened) < _DRAWS:
            screened.append(self.next())
            if screened[-1].is_trainable:
                return screened
        tried = [each for each in screened if not each.is_repeat]
        which = "all of its members" if self.is_exhausted else f"{len(tried)} guided draws"
        raise InfeasibleError(
            f"space {space_name!r} has no feasible member among {which}. "
            f"{_commonest(tried)} Change the space as said, or take another chip or larger limits"
        )

    def _screen(self, proposal: Proposal) -> Screened:
        try:
            screening = screen(proposal.architecture, chip=self._chip, limits=self._limits)
        except Exception:  # a plugin may raise anything; the search goes on, with record
            return Screened(proposal=proposal, traceback=traceback.format_exc())
        return Screened(proposal=proposal, screening=screening)


def shortened(reasons: Sequence[str]) -> str:
    """Return the first reasons as one text."""
    more = len(reasons) - _SHOWN
    return "; ".join(reasons[:_SHOWN]) + (f"; and {more} more" if more > 0 else "")


def _commonest(tried: Iterable[Screened]) -> str:
    """Name the rules that were broken most, each with one of its own reasons."""
    broken: Counter[str] = Counter()
    examples: dict[str, str] = {}
    by_rules = [
        {"a component that cannot be built": each.traceback.strip().splitlines()[-1]}
        if each.traceback
        else (each.screening.examples if each.screening else {})
        for each in tried
    ]
    for reasons in sorted(by_rules, key=len):
        broken.update(reasons.keys())
        for rule, reason in reasons.items():
            examples.setdefault(rule, reason)  # of a candidate that broke little else
    shown = [
        f"{rule} (in {count}): {examples[rule]}." for rule, count in broken.most_common(_SHOWN)
    ]
    return "Commonest: " + " ".join(shown) if shown else ""
