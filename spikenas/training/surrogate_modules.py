"""Surrogate module learning (SML), Deng 2024 (STMixer): dense side heads along the network.

Axes: T steps, B batch, N tokens, D width, L blocks, n heads. Head i reads the stream x behind
2 i blocks, i = 0 .. n - 1, and passes a shorter gradient to what lies before:
    z_i = W_i mean_N E_i(GELU(BN(V_i mean_T x))),  n = max(1, L // 2)
E_i are e_i blocks of the stage with GELU in place of each neuron, e_i = max(1, min(3, n) - i): the
3, 2, 1 of the paper's 8 blocks. Network (logits z) and heads learn from the labels y and from each
other, q(z) = softmax(z / 3), with the one that is learnt from held constant:
    hard = (CE(z, y) + 1/2 sum_i CE(z_i, y)) / (1 + n / 2)
    soft = 1 / (2 n) sum_i (KL(q(z) || q(z_i)) + KL(q(z_i) || q(z)))
    loss = weight soft + (1 - weight) hard,  weight = 0.9 as published
The released code mixes samples where it means to average over T > 1; here the mean is over T.
Depths that the paper does not have, and several stages, follow the same rule; a head has the
width, tokens and MLP of the stage that it reads.
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
_HEADS_SHARE = 0.5  # of a side head's cross entropy, against the network's
_BLOCKS_BETWEEN = 2
_MOST_ENCODERS = 3


class SurrogateModules(nn.Module):
    """The side heads of a network; they own none of its weights and train it from outside."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        if not isinstance(network, SpikingTransformer):
            raise UsageError(
                f"surrogate_module_learning reads the stream between blocks, which a "
                f"{type(network).__name__} does not show; take a network of build_network, "
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
    """From the stream [T, B, N, D] to logits [B, classes], without spikes and without time."""

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
        hard = hard + _HEADS_SHARE * cross_entropy(z, labels, label_smoothing=label_smoothing)
        soft = soft + _divergence(logits, z) + _divergence(z, logits)
    hard = hard / (1 + _HEADS_SHARE * len(side))
    return weight * soft / (2 * len(side)) + (1 - weight) * hard


def check_mixers(mixers: set[str]) -> None:
    """Raise UsageError where side heads have no dense form of some mixer."""
    others = sorted(mixers - {"stm"})
    if others:
        raise UsageError(
            f"surrogate_module_learning is of STMixer: its side heads are dense blocks of mixer "
            f"'stm', but have {', '.join(map(repr, others))}; take mixer 'stm' alone, or a recipe "
            "with surrogate_module_learning = 0, such as 'cifar10'"
        )


def _divergence(taught: Tensor, learning: Tensor) -> Tensor:
    """Return KL(q(taught) || q(learning)), mean over B; no gradient goes to the first."""
    return kl_div(
        log_softmax(learning / _TEMPERATURE, dim=1),
        log_softmax(taught.detach() / _TEMPERATURE, dim=1),
        reduction="batchmean",
        log_target=True,
    )


def _dense(_: float = 1.0) -> nn.GELU:  # in place of a neuron of that threshold
    return nn.GELU()
