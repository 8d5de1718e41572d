"""Files of weights: which are read, and that none of them ever runs code."""

import argparse
import ast
import io
import pickle
import re
import tarfile
import zipfile
from collections import OrderedDict, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor

import spikenas
from spikenas.exceptions import UsageError
from spikenas.official import read_checkpoint

WEIGHTS = {"head.weight": torch.arange(6.0).reshape(2, 3), "head.bias": torch.ones(2)}
OTHER = {name: tensor + 1 for name, tensor in WEIGHTS.items()}


class Payload:
    """Creates a file when it is unpickled."""

    def __init__(self, sentinel: Path) -> None:
        self.sentinel = sentinel

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.sentinel,)


def _saved(folder: Path, content: Any, name: str = "model.pth", **options: Any) -> Path:
    torch.save(content, folder / name, **options)
    return folder / name


def _are_equal(found: dict[str, Tensor], expected: dict[str, Tensor]) -> bool:
    return found.keys() == expected.keys() and all(
        torch.equal(found[name], tensor) for name, tensor in expected.items()
    )


def test_safetensors_are_read(tmp_path: Path) -> None:
    safetensors.torch.save_file(WEIGHTS, tmp_path / "model.safetensors")

    assert _are_equal(read_checkpoint(tmp_path / "model.safetensors"), WEIGHTS)


@pytest.mark.parametrize("options", [{}, {"_use_new_zipfile_serialization": False}])
@pytest.mark.parametrize("name", ["model.pth", "model.pth.tar", "model"])
def test_files_of_pytorch_are_read(tmp_path: Path, name: str, options: dict[str, Any]) -> None:
    assert _are_equal(read_checkpoint(_saved(tmp_path, WEIGHTS, name, **options)), WEIGHTS)


@pytest.mark.parametrize("key", ["state_dict", "model", "module", "net", "state_dict_ema"])
def test_what_a_training_script_saved_beside_the_weights_is_passed_over(
    tmp_path: Path, key: str
) -> None:
    content = {
        "epoch": 3,
        "arch": "vit",
        "args": argparse.Namespace(lr=0.1, layers=[1, 2]),
        "optimizer": {"state": {0: {"step": torch.tensor(1.0)}}},
        key: WEIGHTS,
    }

    assert _are_equal(read_checkpoint(_saved(tmp_path, content)), WEIGHTS)


@pytest.mark.parametrize(
    "beside",
    [
        np.float64(3.5),
        np.int64(3),
        np.bool_(True),
        np.arange(3.0),
        defaultdict(dict, {"a": {1: 2}}),
        defaultdict(list),
        OrderedDict(a=1),
    ],
)
@pytest.mark.parametrize("options", [{}, {"_use_new_zipfile_serialization": False}])
def test_numbers_of_numpy_and_dicts_beside_the_weights_are_passed_over(
    tmp_path: Path, beside: Any, options: dict[str, Any]
) -> None:
    path = _saved(tmp_path, {"epoch": beside, "state_dict": WEIGHTS}, **options)

    assert _are_equal(read_checkpoint(path), WEIGHTS)


def test_weights_are_preferred_to_their_average_and_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = _saved(tmp_path, {"state_dict_ema": OTHER, "state_dict": WEIGHTS})

    found = read_checkpoint(path)

    assert _are_equal(found, WEIGHTS)
    assert "taking 'state_dict', not state_dict_ema" in caplog.text


@pytest.mark.parametrize("place", ["alone", "beside", "within", "options"])
@pytest.mark.parametrize("options", [{}, {"_use_new_zipfile_serialization": False}])
def test_a_pickle_with_code_is_refused_and_its_code_not_run(
    tmp_path: Path, place: str, options: dict[str, Any]
) -> None:
    payload = Payload(tmp_path / "sentinel")
    content: Any = {
        "alone": payload,
        "beside": {"state_dict": WEIGHTS, "args": payload},
        "within": {**WEIGHTS, "x": payload},
        "options": {"state_dict": WEIGHTS, "args": argparse.Namespace(hook=payload)},
    }[place]
    path = _saved(tmp_path, content, **options)

    with pytest.raises(UsageError, match=r"holds more than tensors .*safetensors"):
        read_checkpoint(path)

    assert not (tmp_path / "sentinel").exists()


