"""What an energy model promises, on workloads of small networks with rates that are assumed."""

import math
from itertools import product

import pytest

from spikenas.architecture import Architecture, InputSpec, Stage
from spikenas.exceptions import UsageError
from spikenas.hardware import EnergyModel, energy_model, name_of
from spikenas.measurement import trace_architecture
from spikenas.workload import Workload


class EnergyModelContract:
    """The promises of an `EnergyModel`; the subclass says which."""

    def model(self) -> EnergyModel:
        """Return the model."""
        raise NotImplementedError

    def workload(self) -> Workload:
        """Return a network that the model prices, without rates; convolutions alone unless told."""
        return trace_architecture(
            Architecture(
                input=InputSpec(channels=1, height=8, width=8),
                num_classes=10,
                num_steps=2,
                neuron="if",
                residual="none",
                stem="conv",
                patch_size=2,
                stages=(Stage(embed_dim=8, depth=1, mixer=("conv",), mlp_ratio=2.0),),
                head="spiking",
            )
        )

    def test_the_whole_is_the_sum_of_its_operations(self) -> None:
        """And of what flows whatever happens."""
        model, workload = self.model(), self.workload().with_rate(0.2)
        estimate = model.estimate(workload)

        assert [each.name for each in estimate.operations] == [o.name for o in workload.operations]
        assert math.isclose(sum(each.share for each in estimate.operations), 1.0) or (
            estimate.static_uj > 0
        )
        if model.unit == "joules":
            assert estimate.total_uj is not None
            assert estimate.low_uj is not None
            parts = [each.energy_uj or 0.0 for each in estimate.operations]
            assert math.isclose(estimate.total_uj, sum(parts) + estimate.static_uj)
            assert 0 < estimate.low_uj <= estimate.total_uj < math.inf
        else:
            assert estimate.total_uj is None
            assert estimate.score is not None
            assert estimate.score > 0

    def test_more_spikes_never_cost_less(self) -> None:
        """Energy is searched for; a model that rewards spikes would lead astray."""
        model, workload = self.model(), self.workload()
        estimates = [model.estimate(workload.with_rate(rate)) for rate in (0.0, 0.1, 0.5, 1.0)]
        given = (each.score if model.unit == "score" else each.total_uj for each in estimates)
        costs = [cost for cost in given if cost is not None]

        assert len(costs) == len(estimates)
        assert costs == sorted(costs)
        assert costs[0] < costs[-1]

    def test_every_setting_gives_an_estimate_or_says_why_not(self) -> None:
        """A knob that does nothing, or ends in an error of Python, misleads."""
        model, workload = self.model(), self.workload().with_rate(0.2)
        for settings in product(*model.knobs.values()):
            chosen = dict(zip(model.knobs, settings, strict=True))
            if model.objection(workload, chosen) is None:
                assert model.estimate(workload, **chosen).settings == chosen
            else:
                with pytest.raises(UsageError):
                    model.estimate(workload, **chosen)

        with pytest.raises(UsageError, match="no_such_knob"):
            model.estimate(workload, no_such_knob="x")

    def test_it_says_what_it_assumes(self) -> None:
        """Every constant and every choice, in words."""
        assumptions = self.model().estimate(self.workload().with_rate(0.2)).assumptions

        assert assumptions
        assert all(text.strip() for text in assumptions)

    def test_rates_that_nobody_knows_are_refused(self) -> None:
        """An invented rate would be an invented energy."""
        with pytest.raises(UsageError, match="rate"):
            self.model().estimate(self.workload())

    def test_another_process_finds_it_by_its_name(self) -> None:
        """Workers get the name, and so does the record."""
        model = self.model()

        assert energy_model(name_of(model), model.toml) == model
