"""Spikformer for CIFAR (Zhou 2023), with SpikingJelly's neurons, as the released code builds it.

Axes: T steps, B batch, C channels, H, W map, N tokens, D width, h heads, d = D / h.
Linear layers on tokens [T, B, N, D] with a transpose around BatchNorm1d, and (Q K^T) V.
"""

from itertools import pairwise

from torch import Tensor, nn

from peers.layers import conv_norm, max_pool
from peers.neurons import lif
from spikenas.architecture import Architecture, InputSpec, Stage

NAMES = (
    (r"^stem\.stages\.(\d)\.0\.conv\.", r"stem.\1.0.0."),
    (r"^stem\.stages\.(\d)\.0\.norm\.", r"stem.\1.0.1."),
    (r"^stem\.position\.conv\.", r"position.0.0."),
    (r"^stem\.position\.norm\.", r"position.0.1."),
    (r"^stages\.0\.(\d+)\.sub_blocks\.0\.branch\.", r"blocks.\1."),
    (r"^stages\.0\.(\d+)\.sub_blocks\.1\.branch\.", r"blocks.\1.mlp."),
    (r"\.mlp\.fc1\.", r".mlp.0."),
    (r"\.mlp\.fc2\.", r".mlp.1."),
    (r"^head\.classifier\.", r"head."),
)


def architecture(embed_dim: int) -> Architecture:
    """Return depth 2, T = 4, patches of 4, heads of at least 16 channels."""
    stage = Stage(
        embed_dim=embed_dim,
        depth=2,
        mixer=("ssa",),
        num_heads=8 if embed_dim >= 256 else 4,
        mlp_ratio=4.0,
    )
    return Architecture(
        input=InputSpec(channels=3, height=32, width=32),
        num_classes=10,
        num_steps=4,
        neuron="lif",
        residual="spike",
        stem="sps",
        patch_size=4,
        stages=(stage,),
    )


def build(architecture: Architecture) -> nn.Module:
    """Return the peer of an architecture of stem ``sps`` and mixer ``ssa``."""
    a, (stage,) = architecture, architecture.stages
    assert (a.stem, a.neuron, a.residual, a.head) == ("sps", "lif", "spike", "mean_linear"), a
    assert (a.tau, a.v_threshold, a.options, stage.options) == (2.0, 1.0, (), ()), a
    assert set(stage.mixer) == {"ssa"}, a
    assert stage.num_heads is not None
    return Spikformer(
        in_channels=a.input.channels,
        embed_dim=stage.embed_dim,
        num_heads=stage.num_heads,
        depth=stage.depth,
        hidden_dim=round(stage.embed_dim * stage.mlp_ratio),
        num_steps=a.num_steps,
        num_classes=a.num_classes,
        num_pools=a.patch_size.bit_length() - 1,
    )


class Spikformer(nn.Module):
    """Images [B, C, H, W] to logits [B, classes]; reset it after each call."""

    def __init__(
        self,
        *,
        in_channels: int,
        embed_dim: int,
        num_heads: int,
        depth: int,
        hidden_dim: int,
        num_steps: int,
        num_classes: int,
        num_pools: int,
    ) -> None:
        super().__init__()
        self.num_steps = num_steps
        widths = [in_channels, embed_dim // 8, embed_dim // 4, embed_dim // 2, embed_dim]
        self.stem = nn.Sequential()
        for i, (before, after) in enumerate(pairwise(widths)):
            pool = [max_pool()] if i >= 4 - num_pools else []
            self.stem.append(nn.Sequential(conv_norm(before, after), lif(), *pool))
        self.position = nn.Sequential(conv_norm(embed_dim, embed_dim), lif())
        self.blocks = nn.Sequential(
            *(Block(embed_dim, num_heads, hidden_dim) for _ in range(depth))
        )
        self.head = nn.Linear(embed_dim, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits."""
        x = self.stem(images.unsqueeze(0).repeat(self.num_steps, 1, 1, 1, 1))
        x = x + self.position(x)  # [T, B, D, H, W]
        x = self.blocks(x.flatten(3).transpose(-1, -2))  # [T, B, N, D]
        out: Tensor = self.head(x.mean(2).mean(0))
        return out


class Block(nn.Module):
    """Spiking self-attention and MLP, each added to its input [T, B, N, D]."""

    def __init__(self, embed_dim: int, num_heads: int, hidden_dim: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.q = LinearNormSpike(embed_dim, embed_dim)
        self.k = LinearNormSpike(embed_dim, embed_dim)
        self.v = LinearNormSpike(embed_dim, embed_dim)
        self.attention_spike = lif(0.5)
        self.projection = LinearNormSpike(embed_dim, embed_dim)
        self.mlp = nn.Sequential(
            LinearNormSpike(embed_dim, hidden_dim), LinearNormSpike(hidden_dim, embed_dim)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return [T, B, N, D]."""
        q, k, v = (self._heads(layer(x)) for layer in (self.q, self.k, self.v))
        attn = (q @ k.transpose(-1, -2)) * 0.125  # [T, B, h, N, N]
        y = (attn @ v).transpose(2, 3).flatten(3)  # [T, B, N, D]
        x = x + self.projection(self.attention_spike(y.contiguous()))
        out: Tensor = x + self.mlp(x)
        return out

    def _heads(self, x: Tensor) -> Tensor:
        out: Tensor = x.unflatten(-1, (self.num_heads, -1)).transpose(2, 3)  # [T, B, h, N, d]
        return out


class LinearNormSpike(nn.Module):
    """Linear map, batch norm, LIF of tokens [T, B, N, D]."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(in_channels, out_channels)
        self.norm = nn.BatchNorm1d(out_channels)
        self.spike = lif()

    def forward(self, x: Tensor) -> Tensor:
        """Return [T, B, N, D']."""
        y = self.linear(x.flatten(0, 1)).transpose(-1, -2)  # [T B, D', N]
        y = self.norm(y).transpose(-1, -2).unflatten(0, x.shape[:2]).contiguous()
        out: Tensor = self.spike(y)
        return out
