import subprocess
import sys
from pathlib import Path

import pytest

from spikenas import driver
from spikenas.driver import Progress, arguments
from spikenas.evaluation import State
from spikenas.exceptions import ClusterError, LeaseError, MachineError, NotFoundError
from spikenas.settings import SearchSettings
from spikenas.store import Run, Store

from .conftest import EvaluateBy, Search

_KILLED = """
import os, signal, sys
from spikenas import driver

def kill(progress):
    if progress.counts["complete"] == 2 and progress.counts["running"] == 1:
        os.kill(os.getpid(), signal.SIGKILL)

driver.search("toy", data="digits", trials=5, workers="inline", store=sys.argv[1],
              name="mine", epochs=1, batch_size=30, train_subset=60, on_progress=kill)
"""


def test_ctrl_c_leaves_nothing_running_and_says_so_in_the_store(search: Search, url: str) -> None:
    run = _interrupted(search, url, after=2)

    assert run.status == "interrupted"
    assert run.counts()[State.COMPLETE] == 2
    assert run.counts()[State.RUNNING] == 0
    assert run.counts()[State.QUEUED] == 1


@pytest.mark.parametrize("sampler", ["spikenas", "tpe", "nsga2", "random"])
def test_a_resumed_search_ends_as_the_undisturbed_one(
    search: Search, url: str, tmp_path: Path, sampler: str
) -> None:
    undisturbed = search(
        store=f"sqlite:///{tmp_path}/other.db", sampler=sampler, chip="async_generic"
    )
    _interrupted(search, url, after=2, sampler=sampler, chip="async_generic")

    resumed = driver.resume("mine", store=url)

    assert resumed.status == "finished"
    assert _outcomes(resumed) == _outcomes(undisturbed)


@pytest.mark.parametrize("sampler", ["spikenas", "random"])
@pytest.mark.parametrize("after", [1, 3])
def test_a_resumed_search_has_the_seeds_that_it_was_begun_with(
    search: Search, url: str, tmp_path: Path, sampler: str, after: int
) -> None:
    seeded = {
        "sampler": sampler,
        "seed_with": ["stmixer-4-384-cifar10", "spikformer-4-384-cifar10"],
    }
    undisturbed = search(store=f"sqlite:///{tmp_path}/other.db", **seeded)
    _interrupted(search, url, after=after, **seeded)

    resumed = driver.resume("mine", store=url)

    assert _outcomes(resumed) == _outcomes(undisturbed)


def test_settings_from_before_there_were_seeds_are_read(search: Search) -> None:
    run = search(trials=1)
    old = {name: value for name, value in run.settings_json.items() if name != "seed_with"}

    assert SearchSettings.from_dict(old) == run.settings


def test_resume_after_kill_9_repeats_only_what_was_in_flight(
    search: Search, url: str, tmp_path: Path, evaluate_by: EvaluateBy
) -> None:
    script = [sys.executable, "-c", _KILLED, url]
    killed = subprocess.run(script, cwd=tmp_path, check=False, capture_output=True)
    in_flight = [each.key for each in Store.open(url).run("mine").candidates([State.RUNNING])]
    evaluate_by("counted")

    run = driver.resume("mine", store=url)

    assert killed.returncode == -9
    assert run.counts()[State.RUNNING] == 0
    assert run.counts()[State.COMPLETE] == 5
    trained = [line.split()[1] for line in Path("calls.txt").read_text().splitlines()][:3]
    assert trained[:1] == in_flight
    assert sorted(trained) == sorted(each.key for each in run.candidates()[-3:])


def test_a_file_without_a_recorded_digest_is_never_taken_for_weights(
    search: Search, url: str
) -> None:
    run = search(name="mine")
    member = run.pareto_front()[0]
    assert member.weights_path is not None
    writer = Store.open(url).resume_run("mine")
    writer.drop_artifact(member.row, "weights")
    writer.finish("interrupted")
    member.weights_path.write_bytes(b"of another time")

    resumed = driver.resume("mine", store=url)

    assert resumed.candidate(member.key).weights_path is None


def test_a_file_of_the_user_in_the_folder_of_a_run_stays(search: Search, url: str) -> None:
    run = search(name="mine")
    notes = run.artifact_folder / "mine" / "notes.txt"
    notes.write_text("mine")
    (run.artifact_folder / "mine" / f"{'0' * 64}.safetensors").mkdir()

    driver.resume("mine", store=url)

    assert notes.read_text() == "mine"


def test_files_that_belong_to_no_member_of_the_front_are_cleared_away(
    search: Search, url: str
) -> None:
    run = search(name="mine")
    stray = run.artifact_folder / "mine" / f"{run.candidates()[0].key}.part"
    stray.write_bytes(b"half of a file")

    driver.resume("mine", store=url)

    assert not stray.exists()


def test_a_file_that_cannot_be_cleared_away_is_the_machines_fault(search: Search, url: str) -> None:
    run = search(name="mine", trials=1)
    (run.artifact_folder / "mine" / f"{run.candidates()[0].key}.part").mkdir()

    with pytest.raises(MachineError, match=r"\.part cannot be deleted: .*; mend that, then"):
        driver.resume("mine", store=url)


def test_resuming_a_finished_run_trains_nothing(
    search: Search, url: str, evaluate_by: EvaluateBy
) -> None:
    run = search(name="mine")
    evaluate_by("counted")

    again = driver.resume("mine", store=url)

    assert not Path("calls.txt").exists()
    assert again.counts() == run.counts()


def test_a_run_that_another_process_drives_is_refused_before_workers_start(
    search: Search, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    search(name="mine", trials=1)
    pools: list[object] = []
    monkeypatch.setattr(arguments, "open_pool", pools.append)

    with Store.open(url) as store:
        store.resume_run("mine")
        with pytest.raises(LeaseError, match="'mine' is driven by process"):
            driver.resume("mine", store=url)

    assert pools == []


def test_a_run_is_given_back_when_no_workers_can_be_had(
    search: Search, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = _interrupted(search, url, after=2)

    def no_cluster(_: object) -> None:
        raise ClusterError("no Ray cluster answers")

    with monkeypatch.context() as patched:
        patched.setattr(arguments, "open_pool", no_cluster)
        with pytest.raises(ClusterError):
            driver.resume("mine", store=url)

    assert run.status == "interrupted"
    assert driver.resume("mine", store=url).status == "finished"


def test_resuming_an_unknown_run_names_the_nearest(search: Search, url: str) -> None:
    search(name="mine", trials=1)

    with pytest.raises(NotFoundError, match="did you mean 'mine'"):
        driver.resume("mien", store=url)


def _interrupted(search: Search, url: str, *, after: int, **settings: object) -> Run:
    """Search until so many candidates are complete and one more is under way, then Ctrl-C."""

    def interrupt(progress: Progress) -> None:
        if progress.counts[State.COMPLETE] == after and progress.counts[State.RUNNING]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(name="mine", on_progress=interrupt, **settings)
    return Store.open(url).run("mine")


def _outcomes(run: Run) -> list[tuple[int, str, str, float | None, float | None]]:
    return [
        (each.number, each.key, each.state, each.accuracy, each.test_accuracy)
        for each in run.candidates(include_duplicates=True)
    ]
