import json

from jsonschema import validate


def test_doctor_finds_nothing_wrong_here(spikenas, schema, tmp_path):
    ended = spikenas("doctor", "--json", "--store", f"sqlite:///{tmp_path}/runs.db")

    document = json.loads(ended.out)
    validate(document, schema("doctor"))
    assert [f for f in document["findings"] if f["status"] == "error"] == []
    assert ended.code == 0


def test_doctor_says_which_store_cannot_be_used(spikenas, tmp_path):
    (tmp_path / "runs.db").write_text("no database")

    ended = spikenas("doctor", "--store", f"sqlite:///{tmp_path}/runs.db")

    assert ended.code == 4
    assert "runs.db" in ended.out


def test_doctor_misses_a_data_set_that_is_asked_for(spikenas, tmp_path):
    url = f"sqlite:///{tmp_path}/runs.db"

    ended = spikenas("doctor", "--store", url, "--data", "cifar10", "--data-root", tmp_path)

    assert ended.code == 2
    assert "cifar10" in ended.out


def test_doctor_says_that_event_data_need_an_extra_or_have_it(spikenas, tmp_path):
    ended = spikenas("doctor", "--json", "--store", f"sqlite:///{tmp_path}/runs.db")

    (tonic,) = (f for f in json.loads(ended.out)["findings"] if f["name"] == "tonic")
    assert tonic["status"] == "ok" or "spikenas[events]" in tonic["detail"]


def test_doctor_leaves_no_file_behind(spikenas, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SPIKENAS_STORE", raising=False)

    ended = spikenas("doctor")

    assert ended.code == 0
    assert "spikenas.db, which the first search will make" in ended.out
    assert list(tmp_path.iterdir()) == []


def test_doctor_says_where_no_store_can_be_made(spikenas, tmp_path):
    nowhere = spikenas("doctor", "--store", f"sqlite:///{tmp_path}/none/runs.db")
    unwritable = spikenas("doctor", "--store", "sqlite:////proc/runs.db")

    assert nowhere.code == unwritable.code == 4
    for ended in (nowhere, unwritable):
        assert "cannot be made: No such file or directory; give --store" in ended.out


def test_what_doctor_says_of_an_image_folder_can_be_done(spikenas, tmp_path):
    ended = spikenas("doctor", "--data", "image_folder", "--data-root", tmp_path)

    assert ended.code == 2
    assert "image_size" not in ended.out
    assert str(tmp_path) in ended.out
