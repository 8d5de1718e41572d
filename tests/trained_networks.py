"""Small networks whose exports are compared: trained for a second on real digits."""

from functools import lru_cache

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor

from spikenas.architecture import Architecture, InputSpec, Stage
from spikenas.nn.network import SpikingTransformer, build_network


def architecture(**genes) -> Architecture:
    """Return a tiny spikformer for digits, but for the genes that are given."""
    tiny = {
        "input": InputSpec(channels=1, height=8, width=8),
        "num_classes": 10,
        "num_steps": 3,
        "neuron": "lif",
        "v_threshold": 0.5,
        "residual": "spike",
        "stem": "conv",
        "patch_size": 2,
        "stages": (Stage(embed_dim=16, depth=1, mixer=("ssa",), num_heads=2, mlp_ratio=2.0),),
    }
    return Architecture(**{**tiny, **genes})


def for_chips(**genes) -> Architecture:
    """Return what chips without a clock run: IF, convolutions, sums of pools, no residual."""
    stages = (
        Stage(embed_dim=8, depth=1, mixer=("conv",), mlp_ratio=2.0),
        Stage(embed_dim=16, depth=1, mixer=("conv",), mlp_ratio=2.0, downsampling="sum_pool"),
    )
    chip = {"neuron": "if", "residual": "none", "stages": stages, "head": "spiking"}
    return architecture(**{**chip, **genes})


@lru_cache(maxsize=1)
def digits() -> tuple[Tensor, Tensor]:
    """Return images [B, 1, 8, 8], 0 to 1, and labels [B]."""
    found = load_digits()
    return torch.tensor(found.images / 16.0).float().unsqueeze(1), torch.tensor(found.target)


@lru_cache(maxsize=16)
def trained(a: Architecture, *, batches: int = 30) -> SpikingTransformer:
    """Return a network that has seen some digits, in evaluation mode."""
    images, labels = digits()
    torch.manual_seed(0)
    network = build_network(a).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3)
    for batch in torch.randint(0, 1500, (batches, 64)):
        x = images[batch]
        if a.input.kind == "events":
            x = x.unsqueeze(1).expand(-1, a.num_steps, a.input.channels, -1, -1)
        optimizer.zero_grad()
        F.cross_entropy(network(x), labels[batch]).backward()
        optimizer.step()
    return network.eval()
