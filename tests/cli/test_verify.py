import hashlib
import json

import pytest

from spikenas.evaluation import State
from spikenas.store import KeptFile, Store


@pytest.fixture
def kept(stored, tmp_path):
    """Return the URL of a store with one file of weights, and that file."""
    url = f"sqlite:///{tmp_path}/runs.db"
    path = tmp_path / "runs-artifacts" / "mine" / "weights.safetensors"
    with Store.open(stored) as model, Store.open(url) as store:
        candidate = model.run().candidates()[0]
        writer = store.begin_run(
            "mine", settings={}, space_toml="", seed=0, objectives=["accuracy"]
        )
        path.parent.mkdir(parents=True)
        path.write_bytes(b"weights")
        row = writer.add(
            0, candidate.architecture, {}, state=State.QUEUED, margins={}, reuse_key="k"
        )
        writer.record(
            row,
            state=State.COMPLETE,
            evaluation=model.evaluation(candidate),
            kept=KeptFile("weights", path, hashlib.sha256(b"weights").hexdigest(), 7),
        )
        writer.finish("finished")
    return url, path


def test_weights_as_they_were_recorded_are_verified(spikenas, kept, schema):
    ended = spikenas("verify", "--store", kept[0], "--json")

    assert ended.code == 0
    assert json.loads(ended.out)["num_files"] == 1
    assert schema("verify")["title"]


@pytest.mark.parametrize(("status", "code"), [("damaged", 5), ("missing", 5), ("unreadable", 4)])
def test_weights_that_are_damaged_gone_or_unreadable_are_named(spikenas, kept, status, code):
    url, path = kept
    path.unlink()
    if status == "damaged":
        path.write_bytes(b"Weights")
    if status == "unreadable":
        path.symlink_to(path)  # also root cannot read it

    ended = spikenas("verify", "mine", "--store", url, "--json")
    standing = spikenas("status", "mine", "--store", url)

    assert ended.code == code
    assert [fault["status"] for fault in json.loads(ended.out)["faults"]] == [status]
    assert str(path) in standing.err


def test_weights_of_an_earlier_generation_are_verified_too(spikenas, kept):
    url, path = kept
    with Store.open(url) as store:
        store.resume_run("mine", new_generation=True).finish("finished")
    path.write_bytes(b"Weights")

    ended = spikenas("verify", "--store", url, "--json")

    assert ended.code == 5
    assert [fault["status"] for fault in json.loads(ended.out)["faults"]] == ["damaged"]
