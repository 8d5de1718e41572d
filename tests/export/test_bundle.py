import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch

from spikenas import export
from spikenas.architecture import Architecture, InputSpec, Stage
from spikenas.exceptions import ArtefactError, UsageError
from spikenas.nn.network import build_network

PROVENANCE_FILE = "provenance.json"
TINY = Architecture(
    input=InputSpec(channels=1, height=8, width=8),
    num_classes=3,
    num_steps=2,
    neuron="lif",
    residual="spike",
    stem="conv",
    patch_size=2,
    stages=(Stage(embed_dim=8, depth=1, mixer=("ssa",), num_heads=2, mlp_ratio=2.0),),
)
METRICS = {"accuracy": 0.97, "energy_uj": 0.25, "history": [{"epoch": 1, "loss": 0.5}]}
PROVENANCE = {"run": "toy-20261124-0912", "seed": 7, "versions": {"optuna": "5.0.0"}}


def weights_of(architecture, seed=0):
    torch.manual_seed(seed)
    return safetensors.torch.save(build_network(architecture).state_dict())


@pytest.fixture(scope="module")
def weights():
    return weights_of(TINY)


@pytest.fixture
def write(tmp_path, weights):
    """Write a tiny export to ``tmp_path / "out"``; any argument may be changed."""

    def write(**changed):
        given = {
            "architecture": TINY,
            "weights": weights,
            "metrics": METRICS,
            "provenance": PROVENANCE,
            "to": tmp_path / "out",
        }
        return export.write(**{**given, **changed})

    return write


def reseal(folder, change):
    """Change the record of an export and seal it again, as a forger would."""
    path = folder / "provenance.json"
    record = json.loads(path.read_text())
    del record["self_sha256"]
    change(record)
    canonical = json.dumps(record, sort_keys=True, separators=(",", ":"))
    record["self_sha256"] = hashlib.sha256(canonical.encode()).hexdigest()
    path.write_text(json.dumps(record, indent=2, sort_keys=True) + "\n")


def names_in(folder):
    return sorted(entry.name for entry in folder.iterdir())


def test_an_export_gives_back_the_same_network_in_evaluation_mode(write, weights):
    images = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    original = build_network(TINY)
    original.load_state_dict(safetensors.torch.load(weights))

    network = export.load(write())

    assert network.architecture == TINY
    assert not network.training
    with torch.no_grad():
        assert torch.equal(network(images), original.eval()(images))


def test_an_export_has_four_files_and_nothing_is_left_beside_it(write, tmp_path):
    folder = write()

    assert names_in(folder) == [
        "architecture.json",
        "metrics.json",
        "model.safetensors",
        "provenance.json",
    ]
    assert names_in(tmp_path) == ["out"]
    assert export.read_architecture(folder) == TINY
    assert export.read_architecture(folder / "architecture.json") == TINY
    assert export.read_metrics(folder) == METRICS


def test_the_record_tells_run_seed_versions_and_the_digest_of_every_other_file(write):
    record = json.loads((write() / "provenance.json").read_text())

    assert (record["run"], record["seed"], record["key"]) == ("toy-20261124-0912", 7, TINY.key)
    assert record["versions"].keys() == {"optuna", "python", "safetensors", "spikenas", "torch"}
    assert record["files"].keys() == {"architecture.json", "metrics.json", "model.safetensors"}


def test_the_network_may_be_of_any_family(write):
    membrane = replace(
        TINY,
        neuron="stmixer_lif",
        residual="membrane",
        stem="conv_side",
        stages=(replace(TINY.stages[0], mixer=("stm",)),),
    )

    folder = write(architecture=membrane, weights=weights_of(membrane))

    assert export.load(folder).architecture == membrane


@pytest.mark.parametrize(
    "name", ["architecture.json", "metrics.json", "model.safetensors", "provenance.json"]
)
def test_a_flipped_byte_at_any_place_of_any_file_is_found(write, name):
    folder = write()
    path = folder / name
    content = path.read_bytes()
    step = max(1, len(content) // 400)

    for place in {*range(0, len(content), step), len(content) - 1}:
        damaged = bytearray(content)
        damaged[place] ^= 1 << (place % 8)
        path.write_bytes(damaged)
        with pytest.raises(ArtefactError):
            export.verify(folder)

    path.write_bytes(content)
    export.verify(folder)


@pytest.mark.parametrize("read", [export.load, export.read_architecture, export.read_metrics])
def test_every_reader_verifies_all_files_first(write, read):
    folder = write()
    path = folder / "metrics.json"
    path.write_bytes(path.read_bytes().replace(b"0.97", b"0.99"))

    with pytest.raises(ArtefactError, match=r"metrics\.json is damaged"):
        read(folder)


@pytest.mark.parametrize(
    "name", ["architecture.json", "metrics.json", "model.safetensors", "provenance.json"]
)
def test_a_missing_truncated_or_linked_file_is_refused(write, name, tmp_path):
    folder = write()
    path = folder / name
    content = path.read_bytes()

    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ArtefactError):
        export.verify(folder)
    path.unlink()
    with pytest.raises(ArtefactError, match=f"{name} is missing"):
        export.verify(folder)
    (tmp_path / "elsewhere").write_bytes(content)
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ArtefactError, match=f"{name} is a link"):
        export.verify(folder)


