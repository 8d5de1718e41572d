"""Networks as a SpikingJelly 2.0 user would write them; what our speed is measured against.

Each has the structure of the code that the authors released, with its neurons, and takes the
weights of ours by name. They do not use what is ours: no fused layers, no layout but PyTorch's.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from peers import qkformer, spikformer, stmixer
from peers.neurons import reset
from spikenas.architecture import Architecture
from spikenas.nn.network import SpikingTransformer, build_network

__all__ = ["SYSTEMS", "Pair", "System", "pair", "reset"]


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """A published system: how large it is benched, how its peer is built and names its weights."""

    architecture: Callable[[int], Architecture]
    build: Callable[[Architecture], nn.Module]
    names: tuple[tuple[str, str], ...]

    def theirs(self, name: str) -> str:
        """Return what the peer calls a parameter or buffer of ours."""
        for pattern, replacement in self.names:
            name = re.sub(pattern, replacement, name)
        return name

    def give_weights(self, state: Mapping[str, Tensor], peer: nn.Module) -> None:
        """Copy parameters and running statistics of ours into the peer, every one of them."""
        theirs = peer.state_dict()
        counters = {name for name in theirs if name.endswith("num_batches_tracked")}
        named = {self.theirs(name): tensor for name, tensor in state.items()}
        assert set(named) | counters == set(theirs), set(named) ^ (set(theirs) - counters)
        for name, tensor in named.items():  # a 1x1 convolution is a matrix of ours
            theirs[name].copy_(tensor.view(theirs[name].shape))

    def take_weights(self, peer: nn.Module, network: nn.Module) -> None:
        """Copy parameters and running statistics of the peer into ours."""
        theirs = peer.state_dict()
        for name, tensor in network.state_dict().items():
            tensor.copy_(theirs[self.theirs(name)].view(tensor.shape))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The same network twice: ours and the peer, with equal weights."""

    system: System
    ours: SpikingTransformer
    peer: nn.Module


SYSTEMS = {
    "spikformer": System(
        architecture=spikformer.architecture, build=spikformer.build, names=spikformer.NAMES
    ),
    "qkformer": System(
        architecture=qkformer.architecture, build=qkformer.build, names=qkformer.NAMES
    ),
    "stmixer": System(architecture=stmixer.architecture, build=stmixer.build, names=stmixer.NAMES),
}


def pair(system: System, architecture: Architecture, *, seed: int = 0) -> Pair:
    """Build both; the weights are those that `build_network` draws."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        ours = build_network(architecture)
    peer = system.build(architecture)
    with torch.no_grad():
        system.give_weights(ours.state_dict(), peer)
    return Pair(system=system, ours=ours, peer=peer)
