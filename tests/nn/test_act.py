"""The scores of ACT, whom they halt, and what pondering costs."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from spikenas.nn.active_tokens import PackedTokens
from spikenas.nn.halting.act import AdaptiveComputation, HaltingScore, ponder


class FixedScores(nn.Module):
    """Scores that do not look at the tokens; ``passed`` tells who was active in each block."""

    def __init__(self, scores, passed):
        super().__init__()
        self.scores, self.passed = scores, passed

    def forward(self, x):
        active = self.passed[-1]
        if isinstance(active, PackedTokens):
            return active.from_dense(self.scores.unsqueeze(3))[:, 0]
        return self.scores


def active_sets(scores, threshold, *, is_compact):
    """Return which tokens each block computes, given the scores [L - 1, T, B, N] of its places."""
    halting = AdaptiveComputation(
        num_blocks=len(scores) + 1, threshold=threshold, ponder_cost=0.0
    ).eval()
    halting.is_compact = is_compact
    seen, passed = [], []
    halting.scores = nn.ModuleList(FixedScores(each, passed) for each in scores)

    class Block(nn.Module):
        def forward(self, x, active=None):
            passed.append(active)
            if isinstance(active, PackedTokens):
                seen.append(active.to_dense(x)[..., 0].bool())
            else:
                seen.append(x[..., 0].bool())
            return x

    with torch.no_grad():
        halting(
            [Block() for _ in range(len(scores) + 1)],
            lambda x, active=None: x,
            torch.ones(*scores[0].shape, 1),
        )
    return torch.stack(seen)  # [L, T, B, N]


@st.composite
def score_tables(draw):
    shape = [draw(st.integers(1, 3)) for _ in range(4)]  # L - 1, T, B, N
    scores = draw(st.lists(st.integers(1, 63), min_size=1, max_size=81))
    size = torch.Size(shape).numel()
    return (torch.tensor((scores * size)[:size]) / 64).view(shape)


@settings(max_examples=60, deadline=None)
@given(score_tables(), st.floats(0.01, 3.0), st.floats(0.01, 3.0), st.booleans())
def test_active_tokens_grow_with_the_threshold_and_shrink_with_blocks_and_steps(
    scores, one, other, is_compact
):
    low, high = sorted((one, other))

    few = active_sets(scores, low, is_compact=is_compact)
    many = active_sets(scores, high, is_compact=is_compact)

    assert (few <= many).all()
    assert (many[1:] <= many[:-1]).all()
    assert (many[:, 1:] <= many[:, :-1]).all()


@settings(max_examples=60, deadline=None)
@given(score_tables(), st.floats(0.01, 3.0))
def test_a_token_halts_where_its_scores_over_blocks_and_steps_reach_the_threshold(
    scores, threshold
):
    found = active_sets(scores, threshold, is_compact=True)

    L, T_, B_, N_ = (len(scores) + 1, *scores.shape[1:])
    for b in range(B_):
        for k in range(N_):
            computed = {}
            for block in range(L):
                for t in range(T_):
                    total = sum(
                        scores[i, s, b, k].item() * computed[i, s]
                        for i in range(block)
                        for s in range(t + 1)
                    )
                    computed[block, t] = total < threshold
                    assert found[block, t, b, k].item() == computed[block, t]


def test_ponder_is_the_blocks_passed_and_the_remainder_by_hand():
    # One token, two steps, L = 3, threshold 1; scores before blocks 2 and 3:
    #   t = 1: 0.25, 0.25   H = 0, 0.25, 0.5: passes 3, the remainder is 1 - 0.5
    #   t = 2: 0.5          H = 0, 0.75, 1.25: passes 2, the remainder is 1 - 0.75
    sums = [torch.tensor(h).view(2, 1, 1) for h in ([0.0, 0.0], [0.25, 0.75], [0.5, 1.25])]
    passed = [torch.tensor(p).view(2, 1, 1) for p in ([1.0, 1.0], [1.0, 1.0], [1.0, 0.0])]

    rho = ponder(sums, passed, 1.0)

    assert rho.item() == pytest.approx((3.5 + 2.25) / 2 / 3)


def test_the_gradient_of_ponder_is_that_of_finite_differences():
    shape, threshold = (2, 3, 2, 4), 1.0  # L - 1, T, B, N
    scores = 0.05 + 0.6 * torch.rand(shape, generator=torch.Generator().manual_seed(5)).double()

    def rho(scores):
        sums, passed = [torch.zeros(shape[1:]).double()], [torch.ones(shape[1:]).double()]
        for score in scores:
            sums.append(sums[-1] + (score * passed[-1]).cumsum(0))
            passed.append((sums[-1] < threshold).double())
        return ponder(sums, passed, threshold)

    given_scores = scores.clone().requires_grad_()
    rho(given_scores).backward()

    step = 1e-6
    for place in range(scores.numel()):
        moved = torch.zeros(scores.numel()).double()
        moved[place] = step
        moved = moved.view(shape)
        difference = (rho(scores + moved) - rho(scores - moved)) / (2 * step)
        assert given_scores.grad.flatten()[place].item() == pytest.approx(
            difference.item(), abs=1e-8
        )
    cells = torch.Size(shape[1:]).numel() * 3
    first = given_scores.grad[0, -1] * cells * threshold  # -1 where block 2 is the last passed
    assert set(first.round(decimals=9).unique().tolist()) <= {0.0, -1.0}
    assert given_scores.grad.min() < 0


def test_a_score_is_half_at_two_spikes_and_small_in_silence():
    x = torch.tensor([[2.0, 9.0], [0.0, 9.0]])

    assert HaltingScore()(x).tolist() == pytest.approx([0.5, 0.018], abs=1e-4)
