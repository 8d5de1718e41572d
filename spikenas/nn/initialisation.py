"""How the published systems draw their initial weights; each component calls one of them."""

from torch import nn

from spikenas.nn.operations import Conv, Linear, TokenMixing


def spikformer(module: nn.Module) -> None:
    """Linear weights from a normal of 0.02, truncated at +-2, biases 0 (Spikformer, CIFAR)."""
    for leaf in module.modules():
        if isinstance(leaf, Linear):
            nn.init.trunc_normal_(leaf.weight, std=0.02)
            if leaf.bias is not None:
                nn.init.zeros_(leaf.bias)


def sdt(module: nn.Module) -> None:
    """All convolutions, 1x1 ones too, from a normal of 0.02, truncated, biases 0 (SDT)."""
    spikformer(module)
    for leaf in module.modules():
        if isinstance(leaf, Conv):
            nn.init.trunc_normal_(leaf.weight, std=0.02)


def stmixer(module: nn.Module) -> None:
    """He-normal over the fan-out of every convolution, 1x1 ones too, and of each M_i (STMixer)."""
    for leaf in module.modules():
        if isinstance(leaf, Conv | Linear):
            nn.init.kaiming_normal_(leaf.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(leaf, TokenMixing):
            for weight in leaf.weight:
                nn.init.kaiming_normal_(weight, mode="fan_out", nonlinearity="relu")


def default(module: nn.Module) -> None:
    """PyTorch's own: uniform He with a = sqrt 5 (QKFormer, Spikformer for ImageNet and events)."""
