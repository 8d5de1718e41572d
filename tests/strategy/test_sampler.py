import json
from dataclasses import replace
from functools import cache

import pytest

from spikenas.architecture import Architecture
from spikenas.exceptions import UnknownNameError
from spikenas.figures import objective
from spikenas.hardware import chip
from spikenas.search_space import SearchSpace
from spikenas.settings import Limits
from spikenas.strategy.sampler import METHODS, Observation, OptunaSampler, Proposal
from spikenas.strategy.screening import Screening, screen

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


@pytest.mark.parametrize("method", METHODS)
def test_every_proposal_is_a_member_of_the_space(method: str) -> None:
    space = SearchSpace.load("digits")
    sampler = _sampler(space, method)

    proposals = _go_on(sampler, range(40))

    assert all(space.contains(proposal.architecture) for proposal in proposals)


@pytest.mark.parametrize("method", METHODS)
def test_equal_seeds_give_equal_proposals_and_others_do_not(method: str) -> None:
    space = SearchSpace.load("digits")

    once, again, other = (
        _keys(_go_on(_sampler(space, method, seed=seed), range(30))) for seed in (1, 1, 2)
    )

    assert once == again
    assert once != other


@pytest.mark.parametrize("method", METHODS)
def test_what_is_to_be_first_is_proposed_first_whatever_was_told(method: str) -> None:
    space = SearchSpace.load("digits")
    first = [space.sample(seed) for seed in (5, 6)]
    sampler = OptunaSampler(
        space, method=method, seed=1, objectives=[objective("accuracy")], first=first
    )

    asked = [sampler.ask(number) for number in (0, 1, 2)]

    assert [proposal.architecture for proposal in asked[:2]] == first
    assert space.from_choices(asked[0].choices) == first[0]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("killed_after", [7, 25])
def test_a_restored_sampler_goes_on_as_the_undisturbed_one(method: str, killed_after: int) -> None:
    space = SearchSpace.load("digits")
    undisturbed = _keys(_go_on(_sampler(space, method), range(35)))
    before = _go_on(_sampler(space, method), range(killed_after))

    restored = _sampler(space, method)
    restored.restore([_observation(proposal) for proposal in before])
    after = _go_on(restored, range(killed_after, 35))

    assert _keys(after) == undisturbed[killed_after:]


@pytest.mark.parametrize("method", METHODS)
def test_choices_that_are_lists_come_back_from_json(method: str) -> None:
    space = SearchSpace.from_toml(_LISTS)
    undisturbed = _keys(_go_on(_sampler(space, method), range(24)))
    before = [_observation(proposal) for proposal in _go_on(_sampler(space, method), range(16))]

    restored = _sampler(space, method)
    restored.restore([replace(o, choices=json.loads(json.dumps(o.choices))) for o in before])
    after = _go_on(restored, range(16, 24))

    assert _keys(after) == undisturbed[16:]
    assert len({*undisturbed}) > 3


@pytest.mark.parametrize("method", METHODS)
def test_a_job_in_flight_at_the_kill_changes_nothing(method: str) -> None:
    space = SearchSpace.load("digits")
    first = _sampler(space, method)
    before = _go_on(first, range(25))
    in_flight = first.ask(25)
    undisturbed = first.ask(26)

    restored = _sampler(space, method)
    flying = Observation(number=25, choices=in_flight.choices, is_final=False)
    restored.restore([*(_observation(proposal) for proposal in before), flying])

    assert restored.ask(26) == undisturbed


@pytest.mark.parametrize("method", METHODS)
def test_fewer_proposals_break_the_rules_of_the_chip_late_than_early(method: str) -> None:
    space = SearchSpace.load("digits")
    early = late = 0
    for seed in range(5):  # of one seed alone, twenty draws say little
        proposals = _go_on(_sampler(space, method, seed=seed), range(60))
        refused = [_screened(each.architecture).refused for each in proposals]
        early += sum(refused[:20])
        late += sum(refused[40:])

    assert late < early


@pytest.mark.parametrize("method", METHODS)
def test_a_small_space_is_proposed_to_its_last_member(method: str) -> None:
    space = SearchSpace.from_toml(_FEW)

    proposals = _go_on(_sampler(space, method), range(60))

    assert len(set(_keys(proposals))) == space.size() == 4


@pytest.mark.parametrize("method", METHODS)
def test_candidates_that_failed_or_diverged_do_not_stop_the_sampler(method: str) -> None:
    sampler = _sampler(SearchSpace.load("digits"), method)
    for number in range(15):
        sampler.ask(number)
        values = {"accuracy": float("nan"), "energy_uj": 1.0} if number % 2 else None
        sampler.tell(number, values, {"parameters": -1.0})

    proposal = sampler.ask(15)

    assert proposal.number == 15


def test_a_long_history_is_cut_to_what_the_sampler_may_remember() -> None:
    sampler = _sampler(SearchSpace.load("digits"), "tpe", max_observations=12)

    proposals = _go_on(sampler, range(40))

    assert len(proposals) == 40


def test_an_unknown_method_is_named_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'tpe'"):
        _sampler(SearchSpace.load("toy"), "tpee")


def _sampler(
    space: SearchSpace, method: str, *, seed: int = 0, max_observations: int = 2000
) -> OptunaSampler:
    return OptunaSampler(
        space,
        method=method,
        seed=seed,
        objectives=[objective("accuracy"), objective("energy_uj")],
        max_observations=max_observations,
    )


def _go_on(sampler: OptunaSampler, numbers: range) -> list[Proposal]:
    proposals = []
    for number in numbers:
        proposal = sampler.ask(number)
        observed = _observation(proposal)
        sampler.tell(number, observed.values, observed.margins)
        proposals.append(proposal)
    return proposals


def _observation(proposal: Proposal) -> Observation:
    """What a chip and a made-up training would say: the larger, the better and dearer."""
    screened = _screened(proposal.architecture)
    size = sum(stage.embed_dim * stage.depth for stage in proposal.architecture.stages)
    noise = int(proposal.architecture.key[:4], 16) / 2**16
    values = {"accuracy": 1 - (1 + 0.2 * noise) / size, "energy_uj": float(size)}
    return Observation(
        number=proposal.number,
        choices=proposal.choices,
        values=None if screened.refused else values,
        margins=screened.margins,
    )


@cache
def _screened(architecture: Architecture) -> Screening:
    return screen(architecture, chip=chip("async_generic"), limits=Limits())


def _keys(proposals: list[Proposal]) -> list[str]:
    return [proposal.architecture.key for proposal in proposals]
