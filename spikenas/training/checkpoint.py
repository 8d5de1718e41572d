"""A checkpoint: weights and optimizer state as safetensors, the rest as JSON in its header.

The weights include those of side heads, which are only needed to continue the training. Each epoch
draws from generators seeded by (seed, epoch), so generators have no state to save. Nothing is
pickled.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from spikenas.exceptions import ArtefactError

_FORMAT = "spikenas-checkpoint-2"
_MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # AdamW's state of each parameter


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The progress of a training; a checkpoint only continues one with equal ``terms``."""

    epoch: int  # epochs done
    terms: Mapping[str, Any]  # recipe, epochs of the schedule, steps per epoch, seed
    history: tuple[Mapping[str, float], ...]


def pack(objective: nn.Module, optimizer: torch.optim.Optimizer, progress: Progress) -> bytes:
    """Return the checkpoint of a training between two epochs."""
    tensors = {f"weights.{name}": tensor for name, tensor in objective.state_dict().items()}
    for name, parameter in objective.named_parameters():
        for moment, tensor in optimizer.state.get(parameter, {}).items():
            tensors[f"optimizer.{name}.{moment}"] = tensor
    metadata = {"format": _FORMAT, "progress": json.dumps(asdict(progress))}
    return save({name: _plain(tensor) for name, tensor in tensors.items()}, metadata)


def unpack(checkpoint: bytes, objective: nn.Module, optimizer: torch.optim.Optimizer) -> Progress:
    """Load the state into the objective and the optimizer, and return the progress.

    Raises ArtefactError if the bytes are damaged or belong to another network.
    """
    progress, tensors = _parsed(checkpoint)
    weights = {
        name.removeprefix("weights."): tensor
        for name, tensor in tensors.items()
        if name.startswith("weights.")
    }
    try:
        objective.load_state_dict(weights)
    except RuntimeError as error:
        raise ArtefactError(f"the checkpoint is of another network: {error}") from error
    for name, parameter in objective.named_parameters():
        for moment in _MOMENTS:
            tensor = tensors.get(f"optimizer.{name}.{moment}")
            if tensor is not None:  # a frozen parameter has none
                # Adam's step count stays on the CPU, the rest on the device of the parameter.
                device = "cpu" if moment == "step" else parameter.device
                optimizer.state[parameter][moment] = tensor.to(device)
    return progress


def _parsed(checkpoint: bytes) -> tuple[Progress, dict[str, Tensor]]:
    try:
        length = int.from_bytes(checkpoint[:8], "little")
        metadata = json.loads(checkpoint[8 : 8 + length])["__metadata__"]
        if metadata["format"] != _FORMAT:
            raise ArtefactError(f"the checkpoint has format {metadata['format']}, not {_FORMAT}")
        record = json.loads(metadata["progress"])
        progress = Progress(**{**record, "history": tuple(record["history"])})
        return progress, load(checkpoint)
    except (ValueError, KeyError, TypeError, SafetensorError) as error:
        raise ArtefactError(f"not a checkpoint of spikenas, or damaged: {error}") from error


def _plain(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().contiguous().clone()  # safetensors rejects shared memory
