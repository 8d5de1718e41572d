"""`TrainingObjective`: the loss of the training, and all weights that are trained.

    cross entropy                                   for every network
    + ponder_cost rho                               with halting (`spikenas.nn.halting.act`)
    or the loss of `surrogate_modules` instead      if the recipe asks for it
It owns the side heads, which are not part of the network and are dropped after the training.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from spikenas.exceptions import UsageError
from spikenas.nn.network import SpikingTransformer
from spikenas.training.recipe import Recipe
from spikenas.training.surrogate_modules import SurrogateModules, surrogate_loss

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """The loss of one batch; ``ponder`` is rho, about 1 if no token halts."""

    total: Tensor
    ponder: Tensor | None = None


class TrainingObjective(nn.Module):
    """Any module that maps images to logits, with the loss of the recipe.

    The initial weights of side heads come from PyTorch's generator.
    """

    def __init__(self, network: nn.Module, recipe: Recipe) -> None:
        super().__init__()
        if recipe.stochastic_depth and not isinstance(network, SpikingTransformer):
            raise UsageError(
                f"stochastic_depth drops blocks, which a {type(network).__name__} does not have; "
                "use a network of build_network, or stochastic_depth = 0"
            )
        self.network = network
        self.recipe = recipe
        if recipe.stochastic_depth and not _drops_something(network):
            _log.warning(
                "stochastic_depth = %g is not used: without a residual, or with a single block, "
                "there is no branch to leave out",
                recipe.stochastic_depth,
            )
        self.surrogates = SurrogateModules(network) if recipe.surrogate_module_learning else None

    def forward(self, images: Tensor, labels: Tensor) -> Loss:
        """Return the loss; labels are classes [B] or their probabilities [B, classes]."""
        network, smoothing = self.network, self.recipe.label_smoothing
        if not isinstance(network, SpikingTransformer):
            logits = network(images)
            return Loss(total=cross_entropy(logits, labels, label_smoothing=smoothing))
        if self.surrogates is not None:
            logits, side = self.surrogates(network, images)
            weight = self.recipe.surrogate_module_learning
            return Loss(
                total=surrogate_loss(logits, side, labels, weight=weight, label_smoothing=smoothing)
            )
        logits, ponder = network.with_ponder(images)
        total = cross_entropy(logits, labels, label_smoothing=smoothing)
        if ponder is None:
            return Loss(total=total)
        halting = network.architecture.halting
        assert halting is not None
        return Loss(total=total + halting.ponder_cost * ponder, ponder=ponder.detach())

    @contextmanager
    def dropping_blocks(self) -> Iterator[None]:
        """Enable the recipe's stochastic depth within the context."""
        if not isinstance(self.network, SpikingTransformer):
            yield
            return
        self.network.drop_blocks(self.recipe.stochastic_depth)
        try:
            yield
        finally:
            self.network.drop_blocks(0.0)


def _drops_something(network: nn.Module) -> bool:
    if not isinstance(network, SpikingTransformer):
        return False
    a = network.architecture
    return a.residual != "none" and sum(stage.depth for stage in a.stages) > 1
