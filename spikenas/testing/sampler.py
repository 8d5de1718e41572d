"""What a sampler promises, on the space of scikit-learn's digits and a space of four members."""

import json
from collections.abc import Iterable
from dataclasses import replace

from spikenas.architecture import Architecture
from spikenas.search_space import SearchSpace
from spikenas.strategy.sampler import Observation, Proposal, Sampler

_FEW = """
[space]
description = "Four members."
[input]
channels = 1
height = 8
width = 8
num_classes = 10
[choices]
num_steps = [1, 2]
neuron = "if"
residual = "spike"
stem = "conv"
patch_size = 2
[[stages]]
embed_dim = [16, 32]
depth = 1
mixer = "conv"
mlp_ratio = 2
"""
_LISTS = _FEW.replace(
    'mixer = "conv"', 'mixer = "multi_scale"\nnum_heads = 2\nscales = [[1, 3], [1, 3, 5], [3]]'
)


class SamplerContract:
    """The promises of a `Sampler`; the subclass makes one.

    What it is told is made up: the larger, the better and dearer; networks of two steps with more
    than one block break a constraint.
    """

    objectives = ("accuracy", "energy_uj")

    def sampler(self, space: SearchSpace, seed: int) -> Sampler:
        """Return a sampler of the space that has seen nothing, for `objectives`."""
        raise NotImplementedError

    def test_every_proposal_is_a_member_of_the_space(self) -> None:
        """Built from the choices that it tells."""
        space = SearchSpace.load("digits")

        proposals = go_on(self.sampler(space, 0), range(40))

        assert [each.number for each in proposals] == list(range(40))
        assert all(space.choices_of(each.architecture) == each.choices for each in proposals)

    def test_equal_seeds_give_equal_proposals_and_others_do_not(self) -> None:
        """Whatever was proposed in the same process before."""
        space = SearchSpace.load("digits")

        once, again, other = (
            _keys(go_on(self.sampler(space, seed), range(30))) for seed in (1, 1, 2)
        )

        assert once == again
        assert once != other

    def test_a_restored_sampler_goes_on_as_the_undisturbed_one(self) -> None:
        """Early, where draws are random, and late."""
        space = SearchSpace.load("digits")
        undisturbed = go_on(self.sampler(space, 0), range(30))

        for killed_after in (7, 25):
            restored = self.sampler(space, 0)
            restored.restore([observation(each) for each in undisturbed[:killed_after]])
            after = go_on(restored, range(killed_after, 30))
            assert _keys(after) == _keys(undisturbed[killed_after:])

    def test_choices_that_are_lists_come_back_from_json(self) -> None:
        """As the store keeps them."""
        space = SearchSpace.from_toml(_LISTS)
        undisturbed = go_on(self.sampler(space, 0), range(24))
        before = [observation(each) for each in undisturbed[:16]]

        restored = self.sampler(space, 0)
        restored.restore([replace(o, choices=json.loads(json.dumps(o.choices))) for o in before])
        after = go_on(restored, range(16, 24))

        assert _keys(after) == _keys(undisturbed[16:])
        assert len({*_keys(undisturbed)}) > 3

    def test_a_job_in_flight_at_the_kill_changes_nothing(self) -> None:
        """It is in flight again."""
        space = SearchSpace.load("digits")
        first = self.sampler(space, 0)
        before = go_on(first, range(25))
        in_flight = first.ask(25)
        undisturbed = first.ask(26)

        restored = self.sampler(space, 0)
        flying = Observation(number=25, choices=in_flight.choices, is_final=False)
        restored.restore([*(observation(each) for each in before), flying])

        assert restored.ask(26) == undisturbed

    def test_results_may_come_in_any_order(self) -> None:
        """What matters is what was told, not when."""
        space = SearchSpace.load("digits")
        samplers = [self.sampler(space, 0) for _ in range(2)]
        for sampler, backwards in zip(samplers, (False, True), strict=True):
            proposals = [sampler.ask(number) for number in range(12)]
            for each in proposals[::-1] if backwards else proposals:
                _tell(sampler, each)

        assert samplers[0].ask(12) == samplers[1].ask(12)

    def test_a_small_space_is_proposed_to_its_last_member(self) -> None:
        """And asking goes on."""
        space = SearchSpace.from_toml(_FEW)

        proposals = go_on(self.sampler(space, 0), range(60))

        assert len(set(_keys(proposals))) == space.size() == 4

    def test_candidates_that_failed_or_diverged_do_not_stop_the_sampler(self) -> None:
        """Neither do values that are no numbers."""
        sampler = self.sampler(SearchSpace.load("digits"), 0)
        for number in range(15):
            sampler.ask(number)
            values = {"accuracy": float("nan"), "energy_uj": 1.0} if number % 2 else None
            sampler.tell(number, values, {"parameters": -1.0})

        assert sampler.ask(15).number == 15


def go_on(sampler: Sampler, numbers: Iterable[int]) -> list[Proposal]:
    """Ask and tell, one after the other."""
    proposals = []
    for number in numbers:
        proposals.append(sampler.ask(number))
        _tell(sampler, proposals[-1])
    return proposals


def observation(proposal: Proposal) -> Observation:
    """Return what became of a proposal."""
    size = _size(proposal.architecture)
    noise = int(proposal.architecture.key[:4], 16) / 2**16
    margin = proposal.architecture.num_steps * len(proposal.architecture.stages[0].mixer) - 3.0
    values = {"accuracy": 1 - (1 + 0.2 * noise) / size, "energy_uj": float(size)}
    return Observation(
        number=proposal.number,
        choices=proposal.choices,
        values=None if margin > 0 else values,
        margins={"blocks": margin},
    )


def _tell(sampler: Sampler, proposal: Proposal) -> None:
    seen = observation(proposal)
    sampler.tell(proposal.number, seen.values, seen.margins)


def _size(architecture: Architecture) -> int:
    return sum(stage.embed_dim * stage.depth for stage in architecture.stages)


def _keys(proposals: Iterable[Proposal]) -> list[str]:
    return [each.architecture.key for each in proposals]
