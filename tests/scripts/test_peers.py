"""The networks that our speed is measured against compute what ours do.

In double precision: in float32 sums in another order may move a membrane over its threshold.
"""

from dataclasses import replace

import pytest
import torch

from spikenas.architecture import Architecture, InputSpec

SYSTEMS = ("qkformer", "spikformer", "stmixer")


@pytest.fixture(scope="module")
def peers():
    pytest.importorskip("spikingjelly", reason="no spikingjelly; scripts/install bench brings it")
    import peers  # noqa: PLC0415  (needs SpikingJelly)

    return peers


@pytest.fixture(params=SYSTEMS)
def pair(request, peers):
    system = peers.SYSTEMS[request.param]
    made = peers.pair(system, _tiny(system.architecture(16 if request.param != "stmixer" else 32)))
    made.ours.double()
    made.peer.double()
    return made


def _tiny(architecture: Architecture) -> Architecture:
    return replace(architecture, input=InputSpec(channels=3, height=16, width=16), num_steps=2)


def _images() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return 3.0 * torch.randn(4, 3, 16, 16, generator=generator, dtype=torch.float64)


def test_a_peer_gives_the_logits_of_ours(pair):
    logits = pair.ours(_images())

    assert logits.abs().max() > 0.0
    torch.testing.assert_close(pair.peer(_images()), logits)


def test_a_peer_learns_as_ours_does(pair):
    for network in (pair.ours, pair.peer):
        network(_images()).square().sum().backward()

    for name, mine in pair.ours.named_parameters():
        theirs = pair.peer.get_parameter(pair.system.theirs(name))
        torch.testing.assert_close(theirs.grad.view(mine.shape), mine.grad)


def test_a_peer_keeps_the_statistics_that_ours_keeps(pair):
    pair.ours(_images())
    pair.peer(_images())

    for name, mine in pair.ours.named_buffers():
        torch.testing.assert_close(pair.peer.get_buffer(pair.system.theirs(name)), mine)


def test_a_peer_starts_anew_once_it_is_reset(pair, peers):
    pair.peer.eval()
    before = pair.peer(_images())
    peers.reset(pair.peer)

    assert pair.peer(_images()).equal(before)


def test_weights_come_back_from_a_peer_as_they_went(pair):
    sent = {name: tensor.clone() for name, tensor in pair.ours.state_dict().items()}
    with torch.no_grad():
        for tensor in pair.ours.state_dict().values():
            tensor.zero_()

        pair.system.take_weights(pair.peer, pair.ours)

    for name, tensor in pair.ours.state_dict().items():
        assert tensor.equal(sent[name]), name
