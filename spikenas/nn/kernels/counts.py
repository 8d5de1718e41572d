"""What a measurement counts: non-zeros, and where non-zeros meet in attention.

``events.c`` reads float32 on CPUs once; elsewhere PyTorch counts, on the device. Axes: T steps,
B batch, N tokens, D width, h heads, d = D / h. All of them return one whole number.
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
    found: int = library.count_non_zero(rows.data_ptr(), rows.numel(), torch.get_num_threads())
    return found


def meetings(q: Tensor, k: Tensor) -> Tensor | int:
    """Return the channels where a non-zero of q and one of k meet, over all pairs of tokens.

    Tokens [T, B, N, D]; pairs are of one sample and step.
    """
    library = library_for(q, k)
    if library is None:
        of_q, of_k = (non_zero(x).sum(2, dtype=torch.float64) for x in (q, k))  # [T, B, D]
        return (of_q * of_k).sum()
    T, B, N, D = q.shape
    found: int = library.meetings(q.data_ptr(), k.data_ptr(), T * B, N, D, torch.get_num_threads())
    return found


def attended(q: Tensor, k: Tensor, v: Tensor | None = None) -> Tensor | int:
    """Return the non-zeros of v at each token m, for all n where q_n and k_m meet, summed.

    Without v, how many pairs (n, m) meet. Heads [T, B, h, N, d]: views of tokens [T, B, N, h, d].
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
    found: int = library.attended(*addresses, room.data_ptr(), T * B, N, h, d, threads)
    return found


def weighed(attn: Tensor, v: Tensor) -> Tensor:
    """Return the same for A [T, B, h, N, N]: the pairs of a non-zero of A and one of v."""
    in_v = non_zero(v).sum(4, keepdim=True)  # [T, B, h, N, 1]
    return (non_zero(attn) @ in_v).sum(dtype=torch.float64)


def non_zero(x: Tensor) -> Tensor:
    """Return 1 where x is not zero, else 0, in the type of x: sums of it are fast."""
    return torch.ne(x, 0, out=torch.empty_like(x))
