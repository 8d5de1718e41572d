"""Whether two networks compute the same, checked before either is timed.

In double precision on a few images, to rounding: there a wrong equation cannot hide. Then in
float32 as timed, which is what kernels compute. There sums in another order may move a membrane
over its threshold, and all that follows differs; the limits look for wrong kernels, and how far
either side's rounding leads from its own result in double says whose sums are the coarser.
"""

from copy import deepcopy

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from peers import Pair, reset

_DOUBLE = 1e-7  # relative, of everything
_FLOAT = {"loss": 0.01, "all_gradients": 0.5}
_Run = tuple[Tensor, Tensor, dict[str, Tensor], dict[str, Tensor]]


def differences(pair: Pair, images: Tensor, labels: Tensor) -> dict[str, dict[str, float]]:
    """Return the largest relative differences; raises where they are above the limits."""
    few, few_labels = images[:2], labels[:2]
    ours, peer = (_run(pair, side, few.double(), few_labels) for side in ("ours", "peer"))
    ours_float, peer_float = (_run(pair, side, few, few_labels) for side in ("ours", "peer"))
    found = {
        "double, two images": _between(ours, peer),
        "float32, two images": _between(ours_float, peer_float),
        "float32, two images, ours to its double": _between(ours_float, ours),
        "float32, two images, peer to its double": _between(peer_float, peer),
        "float32": _between(*(_run(pair, side, images, labels) for side in ("ours", "peer"))),
    }
    for name, each in found.items():
        limits = dict.fromkeys(each, _DOUBLE) if name.startswith("double") else _FLOAT
        if not all(each[what] <= limit for what, limit in limits.items()):  # NaN neither
            raise SystemExit(f"ours and the peer are different networks, {name}: {each}")
    return found


def _run(pair: Pair, side: str, images: Tensor, labels: Tensor) -> _Run:
    """Return logits, loss, gradients and running statistics of one pass, by the peer's names."""
    source = pair.ours if side == "ours" else pair.peer
    network = deepcopy(source).to(images.dtype).train()
    logits = network(images)
    loss = cross_entropy(logits, labels)
    loss.backward()
    reset(network)

    def named(name: str, tensor: Tensor) -> tuple[str, Tensor]:
        name = pair.system.theirs(name) if side == "ours" else name
        return name, tensor.detach().flatten().double()

    gradients = [(n, p.grad) for n, p in network.named_parameters() if p.grad is not None]
    return (
        logits.detach().double(),
        loss.detach().double(),
        dict(named(name, gradient) for name, gradient in gradients),
        dict(named(n, b) for n, b in network.named_buffers() if b.is_floating_point()),
    )


def _between(mine: _Run, theirs: _Run) -> dict[str, float]:
    """Return the norm of each difference over that of the second's.

    A bias before batch norm has no gradient but rounding: of single weights those are left out
    whose gradient is below a millionth of the largest.
    """
    (logits, loss, gradients, statistics), (logits_2, loss_2, gradients_2, statistics_2) = (
        mine,
        theirs,
    )
    largest = max(gradient.norm() for gradient in gradients_2.values())
    return {
        "logits": _relative(logits, logits_2),
        "loss": _relative(loss, loss_2),
        "worst_gradient": max(
            _relative(gradients[name], gradient)
            for name, gradient in gradients_2.items()
            if gradient.norm() > 1e-6 * largest
        ),
        "all_gradients": _relative(
            torch.cat([gradients[name] for name in gradients_2]),
            torch.cat(list(gradients_2.values())),
        ),
        "running_statistics": max(
            _relative(statistics[name], each) for name, each in statistics_2.items()
        ),
    }


def _relative(mine: Tensor, theirs: Tensor) -> float:
    return float((mine - theirs).norm() / theirs.norm())
