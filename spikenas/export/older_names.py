"""`renamed`: the weights of an export of version 0.1, under the current names of the tensors.

In 0.1 the operations of a layer were separate modules: ``q``, ``q_bn`` and ``q_neuron`` are now
``q.linear``, ``q.norm`` and ``q.neuron``. The last neuron of a branch belonged to the residual.
"""

import re
from collections.abc import Callable, Iterable, Mapping

from torch import Tensor

_PART = {"conv": 0, "norm": 1, "neuron": 2}  # of a layer in a sequence of operations
_Old = str | Callable[[re.Match[str]], str]


def _in_sequence(per_layer: int) -> Callable[[re.Match[str]], str]:
    def old(found: re.Match[str]) -> str:
        before, i, part = found.groups()
        return f"{before}{per_layer * int(i) + _PART[part]}."

    return old


# From a current name to that of 0.1; all matching rules are applied in order.
_RULES: tuple[tuple[str, _Old], ...] = (
    (r"^(head\.classifier)\.linear\.", r"\1."),
    (r"^head\.classifier\.(neuron\.)", r"head.\1"),
    (r"^head\.classifier\.norm\.", "head.bn."),
    (r"(sub_blocks\.\d)\.branch\.(?:projection|fc2|conv)\.neuron\.", r"\1.neuron."),
    (r"\b([qkv]|projection)\.linear\.", r"\1."),
    (r"\b([qkv]|projection)\.norm\.", r"\1_bn."),
    (r"\b([qkv])\.neuron\.", r"\1_neuron."),
    (r"branch\.conv\.conv\.", "branch.conv."),
    (r"branch\.conv\.norm\.", "branch.bn."),
    (r"(scales\.\d+)\.linear\.", r"\1.conv."),
    (r"(scales\.\d+)\.norm\.", r"\1.bn."),
    (r"\bfc(\d)\.linear\.", r"fc\1."),
    (r"\bfc(\d)\.norm\.", r"bn\1."),
    (r"\bfc1\.neuron\.", "neuron."),
    (r"^(stem\.(?:layers|main)\.)(\d+)\.(conv|norm|neuron)\.", _in_sequence(3)),
    (r"^(downsampling\.\d+\.layers\.)([01])\.(conv|norm|neuron)\.", _in_sequence(1)),
    (r"^(stem\.(?:host\.)?stages\.\d\.)(0)\.(conv|norm|neuron)\.", _in_sequence(1)),
    (r"\b((?:trunk|branch)\.\d)\.2\.(weight)$", r"\1.3.\2"),  # a neuron behind a pool
    (r"\b((?:trunk|branch)\.\d\.)(0)\.(conv|norm|neuron)\.", _in_sequence(1)),
    (r"\b((?:position|shortcut|side)\.)()(conv|norm|neuron)\.", lambda m: f"{m[1]}{_PART[m[3]]}."),
)


def renamed(state: Mapping[str, Tensor], needed: Iterable[str]) -> Mapping[str, Tensor]:
    """Return weights of 0.1 under their current, ``needed`` names, and other weights unchanged."""
    olds = {
        name: _old(name, f"{name.rpartition('.branch.')[0]}.branch.mixing.weight" in state)
        for name in needed
    }
    if olds.keys() == state.keys() or set(olds.values()) != state.keys():
        return state
    return {name: state[old] for name, old in olds.items()}


def _old(name: str, is_token_mixing: bool) -> str:
    if is_token_mixing:
        name = re.sub(r"branch\.neuron\.", "branch.after.", name)
        name = re.sub(r"branch\.fc1\.neuron\.", "branch.before.", name)
    for pattern, old in _RULES:
        name = re.sub(pattern, old, name)
    return name
