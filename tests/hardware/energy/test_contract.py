"""The contract of energy models, for ours and for one that a package of another brings."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from packages import write_package

from spikenas.exceptions import UnknownNameError, UsageError
from spikenas.hardware import EnergyModel, energy_model, energy_models, name_of
from spikenas.testing import EnergyModelContract

LAB = """
from dataclasses import dataclass
from spikenas.hardware import Cost, EnergyModel
from spikenas.hardware.energy.model import events_of, rate_of

@dataclass(frozen=True, slots=True, kw_only=True)
class PerEvent(EnergyModel):
    def costs(self, workload, settings):
        return [
            Cost(terms={"event": (events, events)}, synops=events)
            for events in map(events_of, workload.operations)
        ]

    def assumptions(self, workload, settings):
        return ("one picojoule an event (lab book, page 12)",)

class InOneText(PerEvent):
    def assumptions(self, workload, settings):
        return "one picojoule an event"

class OfEveryRate(PerEvent):
    def costs(self, workload, settings):
        return [Cost(terms={"event": (1.0, 1.0 + rate_of(o))}) for o in workload.operations]

MODEL = PerEvent(name="lab", title="The laboratory's board")
NOTHING = 3
"""


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    write_package(
        tmp_path,
        LAB,
        module="lab_energy",
        group="energy_models",
        lab="MODEL",
        nothing="NOTHING",
        gone="GONE",
        alias="MODEL",
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "lab"
    monkeypatch.undo()


@pytest.mark.parametrize("name", energy_models())
class TestOurs(EnergyModelContract):
    @pytest.fixture(autouse=True)
    def _named(self, name: str) -> None:
        self.name = name

    def model(self) -> EnergyModel:
        return energy_model(self.name)


@pytest.mark.usefixtures("lab")
class TestOfAPackage(EnergyModelContract):
    def model(self) -> EnergyModel:
        return energy_model("lab")


@pytest.mark.usefixtures("lab")
@pytest.mark.parametrize(
    ("broken", "promise", "error", "message"),
    [
        (
            "InOneText",
            "test_it_says_what_it_assumes",
            AssertionError,
            "a tuple of texts, found 'one picojoule an event'",
        ),
        (
            "OfEveryRate",
            "test_a_measured_network_has_a_price",
            UsageError,
            r"norm' does not know the spike rate .* has no multiply-accumulates, so none is meas",
        ),
    ],
)
def test_a_model_that_breaks_a_promise_is_told_which(
    broken: str, promise: str, error: type[Exception], message: str
) -> None:
    made = getattr(import_module("lab_energy"), broken)(name="lab", title="Broken")

    class Contract(EnergyModelContract):
        def model(self) -> EnergyModel:
            model: EnergyModel = made
            return model

    with pytest.raises(error, match=message):
        getattr(Contract(), promise)()


def test_a_broken_entry_point_is_named_when_it_is_asked_for_and_never_before(lab: str) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'lab'"):
        energy_model("lap")
    with pytest.raises(UsageError, match=r"nothing = 'lab_energy:NOTHING' of lab_en.* gives"):
        energy_model("nothing")
    with pytest.raises(UsageError, match=r"entry point gone .* cannot be loaded: AttributeError"):
        energy_model("gone")
    with pytest.raises(UsageError, match="gives a model named 'lab'; give both one name"):
        energy_model("alias")


def test_a_constant_of_an_imported_module_is_found_by_its_name(lab: str) -> None:
    with pytest.raises(UsageError, match="if you trust them, use --allow-plugins"):
        energy_model("lab_nowhere:MODEL")
    model = energy_model(lab)

    assert energy_model("lab_energy:MODEL") is model
    with pytest.raises(UsageError, match="needed: an EnergyModel of that module, found 3"):
        energy_model("lab_energy:NOTHING")
    assert name_of(model) == "lab"


def test_a_colon_in_the_path_of_a_file_names_no_module(tmp_path: Path) -> None:
    path = tmp_path / "a:b.toml"
    path.write_text('name = "mine"\ntitle = "Mine"\nupdates = "every_step"\n')

    assert energy_model(str(path)).name == "mine"
