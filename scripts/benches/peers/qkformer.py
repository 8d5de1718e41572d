"""QKFormer for CIFAR (Zhou 2024), with SpikingJelly's neurons, as the released code builds it.

Axes: T steps, B batch, C channels, H, W map, N tokens, D width, h heads, d = D / h.
1x1 convolutions on tokens [T, B, D, N], channels before tokens throughout. One thing is not as
released: there the last neuron of SSA runs on from sample to sample, here each starts anew.
"""

from torch import Tensor, nn

from peers.layers import conv_norm, max_pool, token_conv_norm
from peers.neurons import lif
from spikenas.architecture import Architecture, InputSpec, Stage

NAMES = (
    (r"\.(conv|linear)\.(weight|bias)$", r".0.\2"),
    (r"\.norm\.", r".1."),
    (r"^stem\.trunk\.0\.0\.([01])\.", r"embedding.0.trunk.0.\1."),
    (r"^stem\.", r"embedding.0."),
    (r"^downsampling\.0\.", r"embedding.1."),
    (r"^downsampling\.1\.", r"embedding.2."),
    (r"\.shortcut\.([01])\.", r".shortcut.0.\1."),
    (r"\.sub_blocks\.0\.branch\.", r".mixer."),
    (r"\.sub_blocks\.1\.branch\.", r".mlp."),
    (r"\.(q|k|v|projection)\.", r".\1.0."),
    (r"\.mlp\.fc1\.", r".mlp.0."),
    (r"\.mlp\.fc2\.", r".mlp.2."),
    (r"^head\.classifier\.", r"head."),
)


def architecture(embed_dim: int) -> Architecture:
    """Return the hierarchy of ``qkformer-4`` for CIFAR, D / 4, D / 2, D wide, of four heads."""
    stages = tuple(
        Stage(
            embed_dim=embed_dim // divisor,
            depth=depth,
            mixer=(mixer,),
            num_heads=4,
            mlp_ratio=4.0,
            downsampling=None if divisor == 4 else "deformed_shortcut",
            options=options,
        )
        for divisor, depth, mixer, options in (
            (4, 1, "qk_token", ()),
            (2, 1, "qk_token", ()),
            (1, 2, "ssa", (("qkv_bias", False),)),
        )
    )
    return Architecture(
        input=InputSpec(channels=3, height=32, width=32),
        num_classes=10,
        num_steps=4,
        neuron="lif",
        residual="spike",
        stem="deformed_shortcut",
        patch_size=1,
        stages=stages,
    )


def build(architecture: Architecture) -> nn.Module:
    """Return the peer of an architecture like that of `architecture`."""
    return QKFormer(architecture)


class QKFormer(nn.Module):
    """Images [B, C, H, W] to logits [B, classes]; reset it after each call."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        self.num_steps = a.num_steps
        self.embedding = nn.ModuleList()
        self.stages = nn.ModuleList()
        before = 0
        for stage in a.stages:
            D = stage.embed_dim
            embedding = Downsampling(before, D) if before else Stem(a.input.channels, D)
            self.embedding.append(embedding)
            self.stages.append(
                nn.Sequential(
                    *(
                        Block(D, stage.num_heads or 1, round(D * stage.mlp_ratio), mixer)
                        for mixer in stage.mixer
                    )
                )
            )
            before = D
        self.head = nn.Linear(before, a.num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits."""
        x = images.unsqueeze(0).repeat(self.num_steps, 1, 1, 1, 1)  # [T, B, C, H, W]
        for embedding, blocks in zip(self.embedding, self.stages, strict=True):
            x = embedding(x)
            x = blocks(x.flatten(3)).view(x.shape)
        out: Tensor = self.head(x.flatten(3).mean(3).mean(0))
        return out


class Stem(nn.Module):
    """Two layers, and a shortcut around the second: [T, B, D, H, W]."""

    def __init__(self, in_channels: int, embed_dim: int) -> None:
        super().__init__()
        inner = embed_dim // 2
        self.trunk = nn.Sequential(conv_norm(in_channels, inner), lif())
        self.branch = nn.Sequential(nn.Sequential(conv_norm(inner, embed_dim), lif()))
        self.shortcut = nn.Sequential(conv_norm(inner, embed_dim, 1), lif())

    def forward(self, x: Tensor) -> Tensor:
        """Return counts of spikes."""
        x = self.trunk(x)
        out: Tensor = self.branch(x) + self.shortcut(x)
        return out


class Downsampling(nn.Module):
    """Two layers, the second pooled, and a strided shortcut: [T, B, D, H / 2, W / 2]."""

    def __init__(self, in_channels: int, embed_dim: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.Sequential(conv_norm(in_channels, embed_dim), lif()),
            nn.Sequential(conv_norm(embed_dim, embed_dim), max_pool(), lif()),
        )
        self.shortcut = nn.Sequential(conv_norm(in_channels, embed_dim, 1, stride=2), lif())

    def forward(self, x: Tensor) -> Tensor:
        """Return counts of spikes."""
        out: Tensor = self.branch(x) + self.shortcut(x)
        return out


class Block(nn.Module):
    """Attention and MLP, each added to its input [T, B, D, N]."""

    def __init__(self, embed_dim: int, num_heads: int, hidden_dim: int, mixer: str) -> None:
        super().__init__()
        kinds = {"qk_token": TokenAttention, "ssa": SelfAttention}
        self.mixer = kinds[mixer](embed_dim, num_heads)
        self.mlp = nn.Sequential(
            token_conv_norm(embed_dim, hidden_dim, bias=True),
            lif(),
            token_conv_norm(hidden_dim, embed_dim, bias=True),
            lif(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return [T, B, D, N]."""
        x = x + self.mixer(x)
        out: Tensor = x + self.mlp(x)
        return out


class TokenAttention(nn.Module):
    """Q-K token attention: each head of Q decides which tokens of K go on."""

    def __init__(self, embed_dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.q, self.k = (_spikes(embed_dim, bias=False) for _ in range(2))
        self.attention_spike = lif(0.5)
        self.projection = _spikes(embed_dim, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return spikes [T, B, D, N]."""
        q = self.q(x).unflatten(2, (self.num_heads, -1))  # [T, B, h, d, N]
        k = self.k(x).unflatten(2, (self.num_heads, -1))
        attn = self.attention_spike(q.sum(3, keepdim=True))  # [T, B, h, 1, N]
        out: Tensor = self.projection((attn * k).flatten(2, 3))
        return out


class SelfAttention(nn.Module):
    """Spiking self-attention without biases of q, k and v."""

    def __init__(self, embed_dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.q, self.k, self.v = (_spikes(embed_dim, bias=False) for _ in range(3))
        self.attention_spike = lif(0.5)
        self.projection = _spikes(embed_dim, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return spikes [T, B, D, N]."""
        q, k, v = (self._heads(layer(x)) for layer in (self.q, self.k, self.v))
        y = (q @ k.transpose(-2, -1)) @ v * 0.125  # [T, B, h, N, d]
        y = y.transpose(3, 4).flatten(2, 3)  # [T, B, D, N]
        out: Tensor = self.projection(self.attention_spike(y.contiguous()))
        return out

    def _heads(self, x: Tensor) -> Tensor:
        out: Tensor = x.unflatten(2, (self.num_heads, -1)).transpose(3, 4)  # [T, B, h, N, d]
        return out


def _spikes(embed_dim: int, *, bias: bool) -> nn.Sequential:
    return nn.Sequential(token_conv_norm(embed_dim, embed_dim, bias=bias), lif())
