"""`Branch`: what a residual joins to the stream, from spikes to currents [T, B, N, D]."""

from torch import nn

from spikenas.nn.layers import ConvNorm, LinearNorm


class Branch(nn.Module):
    """A token mixer or an MLP."""

    def end(self) -> ConvNorm | LinearNorm | None:
        """Return the layer whose currents those of the branch are, if there is one.

        Where the residual has a neuron behind the branch it becomes that layer's, so that both
        run at once, and the branch gives spikes.
        """
        return None
