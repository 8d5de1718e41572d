"""What every test may use: the shared folder, and the count of golden and oracle cases.

Golden cases compare with arrays that the authors' code computed, oracle cases with verdicts of
vendors' tools. They lie in the shared folder outside the repository, a few golden ones in
``tests/golden`` too. Cases whose file is absent are skipped; the last line of a test run says how
many.

`scripts/test` runs the tests in several processes. Those that start Ray or PostgreSQL, or watch
how processes end, form one group: they run one after another, so none slows another down.
"""

import os
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from spikenas.architecture import Architecture, InputSpec, Stage
from spikenas.evaluation import Evaluation, State
from spikenas.store import Store
from spikenas.workload import Kind, Operand, Operation, Signal, Workload

settings.register_profile("spikenas", deadline=None)  # tests never assert times
settings.load_profile("spikenas")
_KINDS = ("golden", "oracle")
_WITH_SERVERS = (
    "tests/distributed/test_ray_",
    "tests/distributed/test_pool_contract.py::TestRay",
    "tests/store/",
)
_ran: Counter[str] = Counter()
_skipped: Counter[str] = Counter()


@pytest.fixture(scope="session")
def shared_if_there() -> Path | None:
    """The folder of golden arrays, oracles and data sets."""
    folder = Path(os.environ.get("SPIKENAS_SHARED") or Path(__file__).parents[2] / "shared")
    return folder if folder.is_dir() else None


@pytest.fixture(scope="session")
def shared(shared_if_there: Path | None) -> Path:
    """The same folder; skips where it is absent."""
    if shared_if_there is None:
        pytest.skip("no shared folder: set SPIKENAS_SHARED")
    return shared_if_there


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder that data sets are kept in, ready for use; never the user's own."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SPIKENAS_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def nmnist(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data root of a real N-MNIST: 1,000 recordings to train, 100 to test."""
    packed = shared / "data" / "nmnist_small.zip"
    if not packed.is_file():
        pytest.skip("the shared folder has no N-MNIST")
    root = tmp_path_factory.mktemp("nmnist")
    with zipfile.ZipFile(packed) as file:
        file.extractall(root / "NMNIST")
    return root


@pytest.fixture(scope="session")
def stored(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a store, only to be read: run ``first`` of 6 trained candidates and 2 refused.

    Accuracy 0.90, 0.91, ... costs 1, 2, 4, ... uJ, but for the last two, which are dominated.
    """
    url = f"sqlite:///{tmp_path_factory.mktemp('store')}/runs.db"
    figures = [(0.90, 1.0), (0.91, 2.0), (0.92, 4.0), (0.93, 8.0), (0.90, 9.0), (0.91, 8.5)]
    with Store.open(url) as store:
        writer = store.begin_run(
            "first", settings={}, space_toml="", seed=7, objectives=("accuracy", "energy_uj")
        )
        for number, (accuracy, energy_uj) in enumerate(figures):
            row = writer.add(
                number,
                _architecture(num_steps=number + 1),
                {},
                state=State.QUEUED,
                margins={},
                reuse_key=f"trained-{number}",
            )
            writer.start(row)
            evaluation = _evaluation(accuracy, energy_uj, num_steps=number + 1)
            writer.record(row, state=State.COMPLETE, evaluation=evaluation)
        for number in (6, 7):
            writer.add(
                number,
                _architecture(num_steps=number + 1),
                {},
                state=State.REFUSED,
                margins={"max_steps": 1.0},
                reason="too many steps",
                reuse_key=f"refused-{number}",
            )
        writer.finish("finished")
    return url


def _architecture(num_steps: int) -> Architecture:
    return Architecture(
        input=InputSpec(channels=1, height=8, width=8),
        num_classes=10,
        num_steps=num_steps,
        neuron="lif",
        residual="spike",
        stem="sps",
        patch_size=2,
        stages=(Stage(embed_dim=16, depth=1, mixer=("ssa",), num_heads=2, mlp_ratio=2.0),),
    )


def _evaluation(accuracy: float, energy_uj: float, num_steps: int) -> Evaluation:
    image = Operand(source="input", shape=(1, 8, 8), signal=Signal.ANALOG, spike_rate=0.5)
    spikes = Operand(source="neuron", shape=(16,), signal=Signal.SPIKES, spike_rate=0.25)
    operations = (
        Operation(
            name="stem.conv",
            kind=Kind.CONV,
            inputs=(image,),
            output_shape=(16, 8, 8),
            signal=Signal.MEMBRANE,
            macs=9216,
            steps=num_steps,
            weights=144,
        ),
        Operation(
            name="head.linear",
            kind=Kind.LINEAR,
            inputs=(spikes,),
            output_shape=(10,),
            signal=Signal.MEMBRANE,
            macs=160,
            steps=num_steps,
            weights=160,
        ),
    )
    workload = Workload(operations=operations, num_steps=num_steps, parameters=304)
    return Evaluation(
        accuracy=accuracy,
        energy_uj=energy_uj,
        energy_model="cmos45",
        spike_rate=0.25,
        synops=40.0 * num_steps,
        macs=workload.macs,
        parameters=304,
        latency_steps=num_steps,
        fidelity=8,
        seed=7,
        train_seconds=1.0,
        wall_seconds=1.5,
        workload=workload,
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "golden: compares with arrays of the authors' code")
    config.addinivalue_line("markers", "oracle: compares with verdicts of vendors' tools")


def pytest_itemcollected(item: pytest.Item) -> None:
    if item.nodeid.startswith(_WITH_SERVERS):
        item.add_marker(pytest.mark.xdist_group("processes"))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    for kind in _KINDS:
        if kind not in report.keywords:
            continue
        if report.skipped:
            _skipped[kind] += 1
        elif report.when == "call":
            _ran[kind] += 1


def pytest_unconfigure(config: pytest.Config) -> None:
    if config.option.collectonly or not config.pluginmanager.hasplugin("terminalreporter"):
        return
    counts = [f"{kind} cases: {_ran[kind]} ran, {_skipped[kind]} skipped" for kind in _KINDS]
    print("; ".join(counts))  # noqa: T201  (after pytest's own last line)
