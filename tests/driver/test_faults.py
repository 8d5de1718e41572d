"""What the data, the code or the machine does is never booked on a candidate."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spikenas import driver
from spikenas.architecture import InputSpec
from spikenas.driver import Progress, faults
from spikenas.evaluation import State
from spikenas.evaluator import evaluate
from spikenas.exceptions import DataError, MachineError, SpikeNASError, UsageError
from spikenas.store import Run, Store, read_weights

Search = Callable[..., Run]
EvaluateBy = Callable[[str], None]


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Forty pictures of two classes."""
    random = np.random.default_rng(0)
    for name in ("cat", "dog"):
        folder = tmp_path / "pictures" / name
        folder.mkdir(parents=True)
        for i in range(20):
            pixels = random.integers(0, 256, (8, 8, 3), np.uint8)
            Image.fromarray(pixels).save(folder / f"{i}.png")
    return tmp_path / "pictures"


def on(pictures: Path) -> dict[str, object]:
    """Return what makes a search one on these pictures."""
    return {
        "data": "image_folder",
        "data_root": pictures,
        "image_size": 8,
        "recipe": "digits",
        "batch_size": 8,
        "train_subset": None,
    }


def test_a_search_whose_data_went_away_stops_and_goes_on_when_they_are_back(
    search: Search, url: str, pictures: Path
) -> None:
    conditions = on(pictures)
    undisturbed = search(name="undisturbed", store=f"{url}2", **conditions)
    away = pictures.with_name("away")

    def unmount(progress: Progress) -> None:
        if progress.counts["complete"] == 2 and pictures.exists():
            pictures.rename(away)

    with pytest.raises(DataError, match=r"3 jobs in a row.*spikenas resume mine"):
        search(name="mine", on_progress=unmount, **conditions)
    with Store.open(url) as store:
        stopped = store.run("mine")
        counts, status = stopped.counts(), stopped.status
        queued = stopped.candidates([State.QUEUED])[0]
        attempts = [attempt.error or "" for attempt in stopped.attempts(queued)]
    away.rename(pictures)
    resumed = driver.resume("mine", store=url)

    assert status == "interrupted"
    assert (counts["complete"], counts["failed"], counts["running"]) == (2, 0, 0)
    assert all("there is no folder" in error for error in attempts)
    assert [c.key for c in resumed.candidates()] == [c.key for c in undisturbed.candidates()]
    assert resumed.counts()["complete"] == 4


@pytest.mark.parametrize(
    ("evaluate", "error"),
    [("disk_full", MachineError), ("no_memory_for_data", MachineError), ("no_plugin", UsageError)],
)
def test_faults_of_machine_and_code_stop_the_search_and_fail_no_candidate(
    search: Search, url: str, evaluate_by: EvaluateBy, evaluate: str, error: type[SpikeNASError]
) -> None:
    evaluate_by(evaluate)

    with pytest.raises(error, match="3 jobs in a row could not run"):
        search(name="mine")

    with Store.open(url) as store:
        run = store.run("mine")
    assert run.status == "interrupted"
    assert {state for state, count in run.counts().items() if count} <= {"queued", "refused"}


def test_a_fault_that_passes_costs_nothing(search: Search, evaluate_by: EvaluateBy) -> None:
    evaluate_by("full_at_first")

    run = search(name="mine")

    assert run.counts()["complete"] == 4
    assert run.counts()["failed"] == 0


def test_weights_that_cannot_be_written_stop_the_search(
    search: Search, url: str, tmp_path: Path
) -> None:
    def spoil(progress: Progress) -> None:
        (tmp_path / "runs-artifacts" / progress.run).touch()

    with pytest.raises(MachineError, match="runs-artifacts"):
        search(name="mine", on_progress=spoil)

    with Store.open(url) as store:
        assert store.run("mine").counts()["complete"] == 0


def test_a_run_whose_data_were_replaced_is_not_resumed(
    search: Search, url: str, pictures: Path
) -> None:
    run = search(
        name="mine",
        **on(pictures),
    )
    cat, dog = pictures / "cat" / "1.png", pictures / "dog" / "1.png"
    content = cat.read_bytes()
    cat.write_bytes(dog.read_bytes())
    dog.write_bytes(content)

    with pytest.raises(UsageError, match=r"began with other data or code: the files of"):
        driver.resume("mine", store=url)
    accepted = driver.resume("mine", store=url, accept_changes=True)

    assert accepted.generation == 2
    assert accepted.counts()["complete"] == run.counts()["complete"] == 4
    of_all = accepted.candidates(all_generations=True)
    assert len(of_all) == 8
    assert {c.key for c in accepted.pareto_front()} <= {c.key for c in accepted.candidates()}
    assert len({c.number for c in of_all}) == 8
    assert not {c.row for c in accepted.pareto_front()} & {c.row for c in run.candidates()}
    assert all(read_weights(c) for c in (*run.pareto_front(), *accepted.pareto_front()))


