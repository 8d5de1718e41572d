"""STMixer for CIFAR (Deng 2024), with SpikingJelly's neurons, as the released code builds it.

Axes: T steps, B batch, C channels, H, W map, N tokens, D width, h heads, d = D / h.
1x1 convolutions on tokens [T, B, D, N]. The released code mixes tokens head by head; here one
product does all heads, which is faster.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

from peers.layers import Folded, conv_norm, token_conv_norm
from peers.neurons import stmixer_lif
from spikenas.architecture import Architecture, InputSpec, Stage

NAMES = (
    (r"\.(conv|linear)\.(weight|bias)$", r".0.\2"),
    (r"\.norm\.", r".1."),
    (r"^stem\.side\.", r"side."),
    (r"^stages\.0\.(\d+)\.sub_blocks\.0\.branch\.", r"blocks.\1.token_mixing."),
    (r"^stages\.0\.(\d+)\.sub_blocks\.1\.branch\.", r"blocks.\1.channel_mixing."),
    (r"\.token_mixing\.fc1\.", r".token_mixing.1."),
    (r"\.token_mixing\.mixing\.", r".token_mixing.3."),
    (r"\.token_mixing\.fc2\.", r".token_mixing.5."),
    (r"\.channel_mixing\.fc1\.", r".channel_mixing.1."),
    (r"\.channel_mixing\.fc2\.", r".channel_mixing.3."),
    (r"^head\.classifier\.", r"head."),
    # Here neurons are counted among the layers.
    *((rf"^stem\.main\.{layer}\.", rf"main.{2 * layer}.") for layer in reversed(range(5))),
)


def architecture(embed_dim: int) -> Architecture:
    """Return depth 2, T = 4, patches of 4, the 16 heads of the published networks."""
    return Architecture(
        input=InputSpec(channels=3, height=32, width=32),
        num_classes=10,
        num_steps=4,
        neuron="stmixer_lif",
        residual="membrane",
        stem="conv_side",
        patch_size=4,
        stages=(Stage(embed_dim=embed_dim, depth=2, mixer=("stm",), num_heads=16, mlp_ratio=4.0),),
    )


def build(architecture: Architecture) -> nn.Module:
    """Return the peer of an architecture like that of `architecture`."""
    return STMixer(architecture)


class STMixer(nn.Module):
    """Images [B, C, H, W] to logits [B, classes]; reset it after each call."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        (stage,), ((height, width),) = a.stages, a.grids()
        D, P, in_channels = stage.embed_dim, a.patch_size, a.input.channels
        self.num_steps = a.num_steps
        widths = [in_channels, D // 8, D // 4, D // 2, D, D - D // 8]
        first_strided = 5 - (P.bit_length() - 1)
        self.main = nn.Sequential()
        for i, (before, after) in enumerate(pairwise(widths)):
            self.main.append(conv_norm(before, after, stride=2 if i >= first_strided else 1))
            if i < 4:
                self.main.append(stmixer_lif())
        patches = nn.Conv2d(in_channels, D // 8, P, P, bias=False)
        self.side = Folded(patches, nn.BatchNorm2d(D // 8))
        hidden_dim, num_heads = round(D * stage.mlp_ratio), stage.num_heads or 1
        self.blocks = nn.Sequential(
            *(Block(D, hidden_dim, height * width, num_heads) for _ in range(stage.depth))
        )
        self.head = nn.Linear(D, a.num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits."""
        x = images.unsqueeze(0).repeat(self.num_steps, 1, 1, 1, 1)  # [T, B, C, H, W]
        x = torch.cat((self.side(x), self.main(x)), dim=2)
        x = self.blocks(x.flatten(3))  # [T, B, D, N]
        out: Tensor = self.head(x.mean(3).mean(0))
        return out


class Block(nn.Module):
    """Mixing of tokens, then of channels, each added to the membrane [T, B, D, N]."""

    def __init__(self, embed_dim: int, hidden_dim: int, num_tokens: int, num_heads: int) -> None:
        super().__init__()
        self.token_mixing = nn.Sequential(
            stmixer_lif(),
            token_conv_norm(embed_dim, embed_dim, bias=False),
            stmixer_lif(),
            TokenMixing(num_tokens, num_heads),
            stmixer_lif(),
            token_conv_norm(embed_dim, embed_dim, bias=False),
        )
        self.channel_mixing = nn.Sequential(
            stmixer_lif(),
            token_conv_norm(embed_dim, hidden_dim, bias=False),
            stmixer_lif(),
            token_conv_norm(hidden_dim, embed_dim, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return [T, B, D, N]."""
        x = x + self.token_mixing(x)
        out: Tensor = x + self.channel_mixing(x)
        return out


class TokenMixing(nn.Module):
    """A matrix over tokens for each head; ``weight`` is [h, N, N]."""

    def __init__(self, num_tokens: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.weight = nn.Parameter(torch.empty(num_heads, num_tokens, num_tokens))
        nn.init.kaiming_normal_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return [T, B, D, N]."""
        heads = x.unflatten(2, (self.num_heads, -1))  # [T, B, h, d, N]
        return torch.einsum("tbhdn,hmn->tbhdm", heads, self.weight).flatten(2, 3)
