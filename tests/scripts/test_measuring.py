"""What benches say of the times they took; nothing here depends on how fast anything is."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BENCHES = sorted(
    path.name for path in (ROOT / "scripts" / "benches").glob("*.py") if path.name != "check.py"
)


@pytest.fixture(scope="module")
def measuring():
    import measuring  # noqa: PLC0415  (the folder is put on the path by a fixture)

    return measuring


def _rounds(measuring, *milliseconds):
    return measuring.Rounds(wall_ms=list(milliseconds), cpu_ms=list(milliseconds))


def test_sides_take_turns_and_the_order_is_reversed_every_second_round(measuring):
    called = []

    timed = measuring.alternate(
        {"a": lambda: called.append("a"), "b": lambda: called.append("b")}, rounds=3, warm_up=0
    )

    assert called == ["a", "b", "b", "a", "a", "b"]
    assert [len(each.wall_ms) for each in timed.values()] == [3, 3]


def test_a_factor_is_the_median_of_the_rounds_own(measuring):
    ours, peer = _rounds(measuring, 1.0, 2.0, 10.0), _rounds(measuring, 3.0, 8.0, 20.0)

    assert ours.times_faster_than(peer) == 3.0  # of 3, 4 and 2


@pytest.mark.parametrize(
    ("figure", "is_ceiling", "is_met"),
    [
        (1.0, False, True),
        (0.96, False, True),
        (0.94, False, False),
        (1.0, True, True),
        (1.04, True, True),
        (1.06, True, False),
    ],
)
def test_a_bar_is_met_within_five_percent(measuring, figure, is_ceiling, is_met):
    result = measuring.Result(name="any", figure=figure, bar=1.0, is_ceiling=is_ceiling)

    assert result.is_met is is_met


def test_a_figure_without_a_bar_is_neither_met_nor_missed(measuring):
    assert measuring.Result(name="any", figure=1.0).is_met is None


@pytest.mark.slow
@pytest.mark.parametrize("bench", BENCHES)
def test_a_bench_explains_itself(bench):
    pytest.importorskip("spikingjelly", reason="no spikingjelly; scripts/install bench brings it")

    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "benches" / bench), "--help"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert "--rounds" in done.stdout
