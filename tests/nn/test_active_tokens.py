"""The two forms of active tokens hold the same tokens."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spikenas.nn.active_tokens import MaskedTokens, PackedTokens


@st.composite
def packings(draw):
    """Active tokens [T, B, N] by how long each lives, and a later, smaller packing of them."""
    T_, B_, N_ = (draw(st.integers(1, 4)) for _ in range(3))
    lives = st.integers(0, T_)
    lifetimes = [[draw(lives) for _ in range(N_)] for _ in range(B_)]
    later = [[min(life, draw(lives)) for life in row] for row in lifetimes]

    def active(table):
        return torch.arange(T_).view(-1, 1, 1) < torch.tensor(table)

    return active(lifetimes), active(later)


@settings(max_examples=100, deadline=None)
@given(packings())
def test_packing_there_and_back_gives_the_active_tokens(pair):
    is_active, is_active_later = pair
    x = torch.arange(1, 1 + 2 * is_active.numel()).double().view(*is_active.shape, 2)
    packed, later = PackedTokens.of(is_active), PackedTokens.of(is_active_later)
    masked = MaskedTokens(mask=is_active.double())

    rows = packed.from_dense(x)

    assert len(rows) == is_active.sum()
    assert packed.to_dense(rows).equal(x * is_active.unsqueeze(3))
    assert packed.counts.equal(masked.counts)
    assert masked.from_rows(masked.rows(x), x).equal(masked.masked(x))
    assert later.within(packed, rows).equal(later.from_dense(x))
    assert [len(step) for step in packed.steps(rows)] == is_active.flatten(1).sum(1).tolist()


@settings(max_examples=100, deadline=None)
@given(packings())
def test_padding_puts_each_samples_active_tokens_first(pair):
    is_active, _ = pair
    x = torch.arange(1, 1 + is_active.numel()).double().unsqueeze(1).view(*is_active.shape, 1)
    packed = PackedTokens.of(is_active)
    rows = packed.from_dense(x)

    padded = packed.padded(rows)

    assert packed.unpadded(padded).equal(rows)
    assert padded.shape[2] == is_active.sum(2).max()
    for t in range(is_active.shape[0]):
        for b in range(is_active.shape[1]):
            n = is_active[t, b].sum()
            found = padded[t, b, :, 0]
            assert sorted(found[:n].tolist()) == x[t, b, is_active[t, b], 0].tolist()
            assert not found[n:].any()
            if t:  # a token keeps its place, so membranes need no gather
                assert (found[:n] - padded[t - 1, b, :n, 0]).unique().numel() <= 1