@pytest.mark.parametrize(
    "name",
    [
        "../secret",
        "/etc/hostname",
        "a/b",
        "..",
        ".",
        "",
        "a\0b",
        "a\\b",
        "provenance.json",
        "x" * 200,
    ],
)
def test_a_recorded_path_that_is_no_file_of_the_folder_is_refused_unread(write, name, tmp_path):
    folder = write()
    (tmp_path / "secret").write_text("secret")
    reseal(folder, lambda record: record["files"].update({name: "0" * 64}))

    with pytest.raises(ArtefactError, match="which is not a file here"):
        export.verify(folder)


def test_a_record_that_claims_more_less_or_otherwise_than_there_is_is_refused(write):
    folder = write()
    pristine = (folder / "provenance.json").read_bytes()
    forgeries = {
        "model.onnx is missing": lambda record: record["files"].update({"model.onnx": "0" * 64}),
        "does not record metrics.json": lambda record: record["files"].pop("metrics.json"),
        "certified": lambda record: record.update(certified=True),
        "format_version": lambda record: record.update(format_version=2),
        "format": lambda record: record.pop("format"),
        "seed": lambda record: record.update(seed="seven"),
    }

    for complaint, forgery in forgeries.items():
        reseal(folder, forgery)
        with pytest.raises(ArtefactError, match=complaint):
            export.verify(folder)
        (folder / "provenance.json").write_bytes(pristine)


def test_a_file_that_nobody_recorded_is_refused_but_not_what_a_desktop_drops(write):
    folder = write()
    (folder / ".DS_Store").write_bytes(b"")
    export.verify(folder)
    (folder / "model.pt2").write_bytes(b"PK")

    with pytest.raises(ArtefactError, match=r"model\.pt2, which provenance\.json does not record"):
        export.verify(folder)


def test_a_pickle_in_place_of_the_weights_is_refused_and_never_run(write, tmp_path):
    sentinel = tmp_path / "sentinel"

    class Payload:
        def __reduce__(self):
            return (Path.touch, (sentinel,))

    torch.save(Payload(), tmp_path / "evil.pt")
    evil = (tmp_path / "evil.pt").read_bytes()
    folder = write()
    (folder / "model.safetensors").write_bytes(evil)

    with pytest.raises(ArtefactError, match="damaged"):
        export.load(folder)
    with pytest.raises(ArtefactError, match="no safetensors"):
        write(weights=evil, to=tmp_path / "other")
    assert not sentinel.exists()
    assert not (tmp_path / "other").exists()


def test_an_architecture_of_another_size_is_refused_before_it_is_built(write, tmp_path):
    huge = replace(TINY, stages=(replace(TINY.stages[0], embed_dim=2**20),))

    with pytest.raises(ArtefactError, match="are not those of architecture"):
        write(architecture=huge)
    assert names_in(tmp_path) == []


def test_weights_that_are_not_finite_are_not_exported(write, weights, tmp_path):
    state = safetensors.torch.load(weights)
    name = next(iter(state))
    state[name].view(-1)[0] = torch.nan

    with pytest.raises(ArtefactError, match=f"{name} is not finite"):
        write(weights=safetensors.torch.save(state))
    assert names_in(tmp_path) == []


def test_a_taken_place_is_kept_unless_it_is_an_export_to_be_overwritten(write, tmp_path):
    folder = write()

    with pytest.raises(UsageError, match="exists"):
        write(metrics={"accuracy": 0.5})
    assert export.read_metrics(folder) == METRICS
    write(metrics={"accuracy": 0.5}, overwrite=True)
    assert export.read_metrics(folder) == {"accuracy": 0.5}
    assert names_in(tmp_path) == ["out"]


