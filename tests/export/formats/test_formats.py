import subprocess
import sys

import pytest
import safetensors.torch
import torch
from trained_networks import architecture, trained

from spikenas import export
from spikenas.exceptions import ArtefactError, InfeasibleError, UnknownNameError, UsageError
from spikenas.export import formats


def write(to, *beside):
    network = trained(architecture())
    weights = safetensors.torch.save(network.state_dict())
    return export.write(network.architecture, weights, {}, {"seed": 0}, to, beside=beside)


def test_an_unknown_format_has_its_nearest_name():
    with pytest.raises(UnknownNameError, match=r"'onxn'; did you mean 'onnx'.*pt2, safetensors"):
        formats.checked(["onxn"])


def test_safetensors_are_always_written():
    assert formats.checked(["safetensors"]) == ()
    assert formats.checked(["pt2", "safetensors", "pt2"]) == ("pt2",)


def test_an_absent_package_is_named_with_its_cure(monkeypatch):
    monkeypatch.setattr(formats, "find_spec", lambda package: None)

    with pytest.raises(UsageError, match=r"pip install 'spikenas\[onnx\]'"):
        formats.checked(["onnx"])


def test_a_format_lies_in_the_export_and_is_verified(tmp_path):
    folder = write(tmp_path / "out", "pt2")

    path = folder / "model.pt2"
    assert path.is_file()
    export.load(folder)
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(ArtefactError, match=r"model\.pt2 is damaged"):
        export.load(folder)


def test_nothing_is_written_where_a_format_cannot_express_the_network(tmp_path):
    pytest.importorskip("nir", reason="needs the extra nir")

    with pytest.raises(InfeasibleError, match="similarity"):
        write(tmp_path / "out", "nir")

    assert list(tmp_path.iterdir()) == []


def test_what_an_exporter_ends_with_is_told_as_what_a_format_cannot_express(monkeypatch):
    network = trained(architecture())
    monkeypatch.setattr(torch.export, "export", _ends)

    with pytest.raises(
        InfeasibleError, match=r"'pt2' cannot .* says: no rule for sqrt; leave 'pt2'"
    ):
        formats.render(["pt2"], network)


def _ends(*_arguments, **_options):
    raise RuntimeError("no rule for sqrt\nthe graph: ...")


def test_importing_the_exports_imports_no_format():
    code = "import sys, spikenas.export; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert not {"nir", "onnx", "onnxruntime", "onnxscript"} & set(run.stdout.split())
