"""What a measurement counts: non-zeros, and coincidences of non-zeros in attention.

``events.c`` counts float32 on CPUs in one pass; otherwise PyTorch counts on the device. Axes:
T steps, B batch, N tokens, D width, h heads, d = D / h. All functions return one whole number.
"""

import torch
from torch import Tensor

from spikenas.nn.kernels.events import library_for


def count_non_zero(x: Tensor) -> Tensor | int:
    """Return how many elements are not zero."""
    rows = x if x.dim() != 5 or x.is_contiguous() else x.movedim(2, -1)
    library = library_for(rows)
    if library is None:
        return torch.count_nonzero(x)
    return library.count_non_zero(rows.data_ptr(), rows.numel(), torch.get_num_threads())


def meetings(q: Tensor, k: Tensor) -> Tensor | int:
    """Count the channels in which q and k are both non-zero, over all pairs of tokens.

    Tokens [T, B, N, D]; pairs are within one sample and step.
    """
    library = library_for(q, k)
    if library is None:
        of_q, of_k = (non_zero(x).sum(2, dtype=torch.float64) for x in (q, k))  # [T, B, D]
        return (of_q * of_k).sum()
    T, B, N, D = q.shape
    return library.meetings(q.data_ptr(), k.data_ptr(), T * B, N, D, torch.get_num_threads())


def attended(q: Tensor, k: Tensor, v: Tensor | None = None) -> Tensor | int:
    """Count the non-zeros of v_m, summed over all pairs (n, m) in which q_n and k_m coincide.

    Without v, count these pairs. Heads [T, B, h, N, d]: views of tokens [T, B, N, h, d].
    """
    T, B, h, N, d = q.shape
    tokens = [x.transpose(2, 3) for x in (q, k, v) if x is not None]
    library = library_for(*tokens)
    if library is None:
        return torch.count_nonzero(q @ k.mT) if v is None else weighed(q @ k.mT, v)
    addresses = [x.data_ptr() for x in tokens] + [None] * (3 - len(tokens))
    threads = torch.get_num_threads()
    words = threads * ((d + 63) // 64 * (N + 1) + N)
    room = torch.empty(words, dtype=torch.int64, device="cpu")
    return library.attended(*addresses, room.data_ptr(), T * B, N, h, d, threads)


def weighed(attn: Tensor, v: Tensor) -> Tensor:
    """Count the pairs of a non-zero of A [T, B, h, N, N] and a non-zero of v."""
    in_v = non_zero(v).sum(4, keepdim=True)  # [T, B, h, N, 1]
    return (non_zero(attn) @ in_v).sum(dtype=torch.float64)


def non_zero(x: Tensor) -> Tensor:
    """Return 1 where x is not zero, else 0, in the dtype of x, which is fast to sum."""
    return torch.ne(x, 0, out=torch.empty_like(x))
