"""Surrogate module learning (SML), Deng 2024 (STMixer): dense side heads along the network.

Axes: T steps, B batch, N tokens, D width, L blocks, n heads. Head i reads the stream x after 2 i
blocks, i = 0 .. n - 1, and so shortens the path of the gradient to these blocks:
    z_i = W_i mean_N E_i(GELU(BN(V_i mean_T x))),  n = max(1, L // 2)
E_i are e_i blocks of the stage with GELU instead of each neuron, e_i = max(1, min(3, n) - i), which
is 3, 2, 1 for the paper's 8 blocks. The network (logits z) and the heads learn from the labels y
and from each other, q(z) = softmax(z / 3), with the teacher detached:
    hard = (CE(z, y) + 1/2 sum_i CE(z_i, y)) / (1 + n / 2)
    soft = 1 / (2 n) sum_i (KL(q(z) || q(z_i)) + KL(q(z_i) || q(z)))
    loss = weight soft + (1 - weight) hard,  weight = 0.9 as published
For T > 1 the released code averages over samples by mistake; here the mean is over T. Other depths
than the paper's, and several stages, follow the same rule; a head has the width, tokens and MLP of
the stage that it reads.
"""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn.functional import cross_entropy, kl_div, log_softmax

from spikenas.architecture import Stage
from spikenas.exceptions import UsageError
from spikenas.nn import initialisation
from spikenas.nn.layers import LinearNorm
from spikenas.nn.module_specs import block_spec
from spikenas.nn.network import SpikingTransformer
from spikenas.nn.operations import Linear

_TEMPERATURE = 3.0
_HEAD_WEIGHT = 0.5  # of the cross entropy of a side head, relative to that of the network
_BLOCKS_BETWEEN = 2
_MOST_ENCODERS = 3


class SurrogateModules(nn.Module):
    """The side heads of a network; they are not part of it and share none of its weights."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        if not isinstance(network, SpikingTransformer):
            raise UsageError(
                f"surrogate_module_learning reads the stream between blocks, which a "
                f"{type(network).__name__} does not have; use a network of build_network, "
                "or a recipe with surrogate_module_learning = 0"
            )
        a = network.architecture
        check_mixers({name for stage in a.stages for name in stage.mixer})
        places = [i for i, stage in enumerate(a.stages) for _ in range(stage.depth)]
        count = max(1, len(places) // _BLOCKS_BETWEEN)
        self.heads = nn.ModuleDict()  # by the number of blocks before them
        for i in range(count):
            passed = _BLOCKS_BETWEEN * i
            place = places[max(passed - 1, 0)]
            self.heads[str(passed)] = SurrogateHead(
                stage=a.stages[place],
                num_blocks=max(1, min(_MOST_ENCODERS, count) - i),
                grid=network.grids[place],
                residual=a.residual,
                num_classes=a.num_classes,
            )

    def forward(self, network: SpikingTransformer, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the logits [B, classes] of the network and of each side head."""
        side = []
        for passed, stream in enumerate(network.streams(images)):
            if str(passed) in self.heads:
                side.append(self.heads[str(passed)](stream))
        return network.head(stream), side


class SurrogateHead(nn.Module):
    """Maps the stream [T, B, N, D] to logits [B, classes], without spikes and without time."""

    def __init__(
        self,
        *,
        stage: Stage,
        num_blocks: int,
        grid: tuple[int, int],
        residual: str,
        num_classes: int,
    ) -> None:
        super().__init__()
        D = stage.embed_dim
        self.fc = LinearNorm(D, D, bias=False, neuron=nn.GELU())
        block = block_spec(stage, "stm", grid=grid, residual=residual)
        self.blocks = nn.Sequential(*(block.build(neuron=_dense) for _ in range(num_blocks)))
        self.classifier = Linear(D, num_classes)
        initialisation.stmixer(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [B, classes]."""
        x = x.mean(0, keepdim=True)  # [1, B, N, D]
        x = self.blocks(self.fc(x))
        out: Tensor = self.classifier(x[0].mean(1))
        return out


def surrogate_loss(
    logits: Tensor,
    side: Sequence[Tensor],
    labels: Tensor,
    *,
    weight: float,
    label_smoothing: float = 0.0,
) -> Tensor:
    """Return the loss, see the module's docstring; all logits are [B, classes]."""
    hard = cross_entropy(logits, labels, label_smoothing=label_smoothing)
    soft = logits.new_zeros(())
    for z in side:
        hard = hard + _HEAD_WEIGHT * cross_entropy(z, labels, label_smoothing=label_smoothing)
        soft = soft + _divergence(logits, z) + _divergence(z, logits)
    hard = hard / (1 + _HEAD_WEIGHT * len(side))
    return weight * soft / (2 * len(side)) + (1 - weight) * hard


def check_mixers(mixers: set[str]) -> None:
    """Raise UsageError if side heads have no dense form of a mixer."""
    others = sorted(mixers - {"stm"})
    if others:
        raise UsageError(
            f"surrogate_module_learning is of STMixer: its side heads are dense blocks of mixer "
            f"'stm', not of {', '.join(map(repr, others))}; use only mixer 'stm', or a recipe "
            "with surrogate_module_learning = 0, such as 'cifar10'"
        )


def _divergence(teacher: Tensor, student: Tensor) -> Tensor:
    """Return KL(q(teacher) || q(student)), mean over B; the teacher gets no gradient."""
    return kl_div(
        log_softmax(student / _TEMPERATURE, dim=1),
        log_softmax(teacher.detach() / _TEMPERATURE, dim=1),
        reduction="batchmean",
        log_target=True,
    )


def _dense(_: float = 1.0) -> nn.GELU:  # instead of a neuron with this threshold
    return nn.GELU()
