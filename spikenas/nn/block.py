"""One block: token mixer, then MLP, each joined to the stream by the residual.

Axes: T steps, B batch, N tokens, D width.
"""

from torch import Tensor, nn

from spikenas.nn.mixers.mixer import Mixer
from spikenas.nn.mixers.none import NoMixer
from spikenas.nn.mlp import MLP
from spikenas.nn.neurons.neuron import NeuronFactory
from spikenas.nn.residuals import RESIDUALS


class Block(nn.Module):
    """Mixes across tokens, then across channels; ``mlp_ratio`` 0 leaves the second out."""

    def __init__(
        self,
        *,
        embed_dim: int,
        mlp_ratio: float,
        mixer: Mixer,
        residual: str,
        neuron: NeuronFactory,
    ) -> None:
        super().__init__()
        join = RESIDUALS[residual]
        sub_blocks: list[nn.Module] = []
        if not isinstance(mixer, NoMixer):
            sub_blocks.append(join(mixer, neuron))
        if mlp_ratio:
            mlp = MLP(
                embed_dim=embed_dim,
                hidden_dim=max(1, round(embed_dim * mlp_ratio)),
                bias=mixer.mlp_bias,
                neuron=neuron,
            )
            sub_blocks.append(join(mlp, neuron))
        self.sub_blocks = nn.Sequential(*sub_blocks)
        mixer.initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return the stream [T, B, N, D]."""
        out: Tensor = self.sub_blocks(x)
        return out
