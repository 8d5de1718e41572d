"""What an energy model promises, on a small network with rates assumed and measured."""

import math
from itertools import product

import pytest
import torch

from spikenas.architecture import Architecture
from spikenas.exceptions import UsageError
from spikenas.export.samples import sample_images
from spikenas.hardware import EnergyModel, energy_model, name_of
from spikenas.measurement import measure, trace_architecture
from spikenas.nn.network import build_network
from spikenas.testing.networks import CONVOLUTIONS
from spikenas.workload import Workload


class EnergyModelContract:
    """The promises of an `EnergyModel`; the subclass says which."""

    def model(self) -> EnergyModel:
        """Return the model."""
        raise NotImplementedError

    def architecture(self) -> Architecture:
        """Return a network that the model prices, convolutions alone unless told otherwise."""
        return CONVOLUTIONS

    def workload(self) -> Workload:
        """Return the operations of the network, without rates."""
        return trace_architecture(self.architecture())

    def test_the_whole_is_the_sum_of_its_operations(self) -> None:
        """And of what flows whatever happens."""
        model, workload = self.model(), self.workload().with_rate(0.2)
        estimate = model.estimate(workload)

        names = [each.name for each in estimate.operations]
        assert names == [operation.name for operation in workload.operations]
        shares = sum(each.share for each in estimate.operations)
        assert math.isclose(shares, 1.0) or estimate.static_uj > 0, f"the shares add up to {shares}"
        if model.unit == "joules":
            low, total = estimate.low_uj, estimate.total_uj
            assert low is not None, "low_uj is None"
            assert total is not None, "total_uj is None"
            parts = sum(each.energy_uj or 0.0 for each in estimate.operations) + estimate.static_uj
            assert math.isclose(total, parts), f"total_uj = {total}, its parts add up to {parts}"
            assert 0 < low <= total < math.inf, (
                f"low_uj = {low}, total_uj = {total}; needed: 0 < low_uj <= total_uj"
            )
        else:
            total, score = estimate.total_uj, estimate.score
            assert total is None, f"a score has no joules, but total_uj = {total}"
            assert score is not None, "score is None"
            assert score > 0, f"score = {score}; needed: above 0"

    def test_a_measured_network_has_a_price(self) -> None:
        """As in a search; operations without multiply-accumulates have no measured rates."""
        with torch.random.fork_rng():
            torch.manual_seed(0)
            network = build_network(self.architecture())
            images = sample_images(network.architecture)
        measured = measure(network, [(images, torch.zeros(len(images)))]).workload

        estimate = self.model().estimate(measured)

        assert estimate.rates == "measured", f"rates = {estimate.rates!r}"
        cost = estimate.score if self.model().unit == "score" else estimate.total_uj
        assert cost is not None, "the measured network has no price"
        assert 0 <= cost < math.inf, f"the measured network costs {cost}"

    def test_more_spikes_never_cost_less(self) -> None:
        """Energy is searched for; a model that rewards spikes would lead astray."""
        model, workload = self.model(), self.workload()
        estimates = [model.estimate(workload.with_rate(rate)) for rate in (0.0, 0.1, 0.5, 1.0)]
        given = (each.score if model.unit == "score" else each.total_uj for each in estimates)
        costs = [cost for cost in given if cost is not None]

        told = f"rates 0, 0.1, 0.5, 1 cost {costs}"
        assert len(costs) == len(estimates), told
        assert costs == sorted(costs), f"{told}; needed: never less"
        assert costs[0] < costs[-1], f"{told}; needed: more in the end"

    def test_every_setting_gives_an_estimate_or_says_why_not(self) -> None:
        """A knob that does nothing, or ends in an error of Python, misleads."""
        model, workload = self.model(), self.workload().with_rate(0.2)
        for settings in product(*model.knobs.values()):
            chosen = dict(zip(model.knobs, settings, strict=True))
            if model.objection(workload, chosen) is None:
                found = model.estimate(workload, **chosen).settings
                assert found == chosen, f"settings {chosen} give an estimate of {found}"
            else:
                with pytest.raises(UsageError):
                    model.estimate(workload, **chosen)

        with pytest.raises(UsageError, match="no_such_knob"):
            model.estimate(workload, no_such_knob="x")

    def test_it_says_what_it_assumes(self) -> None:
        """Every constant and every choice, in words."""
        assumptions = self.model().estimate(self.workload().with_rate(0.2)).assumptions

        needed = f"needed: a tuple of texts, found {assumptions!r}"
        assert isinstance(assumptions, tuple), needed
        assert assumptions, needed
        assert all(isinstance(text, str) and text.strip() for text in assumptions), needed

    def test_rates_that_nobody_knows_are_refused(self) -> None:
        """An invented rate would be an invented energy."""
        with pytest.raises(UsageError, match="rate"):
            self.model().estimate(self.workload())

    def test_another_process_finds_it_by_its_name(self) -> None:
        """Workers get the name, and so does the record."""
        model = self.model()
        found = energy_model(name_of(model), model.toml)

        assert found == model, f"{name_of(model)!r} gives {found}, not {model}"
