import optuna
import pytest

from spikenas import driver
from spikenas.exceptions import UsageError
from spikenas.search_space import SearchSpace
from spikenas.strategy.sampler import Observation, Proposal

from .conftest import Search


class Listed:
    """Proposes members of a space in a fixed order."""

    def __init__(self, space: SearchSpace) -> None:
        self.space = space
        self.told: list[int] = []
        self.restored: list[int] = []

    def ask(self, number: int) -> Proposal:
        member = self.space.sample(number)
        return Proposal(number=number, architecture=member, choices=self.space.choices_of(member))

    def tell(self, number: int, values: object, margins: object = None) -> None:
        self.told.append(number)

    def restore(self, observations: list[Observation]) -> None:
        self.restored += [each.number for each in observations]


def test_a_sampler_of_optuna_searches_and_its_class_is_kept(search: Search) -> None:
    run = search(sampler=optuna.samplers.RandomSampler(seed=1), trials=2)

    assert run.settings.sampler == "optuna.samplers._random.RandomSampler"
    assert len(run.candidates()) >= 2


def test_whatever_keeps_the_protocol_searches(search: Search) -> None:
    sampler = Listed(SearchSpace.load("toy"))

    run = search(sampler=sampler, trials=2, seed_with=())

    proposed = [sampler.ask(each.number).architecture.key for each in run.candidates()]
    assert [each.key for each in run.candidates()] == proposed
    assert sampler.told


def test_a_sampler_of_ones_own_is_needed_again_to_resume(search: Search, url: str) -> None:
    search(sampler=Listed(SearchSpace.load("toy")), trials=2, name="mine")

    with pytest.raises(UsageError, match=r"give one again: spikenas\.resume\(\.\.\., sampler="):
        driver.resume("mine", store=url)
    with pytest.raises(UsageError, match=r"Listed, but optuna\..*RandomSampler is given"):
        driver.resume("mine", store=url, sampler=optuna.samplers.RandomSampler())
    again = Listed(SearchSpace.load("toy"))
    assert driver.resume("mine", store=url, sampler=again).status == "finished"
    assert again.restored


def test_a_named_sampler_needs_none(search: Search, url: str) -> None:
    search(trials=1, name="mine")

    with pytest.raises(UsageError, match="leave sampler out"):
        driver.resume("mine", store=url, sampler=optuna.samplers.RandomSampler())


def test_seeds_go_with_samplers_of_ours_and_of_optuna(search: Search) -> None:
    with pytest.raises(UsageError, match="seed_with needs a sampler of spikenas or of Optuna"):
        search(sampler=Listed(SearchSpace.load("toy")), seed_with=["spikformer-4-384-cifar10"])
