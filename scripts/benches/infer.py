"""Time inference of whole networks: scripts/bench infer [--system NAME] [--width D] [options].

Forward in evaluation mode on 32 images of 32x32, T = 4, without gradients. Weights are equal, and
so are running statistics: those of the batch itself, as fresh ones would leave most neurons silent
and the comparison of logits empty.
What it costs to measure the workload on the way is the time of `spikenas.measurement.measure`, in
times of inference, over eight batches.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from measuring import Result, alternate, options, print_document, without_compiler
from measuring.steps import batch
from peers import SYSTEMS, Pair, pair, reset
from spikenas.measurement import measure
from spikenas.nn.network import SpikingTransformer
from spikenas.nn.operations import BatchNorm

_WIDTH = 128
_BARS = {("spikformer", 128): 3.0}


def main() -> None:
    """Measure and print one JSON document."""
    parser = options(__doc__)
    parser.add_argument("--system", choices=SYSTEMS, help="one system; all by default")
    parser.add_argument("--width", type=int, default=_WIDTH)
    parser.add_argument("--batch-size", type=int, default=32)
    given = parser.parse_args()
    has_compiler = not without_compiler(given)
    systems = [given.system] if given.system else list(SYSTEMS)
    print_document(
        "infer",
        partial(
            _measure,
            systems,
            given,
            _BARS if has_compiler else {},
        ),
        threads=given.threads,
        settings={"batch_size": given.batch_size, "compiler": has_compiler, "data": given.data},
    )


def _measure(
    systems: Sequence[str],
    given: argparse.Namespace,
    bars: dict[tuple[str, int], float],
) -> Iterator[Result]:
    for system in systems:
        architecture = SYSTEMS[system].architecture(given.width)
        both = pair(SYSTEMS[system], architecture)
        images, _ = batch(architecture, given.batch_size, given.data)
        _settle(both, images)
        logits, theirs = _logits(both.ours, images), _logits(both.peer, images)
        assert logits.abs().max() > 0.0, "the networks are silent, so equal logits say nothing"
        timed = alternate(
            {
                "ours": partial(_logits, both.ours, images),
                "peer": partial(_logits, both.peer, images),
            },
            rounds=given.rounds,
        )
        yield Result.of_rounds(
            f"{system} {given.width}, inference",
            timed,
            bar=bars.get((system, given.width)),
            equality={
                "largest_logit_difference": float((logits - theirs).abs().max()),
                "largest_logit": float(theirs.abs().max()),
                "equal_answers": float((logits.argmax(1) == theirs.argmax(1)).float().mean()),
            },
        )
        yield _cost_of_measuring(
            f"{system} {given.width}, measured in times of inference",
            both.ours,
            images,
            given.rounds,
        )


def _cost_of_measuring(
    name: str, network: SpikingTransformer, images: Tensor, rounds: int
) -> Result:
    """Compare measuring a network with running it."""
    batches = [(images, torch.zeros(len(images), dtype=torch.int64))] * 8

    def run() -> None:
        for each, labels in batches:
            (_logits(network, each).argmax(1) == labels).sum()

    timed = alternate({"plain": run, "measured": partial(measure, network, batches)}, rounds=rounds)
    found = Result.of_rounds(name, timed, ours="plain", peer="measured", bar=1.05)
    return replace(found, is_ceiling=True)


@torch.no_grad()
def _settle(both: Pair, images: Tensor) -> None:
    """Give both the statistics of the images, and put them in evaluation mode."""
    for module in both.ours.modules():
        if isinstance(module, BatchNorm):
            module.momentum = 1.0
    both.ours.train()(images)
    both.system.give_weights(both.ours.state_dict(), both.peer)
    both.ours.eval()
    both.peer.eval()


@torch.inference_mode()
def _logits(network: nn.Module, images: Tensor) -> Tensor:
    logits: Tensor = network(images)
    reset(network)
    return logits


if __name__ == "__main__":
    main()
