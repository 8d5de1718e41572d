"""Whether two networks compute the same, checked before either is timed.

In double precision on a few images, to rounding: there a wrong equation cannot hide. Then in
float32 as timed, where it is told and not judged: sums in another order may move one membrane
over its threshold, and what follows then differs.
"""

from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from peers import Pair, reset

_STRICT = 1e-7  # relative, in double


def differences(pair: Pair, images: Tensor, labels: Tensor) -> dict[str, dict[str, float]]:
    """Return the largest differences in both precisions; raises where double ones are not nil."""
    few = slice(0, 2)
    strict = _differences(pair, images[few].double(), labels[few])
    if max(strict.values()) > _STRICT:
        raise SystemExit(f"ours and the peer are different networks: {strict}")
    return {"double": strict, "float32": _differences(pair, images, labels)}


def _differences(pair: Pair, images: Tensor, labels: Tensor) -> dict[str, float]:
    ours = deepcopy(pair.ours).to(images.dtype).train()
    peer = deepcopy(pair.peer).to(images.dtype).train()
    logits, losses = [], []
    for network in (ours, peer):
        logits.append(network(images))
        losses.append(cross_entropy(logits[-1], labels))
        losses[-1].backward()
    reset(peer)
    statistics = [
        (buffer, theirs)
        for name, buffer in ours.named_buffers()
        if (theirs := peer.get_buffer(pair.system.theirs(name))).is_floating_point()
    ]
    return {
        "logits": _relative(logits[0], logits[1]),
        "loss": _relative(losses[0], losses[1]),
        "weight_gradients": _of_gradients(pair, ours, peer),
        "running_statistics": max(_relative(a, b) for a, b in statistics),
    }


def _of_gradients(pair: Pair, ours: nn.Module, peer: nn.Module) -> float:
    """Return the largest relative difference of a weight's gradient.

    A bias before batch norm has none but rounding; what is a millionth of the largest is left out.
    """
    gradients = [
        (mine.grad, theirs.grad.view(mine.shape))
        for name, mine in ours.named_parameters()
        if (theirs := peer.get_parameter(pair.system.theirs(name))).grad is not None
        and mine.grad is not None
    ]
    largest = max(float(theirs.norm()) for _, theirs in gradients)
    return max(
        _relative(mine, theirs)
        for mine, theirs in gradients
        if float(theirs.norm()) > 1e-6 * largest
    )


def _relative(mine: Tensor, theirs: Tensor) -> float:
    """Return the norm of the difference over that of the peer's."""
    with torch.no_grad():
        return float((mine - theirs).norm() / theirs.norm())
