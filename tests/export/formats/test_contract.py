"""The contract of export formats, for ours and for one that a package of another brings."""

from pathlib import Path

import pytest
from packages import write_package

import spikenas
from spikenas import export
from spikenas.exceptions import UnknownNameError, UsageError
from spikenas.export.formats import FORMATS, ExportFormat, format_of
from spikenas.nn.network import SpikingTransformer
from spikenas.testing import ExportFormatContract

LAB = """
class Listing:
    file = "listing.txt"
    packages = ()

    def write(self, network, path, *, pixels=False):
        path.write_text("\\n".join(network.state_dict()))

class Over(Listing):
    file = "metrics.json"

class Silent(Listing):
    def write(self, network, path, *, pixels=False):
        pass

class Raising(Listing):
    def write(self, network, path, *, pixels=False):
        raise KeyError("q")
"""


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "site"
    folder.mkdir()
    write_package(
        folder,
        LAB,
        module="lab_formats",
        group="export_formats",
        listing="Listing",
        over="Over",
        silent="Silent",
        raising="Raising",
    )
    monkeypatch.syspath_prepend(str(folder))


@pytest.mark.parametrize("name", sorted(FORMATS))
class TestOurs(ExportFormatContract):
    @pytest.fixture(autouse=True)
    def _named(self, name: str) -> None:
        for package in FORMATS[name].packages:
            pytest.importorskip(package, reason=f"needs the extra {name}")
        self.name = name

    def format(self) -> ExportFormat:
        return format_of(self.name)


@pytest.mark.usefixtures("lab")
class TestOfAPackage(ExportFormatContract):
    def format(self) -> ExportFormat:
        return format_of("listing")


def test_a_format_that_changes_what_a_network_answers_is_found(tmp_path: Path) -> None:
    class Hooking:
        file, packages = "hooked.txt", ()

        def write(self, network: SpikingTransformer, path: Path, *, pixels: bool = False) -> None:
            network.register_forward_hook(lambda module, inputs, logits: logits + 1)

    class Contract(ExportFormatContract):
        def format(self) -> ExportFormat:
            return Hooking()

    with pytest.raises(AssertionError, match=r"the logits differ by 1 after write\(\)"):
        Contract().test_the_network_stays_as_it_was(tmp_path)


@pytest.mark.usefixtures("lab")
def test_a_format_of_a_package_lies_in_the_export_and_what_is_wrong_with_it_is_told(
    tmp_path: Path,
) -> None:
    def write(*formats: str) -> Path:
        network = spikenas.build_network(spikenas.published("spikformer-4-256-cifar10"))
        weights = export.bundle.safetensors.torch.save(network.state_dict())
        to = tmp_path / "-".join(formats)
        return export.write(network.architecture, weights, {}, {"seed": 0}, to, beside=formats)

    assert "head.classifier" in (write("listing") / "listing.txt").read_text()
    for name, complaint in (
        ("over", r"over = 'lab_formats:Over' of lab_formats 1\.0 gives an Over; needed: an Export"),
        ("silent", "'silent' wrote no listing.txt"),
        ("raising", "raising = .* fails: KeyError: 'q'; mend or uninstall"),
    ):
        with pytest.raises(UsageError, match=complaint):
            write(name)
    with pytest.raises(UnknownNameError, match="did you mean 'listing'"):
        write("listin")
