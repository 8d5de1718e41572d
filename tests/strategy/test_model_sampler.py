from collections import Counter

from spikenas.figures import objective
from spikenas.search_space import SearchSpace
from spikenas.strategy.balanced_design import BalancedDesign
from spikenas.strategy.model_sampler import ModelSampler
from spikenas.strategy.sampler import Observation, Proposal, RungSampler
from spikenas.testing.sampler import go_on, observation


def test_nothing_is_proposed_twice_while_many_are_in_flight() -> None:
    sampler = _sampler()
    proposals = [sampler.ask(number) for number in range(14)]
    for proposal in proposals[:12]:
        _tell(sampler, proposal)

    proposals += [sampler.ask(number) for number in range(14, 26)]

    assert len({each.architecture.key for each in proposals}) == 26


def test_the_first_proposals_have_every_value_equally_often() -> None:
    drawn = [BalancedDesign(7, number).choose("mixer", ("a", "b", "c")) for number in range(9)]

    assert set(Counter(drawn).values()) == {3}
    assert {*drawn[:3]} == {*drawn[3:6]} == {"a", "b", "c"}


def test_a_share_of_the_balanced_design_comes_from_each_part_once() -> None:
    shares = sorted(BalancedDesign(7, number).share("x", 10) for number in range(10))

    assert all(int(10 * share) == i for i, share in enumerate(shares))


def test_a_paused_candidate_goes_on_or_a_new_one_is_proposed() -> None:
    sampler = _sampler()
    paused: dict[int, Proposal] = {}
    went_on: list[int] = []
    for number in range(24):
        step = sampler.next_step(number - len(went_on))
        if isinstance(step, int):
            went_on.append(step)
            _tell(sampler, paused.pop(step))
            continue
        paused[step.number] = step
        values = observation(step).values or {"accuracy": 0.5, "energy_uj": 9.0}
        sampler.pause(step.number, {**values, "accuracy": values["accuracy"] - 0.1}, 0.4)

    assert isinstance(sampler, RungSampler)
    assert went_on
    assert len({*went_on}) == len(went_on)


def test_rungs_come_back_when_it_is_restored() -> None:
    undisturbed, restored = _sampler(), _sampler()
    record = []
    for number in range(12):
        step = undisturbed.ask(number)
        values = {"accuracy": 0.5 + number / 100, "energy_uj": 10.0 - number / 2}
        undisturbed.pause(number, values, 0.25)
        record.append(
            Observation(
                number=number,
                choices=step.choices,
                is_final=False,
                rungs={0.25: values},
                is_paused=True,
            )
        )

    restored.restore(record)

    assert restored.next_step(12) == undisturbed.next_step(12)


def test_limits_are_the_reference() -> None:
    sampler = ModelSampler(
        SearchSpace.load("digits"), seed=0, objectives=_OBJECTIVES, limits={"energy_uj": 60.0}
    )

    proposals = go_on(sampler, range(30))

    sizes = [
        sum(stage.embed_dim * stage.depth for stage in each.architecture.stages)
        for each in proposals[15:]
    ]
    assert sum(size <= 60 for size in sizes) > len(sizes) // 2


def test_objectives_may_be_one_or_three() -> None:
    for names in (["accuracy"], ["accuracy", "energy_uj", "parameters"]):
        sampler = ModelSampler(
            SearchSpace.load("digits"), seed=0, objectives=[objective(name) for name in names]
        )
        for number in range(14):
            step = sampler.ask(number)
            values = {"accuracy": 0.8 + number / 100, "energy_uj": 5.0, "parameters": 100 - number}
            sampler.tell(number, values, {})

        assert len({a.architecture.key for a in sampler._asked.values()}) == 14
        assert step.number == 13


_OBJECTIVES = [objective("accuracy"), objective("energy_uj")]


def _sampler() -> ModelSampler:
    return ModelSampler(SearchSpace.load("digits"), seed=0, objectives=_OBJECTIVES)


def _tell(sampler: ModelSampler, proposal: Proposal) -> None:
    seen = observation(proposal)
    sampler.tell(proposal.number, seen.values, seen.margins)