def test_a_bare_pickle_is_refused_and_its_code_not_run(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(Payload(tmp_path / "sentinel")))

    with pytest.raises(UsageError):
        read_checkpoint(path)

    assert not (tmp_path / "sentinel").exists()


def test_a_pickle_under_the_name_of_safetensors_is_refused(tmp_path: Path) -> None:
    path = _saved(tmp_path, Payload(tmp_path / "sentinel"), "model.safetensors")

    with pytest.raises(UsageError, match="is no safetensors file"):
        read_checkpoint(path)

    assert not (tmp_path / "sentinel").exists()


def test_nothing_stays_allowed_after_a_file_was_read(tmp_path: Path) -> None:
    read_checkpoint(_saved(tmp_path, {"model": WEIGHTS, "args": argparse.Namespace()}))

    assert argparse.Namespace not in torch.serialization.get_safe_globals()


def _archive(kind: str) -> bytes:
    buffer = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(buffer, "w") as archive:
            # Else it has the time of day, and the test another name in each process.
            archive.writestr(zipfile.ZipInfo("hello.txt"), "hello")
    else:
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            tar.addfile(tarfile.TarInfo("hello.txt"), io.BytesIO())
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80",
        b"not a checkpoint",
        b"\x80\x02.",
        b"PK\x03\x04",
        _archive("zip"),
        _archive("tar"),
    ],
)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_any_other_bytes_are_refused(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"model{suffix}"
    path.write_bytes(content)

    with pytest.raises(UsageError, match=rf"model\{suffix}: (is no|holds)") as raised:
        read_checkpoint(path)

    assert not re.search(r"Error|b'|pickl(?!ing that could)|miniz", str(raised.value))
    assert "needed: " in str(raised.value)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_page_of_a_web_site_is_shown_by_how_it_begins(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"model{suffix}"
    path.write_text("<!DOCTYPE html><html>404</html>")

    with pytest.raises(UsageError, match=r"its 31 bytes begin with '<!DOCTYPE html><'; .*download"):
        read_checkpoint(path)


@pytest.mark.parametrize("size", range(0, 1000, 97))
def test_a_file_that_was_cut_short_is_refused(tmp_path: Path, size: int) -> None:
    path = _saved(tmp_path, WEIGHTS)
    path.write_bytes(path.read_bytes()[:size])

    with pytest.raises(UsageError):
        read_checkpoint(path)


@pytest.mark.parametrize("content", [{}, {"epoch": 3}, [1, 2], torch.ones(2), {"model": {}}])
def test_a_file_without_weights_is_refused(tmp_path: Path, content: Any) -> None:
    with pytest.raises(UsageError, match=r"holds no weights, but .*needed: names with tensors"):
        read_checkpoint(_saved(tmp_path, content))


def test_a_file_that_holds_itself_is_refused(tmp_path: Path) -> None:
    endless: dict[str, Any] = {}
    endless["state_dict"] = endless
    torch.save(endless, tmp_path / "endless.pth")

    with pytest.raises(UsageError, match="holds no weights"):
        read_checkpoint(tmp_path / "endless.pth")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        read_checkpoint(tmp_path / "none.pth")
    with pytest.raises(UsageError, match="is a folder"):
        read_checkpoint(tmp_path)


def test_pickles_are_read_in_one_place_only() -> None:
    found = []
    for path in Path(spikenas.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                call = ast.unparse(node.func)
                loads = (
                    "torch.load",
                    "pickle.load",
                    "pickle.loads",
                    "joblib.load",
                    "torch.export.load",
                )
                if call in loads:
                    found.append((path.name, call, ast.unparse(node)))

    calls = {(name, call): text for name, call, text in found}
    # pt2.py reads back, in the same process, the file that it has just written; no other.
    assert sorted(calls) == [("checkpoint_file.py", "torch.load"), ("pt2.py", "torch.export.load")]
    assert "weights_only=True" in calls["checkpoint_file.py", "torch.load"]
