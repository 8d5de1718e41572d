"""Where the time of a step goes, by kind of operation, from PyTorch's profiler.

An operation's own time is counted, without that of those it calls. What a neuron does is found
by the module it runs in, backward by the number that autograd gives to an operation and its
gradient; so the sums, products and copies of a neuron are its own and not `elementwise`. Batch
norm is a row beside it, empty where a neuron does both in one pass.
"""

import re
from collections import Counter
from collections.abc import Callable
from typing import Any

from spikingjelly.activation_based.neuron import (  # type: ignore[import-untyped]  # no types
    LIFNode,
)
from torch import nn
from torch.autograd.profiler import record_function
from torch.profiler import ProfilerActivity, profile

from spikenas.nn.neurons.neuron import Neuron

GROUPS = (
    "neuron",
    "batch norm",
    "convolution",
    "matrix product",
    "pooling",
    "elementwise",
    "copies",
    "optimizer",
    "other",
)
_SCOPE = "bench::neuron"
_BY_NAME = (  # the first that is found in the operation's name
    ("optimizer", r"adam|optimizer"),
    ("neuron", r"multi_?step|lif|neuron|spike"),
    ("batch norm", r"batch_?norm"),
    ("convolution", r"conv"),
    ("pooling", r"pool"),
    ("matrix product", r"aten::(mm|addmm|bmm|baddbmm|matmul|linear|einsum)$"),
    ("copies", r"aten::(copy_|clone|contiguous|cat|stack|_to_copy|to|repeat|fill_|zero_)$"),
    (
        "elementwise",
        r"aten::(add|sub|mul|div|ge|gt|le|ne|sum|mean|neg|rsub|where|tanh|sigmoid|pow|square"
        r"|abs|threshold|addcmul|lerp|log_softmax|_log_softmax|nll_loss\w*|_log_softmax\w*)_?$",
    ),
)


def shares(step: Callable[[], object], *, steps: int = 3) -> dict[str, float]:
    """Return milliseconds of a step by group, in CPU time of the operations."""
    with _MarkedNeurons(), profile(activities=[ProfilerActivity.CPU]) as found:
        for _ in range(steps):
            step()
    events = list(found.events() or ())
    of_neurons = {
        event.sequence_nr for event in events if _is_in_scope(event) and event.sequence_nr >= 0
    }
    totals: Counter[str] = Counter(dict.fromkeys(GROUPS, 0))
    for event in events:
        totals[_group(event, of_neurons)] += event.self_cpu_time_total / 1e3 / steps
    return {group: float(totals[group]) for group in GROUPS}


class _MarkedNeurons:
    """Give a scope to every call of a neuron, of ours and of SpikingJelly."""

    def __enter__(self) -> None:
        self._scopes: list[record_function] = []
        self._hooks = (
            nn.modules.module.register_module_forward_pre_hook(self._enter),
            nn.modules.module.register_module_forward_hook(self._leave),
        )

    def __exit__(self, *raised: object) -> None:
        for hook in self._hooks:
            hook.remove()

    def _enter(self, module: nn.Module, inputs: Any) -> None:
        if isinstance(module, Neuron | LIFNode):
            self._scopes.append(record_function(_SCOPE))
            self._scopes[-1].__enter__()

    def _leave(self, module: nn.Module, inputs: Any, output: Any) -> None:
        if isinstance(module, Neuron | LIFNode):
            self._scopes.pop().__exit__(None, None, None)


def _group(event: Any, of_neurons: set[int]) -> str:
    names = [each.name for each in _with_parents(event)]
    if any(name.startswith("Optimizer.") for name in names):
        return "optimizer"
    if _SCOPE in names:
        return "neuron"
    for parent in _with_parents(event):
        if parent.name.startswith("autograd::engine") and parent.sequence_nr in of_neurons:
            return "neuron"
    for name in names:
        for group, pattern in _BY_NAME:
            if re.search(pattern, name, re.IGNORECASE):
                return group
    return "other"


def _is_in_scope(event: Any) -> bool:
    return any(each.name == _SCOPE for each in _with_parents(event))


def _with_parents(event: Any) -> list[Any]:
    chain = [event]
    while chain[-1].cpu_parent is not None:
        chain.append(chain[-1].cpu_parent)
    return chain
