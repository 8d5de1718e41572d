"""What an export format promises, on small networks with weights at random."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from spikenas.architecture import Architecture
from spikenas.exceptions import InfeasibleError
from spikenas.export.formats import ExportFormat
from spikenas.export.samples import sample_images
from spikenas.nn.network import SpikingTransformer, build_network
from spikenas.preprocessing import Preprocessing
from spikenas.testing.networks import ATTENTION, CONVOLUTIONS


class ExportFormatContract:
    """The promises of an `ExportFormat`; the subclass says which."""

    def format(self) -> ExportFormat:
        """Return the format."""
        raise NotImplementedError

    def networks(self) -> list[SpikingTransformer]:
        """Return networks to write, convolutions alone and attention unless told otherwise."""
        return [_network(architecture) for architecture in (CONVOLUTIONS, ATTENTION)]

    @pytest.mark.parametrize("pixels", [False, True])
    def test_a_network_is_written_or_refused_by_name(self, tmp_path: Path, pixels: bool) -> None:
        """At least one is written; of one that cannot be expressed no half of a file is left."""
        form, written = self.format(), 0
        for number, network in enumerate(self.networks()):
            path = tmp_path / str(number) / form.file
            path.parent.mkdir()
            try:
                form.write(network, path, pixels=pixels)
            except InfeasibleError:
                assert not path.exists(), f"{path.name} is left of a network that is refused"
            else:
                assert path.is_file(), f"write() wrote no {path.name}"
                assert path.stat().st_size > 0, f"{path.name} is empty"
                written += 1

        assert written, "every network is refused"

    def test_the_network_stays_as_it_was(self, tmp_path: Path) -> None:
        """Its weights, its mode, and what it answers."""
        form, network = self.format(), self.networks()[0]
        before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        images = sample_images(network.architecture)
        logits = _logits(network, images)
        form.write(network, tmp_path / form.file)

        assert not network.training, "write() leaves the network in training mode"
        after = network.state_dict()
        changed = [name for name in before if not before[name].equal(after[name])]
        assert not changed, f"write() changes {', '.join(changed)}"
        difference = float((_logits(network, images) - logits).abs().max())
        assert difference == 0, f"the logits differ by {difference:g} after write()"

    def test_its_file_has_a_plain_name(self) -> None:
        """It lies beside the weights of an export."""
        file = self.format().file
        assert Path(file).name == file, f"file = {file!r}; needed: a name without folders"


def _logits(network: SpikingTransformer, images: Tensor) -> Tensor:
    with torch.no_grad():
        logits: Tensor = network(images)
    return logits


def _network(architecture: Architecture) -> SpikingTransformer:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build_network(architecture).eval()
    network.preprocessing = Preprocessing(
        kind="frames",
        channels=1,
        channel_order="grey",
        height=8,
        width=8,
        resize="none",
        value_range="0..1",
        mean=(0.5,),
        std=(0.25,),
    )
    return network
