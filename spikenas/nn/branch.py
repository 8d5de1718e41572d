"""`Branch`: what a residual adds to the stream, from spikes to currents [T, B, N, D]."""

from torch import nn

from spikenas.nn.layers import ConvNorm, LinearNorm


class Branch(nn.Module):
    """A token mixer or an MLP."""

    def end(self) -> ConvNorm | LinearNorm | None:
        """Return the last layer, if its currents are the output of the branch.

        If the residual has a neuron after the branch, that neuron is moved into this layer, so
        that one kernel runs both and the branch returns spikes.
        """
        return None