def test_a_folder_that_is_no_export_is_never_overwritten(write, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.tex").write_text("years of work")
    (tmp_path / "link").symlink_to(mine)
    (tmp_path / "file").write_text("")

    for taken in ("mine", "link", "file"):
        with pytest.raises(UsageError, match=taken):
            write(to=tmp_path / taken, overwrite=True)
    assert (mine / "thesis.tex").read_text() == "years of work"


@pytest.mark.parametrize("name", ["notes.txt", ".git/config", "logs/a.txt"])
def test_an_export_that_holds_what_is_not_its_own_is_not_overwritten(write, name):
    folder = write()
    (folder / ".DS_Store").write_text("of the system")
    mine = folder / name
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("years of work")

    with pytest.raises(UsageError, match=name.partition("/")[0]):
        write(overwrite=True)
    assert mine.read_text() == "years of work"


@pytest.mark.parametrize("text", ["{}", "no JSON", '{"format": "spikenas-export", "files": [[]]}'])
def test_a_folder_with_another_provenance_is_not_overwritten(write, tmp_path, text):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "provenance.json").write_text(text)

    with pytest.raises(UsageError, match=r"provenance\.json does not belong to an export"):
        write(overwrite=True)


def test_a_disk_that_fails_at_any_sync_leaves_the_old_export_and_no_litter(
    write, tmp_path, monkeypatch
):
    folder = write()
    sync, failures = os.fsync, 0

    for failing in range(1, 20):
        calls = iter(range(1, 100))

        def fail(descriptor, calls=calls, failing=failing):
            if next(calls) == failing:
                raise OSError(28, "No space left on device")
            sync(descriptor)

        monkeypatch.setattr(os, "fsync", fail)
        try:
            write(metrics={"accuracy": 0.5}, overwrite=True)
        except UsageError:
            failures += 1
        else:
            break
        finally:
            monkeypatch.setattr(os, "fsync", sync)
        export.verify(folder)

    assert failures >= 5
    assert export.read_metrics(folder) == {"accuracy": 0.5}
    assert names_in(tmp_path) == ["out"]


@pytest.mark.slow
@pytest.mark.parametrize("sync", [1, 3, 5])
def test_a_writer_killed_at_a_sync_leaves_the_old_export_whole(write, tmp_path, sync):
    folder = write()
    script = """
import os, sys, signal
from pathlib import Path
from spikenas import export

folder, last = Path(sys.argv[1]), int(sys.argv[2])
weights = (folder / "model.safetensors").read_bytes()
architecture = export.read_architecture(folder)
calls = iter(range(1, 100))
os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL) if next(calls) == last else None
export.write(architecture, weights, {"accuracy": 0.5}, {}, folder, overwrite=True)
"""

    killed = subprocess.run([sys.executable, "-c", script, folder, str(sync)], check=False)

    assert killed.returncode == -9
    assert export.read_metrics(folder) == METRICS
    export.load(folder)


@pytest.mark.parametrize(
    "secret",
    [
        "/home/ada/data",
        "~/data",
        "C:\\data",
        "postgresql://ada:pw@host/db",
        "see sqlite:///x.db",
        "at /srv/x",
    ],
)
def test_paths_and_urls_do_not_leave_in_an_export(write, secret, tmp_path):
    with pytest.raises(UsageError, match=r"provenance\.data\.root names a path"):
        write(provenance={"data": {"root": secret}})
    with pytest.raises(UsageError, match=r"metrics\.notes\[0\] names a path"):
        write(metrics={"notes": [secret]})
    assert names_in(tmp_path) == []


def test_an_unknown_claim_and_a_number_that_json_lacks_are_refused(write):
    with pytest.raises(UsageError, match=r"provenance\.sed is not a key .*did you mean 'seed'"):
        write(provenance={"sed": 1})
    with pytest.raises(UsageError, match="plain JSON"):
        write(metrics={"accuracy": float("nan")})


def test_foreign_metadata_of_the_weights_is_left_behind(write, weights):
    state = safetensors.torch.load(weights)
    tagged = safetensors.torch.save(state, metadata={"host": "lab-17"})

    folder = write(weights=tagged)

    assert b"lab-17" not in (folder / "model.safetensors").read_bytes()


def test_an_architecture_file_that_is_none_is_a_usage_error(tmp_path):
    path = tmp_path / "architecture.json"
    for text in ("[]", "{", '{"neuron": "lif"}', "[" * 100_000):
        path.write_text(text)
        with pytest.raises(UsageError, match=r"architecture\.json"):
            export.read_architecture(path)
    with pytest.raises(UsageError, match="no such file"):
        export.read_architecture(tmp_path / "absent.json")
    with pytest.raises(UsageError, match="no such folder"):
        export.load(tmp_path / "absent")