def test_a_worker_refuses_data_and_code_that_are_not_the_driver_s(search: Search) -> None:
    settings = search(name="mine").settings
    architecture = settings.load_space(allow_plugins=False).with_input(*_digits()).sample(0)
    job = settings.job("1", architecture)

    other_data = evaluate(replace(job, data_sha256="0" * 64))
    other_code = evaluate(replace(job, code_sha256="0" * 64))

    assert (other_data.fault, other_code.fault) == ("data", "code")
    assert evaluate(job).fault is None


def _digits() -> tuple[InputSpec, int]:
    return InputSpec(channels=1, height=8, width=8), 10


def test_a_damaged_picture_is_found_before_anything_is_recorded(
    search: Search, url: str, pictures: Path
) -> None:
    (pictures / "dog" / "7.png").write_bytes(b"<html>404</html>")

    with pytest.raises(DataError, match=r"dog/7\.png cannot be read"):
        search(**on(pictures))

    with Store.open(url) as store:
        assert store.runs() == []


def test_data_damaged_since_are_found_before_a_new_generation_begins(
    search: Search, url: str, pictures: Path
) -> None:
    run = search(
        name="mine",
        **on(pictures),
    )
    (pictures / "dog" / "7.png").write_bytes(b"<html>404</html>")

    with pytest.raises(DataError, match=r"dog/7\.png cannot be read"):
        driver.resume("mine", store=url, accept_changes=True)

    with Store.open(url) as store:
        assert store.run("mine").generation == run.generation


def test_what_was_left_out_of_the_data_is_said_once(
    search: Search, pictures: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (pictures / "dog" / "notes.txt").write_text("none")

    search(**on(pictures))

    assert caplog.text.count("notes.txt") == 1


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """N-MNIST as SpikingJelly's frames of 1 and of 2 steps."""
    random = np.random.default_rng(0)
    for num_steps in (1, 2):
        for part in ("train", "test"):
            for label in range(10):
                home = tmp_path / "frames" / f"frames_number_{num_steps}_split_by_time"
                folder = home / part / str(label)
                folder.mkdir(parents=True)
                for i in range(6):
                    counts = random.integers(0, 3, (num_steps, 2, 34, 34))
                    np.savez(folder / f"{i}.npz", frames=counts)
    return tmp_path / "frames"


def test_a_space_of_several_t_is_searched_on_frames_that_are_there_for_each(
    search: Search, frames: Path
) -> None:
    run = search(data="nmnist", data_root=frames, image_size=8, batch_size=8, train_subset=20)

    assert run.counts()[State.COMPLETE] == 4
    assert {each.architecture.num_steps for each in run.candidates()} == {1, 2}


@pytest.mark.parametrize("damage", ["absent", "cut off"])
def test_frames_that_some_member_needs_are_missed_before_anything_is_recorded(
    search: Search, url: str, frames: Path, damage: str
) -> None:
    home = frames / "frames_number_2_split_by_time"
    if damage == "absent":
        home.rename(frames / "away")
    else:
        (home / "test" / "9" / "5.npz").write_bytes(b"PK")

    with pytest.raises(DataError, match=r"num_steps = 2 and|test/9/5\.npz is truncated"):
        search(data="nmnist", data_root=frames, image_size=8, batch_size=8, train_subset=20)

    with Store.open(url) as store:
        assert store.runs() == []


def test_a_batch_of_one_is_refused_before_anything_is_recorded(
    search: Search, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="batch_size = 1 is too few"):
        search(batch_size=1)

    assert not (tmp_path / "runs.db").exists()


def test_a_fault_that_only_one_candidate_meets_becomes_its_own(
    search: Search, evaluate_by: EvaluateBy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faults, "MOST", 99)  # as if others ran in between
    evaluate_by("lacking_a_table_for_if")

    run = search(trials=4)

    failed = run.candidates([State.FAILED])
    assert failed
    assert {member.architecture.neuron for member in failed} == {"if"}
    assert {len(run.attempts(member)) for member in failed} == {4}
