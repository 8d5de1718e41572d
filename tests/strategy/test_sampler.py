from functools import cache

import optuna
import pytest

from spikenas.architecture import Architecture
from spikenas.exceptions import UnknownNameError, UsageError
from spikenas.figures import objective
from spikenas.hardware import chip
from spikenas.search_space import SearchSpace
from spikenas.settings import Limits
from spikenas.strategy.methods import METHODS, build_sampler, name_of, sampler_again
from spikenas.strategy.model_sampler import ModelSampler
from spikenas.strategy.optuna_sampler import OptunaSampler
from spikenas.strategy.recorded_sampler import RecordedSampler
from spikenas.strategy.sampler import Sampler
from spikenas.strategy.screening import Screening, screen
from spikenas.testing import SamplerContract
from spikenas.testing.sampler import go_on

_QUICK = [method for method in METHODS if method != "gp"]  # that takes seconds a proposal
_BOTH = [objective("accuracy"), objective("energy_uj")]


class TestMethods(SamplerContract):
    @pytest.fixture(params=_QUICK, autouse=True)
    def method(self, request: pytest.FixtureRequest) -> None:
        self.name: str = request.param

    def sampler(self, space: SearchSpace, seed: int) -> Sampler:
        objectives = [objective(name) for name in self.objectives]
        return build_sampler(self.name, space, seed=seed, objectives=objectives)


@pytest.mark.parametrize("method", METHODS)
def test_what_is_to_be_first_is_proposed_first_whatever_was_told(method: str) -> None:
    space = SearchSpace.load("digits")
    first = [space.sample(seed) for seed in (5, 6)]
    sampler = build_sampler(method, space, seed=1, objectives=[objective("accuracy")], first=first)

    asked = [sampler.ask(number) for number in (0, 1, 2)]

    assert [proposal.architecture for proposal in asked[:2]] == first
    assert space.from_choices(asked[0].choices) == first[0]


@pytest.mark.parametrize(
    ("method", "seeds"), [("spikenas", 2), ("tpe", 5), ("nsga2", 5), ("random", 5)]
)
def test_fewer_proposals_break_the_rules_of_the_chip_late_than_early(
    method: str, seeds: int
) -> None:
    space = SearchSpace.load("digits")
    early = late = 0
    for seed in range(seeds):  # of one seed alone, twenty draws say little
        sampler = build_sampler(method, space, seed=seed, objectives=_BOTH)
        refused = []
        for number in range(60):
            architecture = sampler.ask(number).architecture
            screened = _screened(architecture)
            size = float(sum(stage.embed_dim * stage.depth for stage in architecture.stages))
            values = {"accuracy": 1 - 1 / size, "energy_uj": size}
            sampler.tell(number, None if screened.refused else values, screened.margins)
            refused.append(screened.refused)
        early += sum(refused[:20])
        late += sum(refused[40:])

    assert late < early


@pytest.mark.parametrize("kind", [ModelSampler, OptunaSampler])
def test_a_long_history_is_cut_to_what_the_sampler_may_remember(
    kind: type[RecordedSampler],
) -> None:
    space = SearchSpace.load("digits")
    sampler = kind(space, seed=0, objectives=_BOTH, max_observations=12)

    proposals = go_on(sampler, range(40))

    assert len(proposals) == 40


def test_optunas_gaussian_process_proposes_members_after_its_random_draws() -> None:
    space = SearchSpace.load("digits")
    sampler = build_sampler("gp", space, seed=0, objectives=_BOTH)

    proposals = go_on(sampler, range(12))

    assert all(space.contains(each.architecture) for each in proposals)


def test_an_unknown_method_is_named_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'tpe'"):
        name_of("tpee")


def test_a_sampler_of_optuna_is_asked_as_it_is() -> None:
    space = SearchSpace.load("digits")
    own = optuna.samplers.RandomSampler(seed=3)

    proposals = go_on(build_sampler(own, space, seed=0, objectives=_BOTH[:1]), range(12))

    assert all(space.contains(each.architecture) for each in proposals)
    assert name_of(own).endswith("RandomSampler")


def test_a_run_goes_on_with_a_sampler_of_the_same_class_only() -> None:
    own = optuna.samplers.RandomSampler(seed=0)

    assert sampler_again("r", name_of(own), own) is own
    assert sampler_again("r", "tpe", None) == "tpe"
    with pytest.raises(UsageError, match=r"none is given; give one again: spikenas\.resume"):
        sampler_again("r", name_of(own), None)
    with pytest.raises(UsageError, match="leave sampler out"):
        sampler_again("r", "tpe", own)


def test_a_class_is_no_sampler() -> None:
    with pytest.raises(UnknownNameError, match="by text"):
        name_of(optuna.samplers.TPESampler)  # type: ignore[arg-type]


@cache
def _screened(architecture: Architecture) -> Screening:
    return screen(architecture, chip=chip("async_generic"), limits=Limits())
