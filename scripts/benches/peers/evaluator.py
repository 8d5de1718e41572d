"""`evaluate`: a worker's job as `spikenas.evaluator` does it, trained by SpikingJelly.

The network starts from our weights and is trained by our `train`, recipe and data; the trained
weights go back into ours, which is measured. So the one difference is who computes the training,
and the peer is not charged for a slower validation. Neither side scores the front on the test set,
which comes after what is timed.
"""

from unittest.mock import patch

import torch
from torch import Tensor, nn

from peers import SYSTEMS, reset
from spikenas import evaluator
from spikenas.data import ImageSet
from spikenas.evaluation import State
from spikenas.evaluator import Job, Outcome
from spikenas.nn.network import SpikingTransformer
from spikenas.training import Recipe, TrainingResult, train

_SYSTEM = SYSTEMS["spikformer"]


def evaluate(job: Job) -> Outcome:
    """Run one job to its end, the training by the peer."""
    with patch.object(evaluator, "train", _train):
        return evaluate_ours(job)


def evaluate_ours(job: Job) -> Outcome:
    """Run one job to its end."""
    if job.kind == "test":
        return Outcome(job_id=job.id, state=State.COMPLETE, test_accuracy=0.0)
    return evaluator.evaluate(job)


def _train(
    network: SpikingTransformer, train_set: ImageSet, recipe: Recipe, *, epochs: int, seed: int
) -> TrainingResult:
    peer = Resetting(_SYSTEM.build(network.architecture))
    with torch.no_grad():
        _SYSTEM.give_weights(network.state_dict(), peer.network)
    result = train(peer, train_set, recipe, epochs=epochs, seed=seed)
    with torch.no_grad():
        _SYSTEM.take_weights(peer.network, network)
    return result


class Resetting(nn.Module):
    """A network whose membranes start anew at every call, as ours do."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Return logits [B, classes]."""
        reset(self.network)
        logits: Tensor = self.network(images)
        return logits
