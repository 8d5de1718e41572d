"""Halting (ACT) on both of its hosts: what halts costs nothing and says nothing."""

from contextlib import contextmanager
from copy import deepcopy

import equations
import pytest
import torch

from spikenas.architecture import Architecture, Halting, InputSpec, Stage
from spikenas.exceptions import ArchitectureError
from spikenas.measurement import measure, trace
from spikenas.nn.active_tokens import MaskedTokens
from spikenas.nn.network import build_network
from spikenas.nn.operations import BatchNorm, Linear
from spikenas.workload import Kind

T, B, N, DEPTH = 4, 6, 16, 4
LOWEST = 1e-6
THRESHOLDS = [2.0, 0.5, 0.2, 0.05, 0.01, LOWEST]  # from few tokens that halt to all
SIZES = {
    "input": InputSpec(channels=3, height=16, width=16),
    "num_classes": 5,
    "num_steps": T,
    "neuron": "lif",
    "stem": "i_sps",
    "patch_size": 4,
}
HOSTS = {
    "spikformer": ("spike", "ssa", "mean_linear"),
    "sdt": ("membrane", "spike_driven", "neuron_linear"),
}
# Others that may halt: every mixer, residual and head that is not a host's.
KIN = {
    "qk_token": ("spike", "qk_token", "spiking"),
    "qk_channel": ("spike", "qk_channel", "mean_linear"),
    "none": ("spike", "none", "mean_linear"),
    "ssa without a sum": ("none", "ssa", "spiking"),
    "ssa on a membrane": ("membrane", "ssa", "spiking"),
}


def residual_of(host):
    return (HOSTS | KIN)[host][0]


def architecture(host, halting=None, **genes):
    residual, mixer, head = (HOSTS | KIN)[host]
    stage = Stage(embed_dim=32, depth=DEPTH, mixer=(mixer,), num_heads=4, mlp_ratio=2.0)
    given = {**SIZES, "residual": residual, "head": head, "halting": halting, "stages": (stage,)}
    return Architecture(**{**given, **genes})


def network(host, threshold, *, is_compact=True, dtype=torch.float64):
    """Return a network that fires and, but for threshold None, halts; equal weights for all."""
    made = build_network(architecture(host, threshold and Halting(threshold=threshold)))
    equations.randomised(made)
    if threshold == LOWEST and residual_of(host) == "membrane":
        with torch.no_grad():
            made.stem.host.position.norm.bias[0] += (
                50.0  # else scores come as near to 0 as you like
            )
    if threshold is not None:
        made.halting.is_compact = is_compact
    return made.to(dtype)


def images():
    contrast = torch.linspace(0.1, 2.0, B).view(B, 1, 1, 1)  # so that samples halt apart
    return contrast * equations.pixels(B, 3, 16, 16, seed=2)


@contextmanager
def watched(net):
    """Note which tokens each block computes, [T, B, N] booleans; one entry a block."""
    seen = []

    def note(_module, _inputs, given):
        active = given.get("active")
        if active is None:
            seen.append(torch.ones(T, B, N, dtype=torch.bool))
        elif isinstance(active, MaskedTokens):
            seen.append(active.is_active)
        else:
            ones = torch.ones(sum(active.sizes), 1)
            seen.append(active.to_dense(ones)[..., 0].bool())

    hooks = [block.register_forward_pre_hook(note, with_kwargs=True) for block in net.stages[-1]]
    yield seen
    for hook in hooks:
        hook.remove()


def run(net, x):
    """Return logits in evaluation mode, and which tokens each block computed."""
    net.eval()
    with watched(net) as seen, torch.no_grad():
        return net(x), seen


@pytest.mark.parametrize("is_training", [True, False])
@pytest.mark.parametrize("host", HOSTS)
def test_a_threshold_out_of_reach_leaves_the_host_bit_for_bit(host, is_training):
    without = network(host, None, dtype=torch.float32).train(is_training)
    halting = network(host, 1e9, dtype=torch.float32).train(is_training)
    x = images().float()

    expected, found = without(x), halting(x)
    expected.square().sum().backward()
    found.square().sum().backward()

    assert found.equal(expected)
    assert found.unique(dim=0).shape[0] == B
    for one, other in zip(without.parameters(), halting.parameters(), strict=True):
        scale = float(one.grad.abs().max())  # the sums over rows have another order
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-4, atol=1e-5 * scale)
    for one, other in zip(without.buffers(), halting.buffers(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-7)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # asked for by PyTorch
@pytest.mark.parametrize("is_training", [False, True])
def test_a_compiled_network_halts_as_an_eager_one(is_training):
    made = network("spikformer", 0.05, dtype=torch.float32).train(is_training)
    compiled = torch.compile(deepcopy(made), backend="aot_eager")
    x = images().float()

    with torch.set_grad_enabled(is_training):
        assert compiled(x).equal(made(x))


@pytest.mark.parametrize("threshold", THRESHOLDS)
@pytest.mark.parametrize("host", HOSTS | KIN)
def test_compact_evaluation_gives_the_logits_of_the_masked_form(host, threshold):
    x = images()

    found, computed = run(network(host, threshold), x)
    expected, masked = run(network(host, threshold, is_compact=False), x)

    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)
    assert all(one.equal(other) for one, other in zip(computed, masked, strict=True))
    if threshold == LOWEST:
        assert not computed[1].any()
    assert found.isfinite().all()


@pytest.mark.parametrize(
    ("host", "threshold"), [("spikformer", 0.1), ("sdt", 1e-5), ("ssa on a membrane", 0.05)]
)
def test_all_tokens_of_one_sample_may_halt_while_others_go_on(host, threshold):
    x = images()

    found, computed = run(network(host, threshold), x)
    expected, _ = run(network(host, threshold, is_compact=False), x)

    alive = computed[-1][0].any(1)  # by sample, at the first step
    assert alive.any()
    assert not alive.all()
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("host", HOSTS)
def test_a_sample_halts_by_itself_whatever_its_batch(host):
    net, x = network(host, 0.1), images()

    together, _ = run(net, x)
    with torch.no_grad():
        alone = torch.cat([net(x[i : i + 1]) for i in range(B)])

    torch.testing.assert_close(together, alone, rtol=0, atol=1e-10)


@pytest.mark.parametrize("host", HOSTS)
def test_what_a_halted_token_holds_changes_nothing(host):
    net, x = network(host, 0.2, is_compact=False), images()
    expected, computed = run(net, x)
    noise = torch.Generator().manual_seed(3)

    def disturb(halted):
        def hook(_module, _inputs, stream):
            strange = 10 * torch.randn(stream.shape, generator=noise).double()
            strange[..., 0] = 0.0  # the score of this block is still read there
            return stream + strange * halted.unsqueeze(3)

        return hook

    blocks = net.stages[-1]
    for block, after in zip(blocks, computed[1:], strict=False):
        block.register_forward_hook(disturb(~after))
    found, still_computed = run(net, x)

    assert 0 < computed[-1].sum() < computed[2].sum() < T * B * N
    assert found.equal(expected)
    assert all(one.equal(other) for one, other in zip(computed, still_computed, strict=True))


def inputs_of(net, x, kinds):
    """Return what enters the leaves of some kinds, by name."""
    tensors = {}

    def keep(name):
        return lambda _module, inputs, _output: tensors.__setitem__(name, inputs)

    hooks = [
        leaf.register_forward_hook(keep(name))
        for name, leaf in net.named_modules()
        if isinstance(leaf, kinds)
    ]
    net.eval()
    with torch.no_grad():
        net(x)
    for hook in hooks:
        hook.remove()
    return tensors


@pytest.mark.parametrize("is_compact", [True, False])
@pytest.mark.parametrize("host", HOSTS)
def test_measured_synops_are_those_of_the_active_tokens(host, is_compact):
    net, x = network(host, 0.2, is_compact=is_compact), images()
    labels = torch.zeros(B, dtype=torch.long)
    _, computed = run(net, x)
    seen = inputs_of(network(host, 0.2, is_compact=False), x, Linear)

    workload = measure(net, [(x, labels)]).workload

    blocks = [o for o in workload.operations if o.name.startswith("stages.")]
    linear = [o for o in blocks if o.kind is Kind.LINEAR]
    assert len(linear) == DEPTH * 6
    for operation in linear:
        active = computed[int(operation.name.split(".")[2])]
        spikes = seen[operation.name][0]
        assert not spikes[~active].any()
        by_hand = spikes[active].count_nonzero().item() * operation.output_shape[1] / B
        assert operation.synops == pytest.approx(by_hand, rel=1e-12)


@pytest.mark.parametrize("host", HOSTS)
def test_compact_evaluation_runs_the_rows_of_active_tokens_alone(host):
    net, x = network(host, 0.2), images()
    _, computed = run(net, x)
    seen = inputs_of(net, x, Linear)

    for name, (rows,) in seen.items():
        if name.startswith("stages."):
            active = computed[int(name.split(".")[2])]
            assert rows.shape[:-1].numel() == active.sum()
    assert computed[-1].sum() < computed[2].sum() < T * B * N


@pytest.mark.parametrize("host", HOSTS)
def test_batch_norm_in_training_sees_the_active_tokens_alone(host):
    net, x = network(host, 0.2).train(), images()
    norms = {name: m for name, m in net.stages.named_modules() if isinstance(m, BatchNorm)}
    before = {name: (m.running_mean.clone(), m.running_var.clone()) for name, m in norms.items()}
    seen = {}

    def keep(name):
        return lambda _module, inputs, output: seen.update({name: (inputs[0], output)})

    for name, norm in norms.items():
        norm.register_forward_hook(keep(name))
    with watched(net) as computed:
        net(x)

    assert len(norms) == DEPTH * 6
    for name, norm in norms.items():
        active = computed[int(name.split(".")[1])]
        entered, output = seen[name]
        rows = entered[active]
        mean, var = rows.mean(0), rows.var(0)
        old_mean, old_var = before[name]
        expected = (rows - mean) / (rows.var(0, correction=0) + 1e-5).sqrt()
        expected = expected * norm.weight + norm.bias
        torch.testing.assert_close(norm.running_mean, 0.9 * old_mean + 0.1 * mean)
        torch.testing.assert_close(norm.running_var, 0.9 * old_var + 0.1 * var)
        torch.testing.assert_close(output[active], expected)
        assert not output[~active].any()
    assert 0 < computed[-1].double().mean() < 1


@pytest.mark.parametrize("host", HOSTS)
def test_training_survives_that_all_tokens_halt(host):
    net, x = network(host, LOWEST).train(), images()

    logits, rho = net.with_ponder(x)
    (logits.square().sum() + rho).backward()

    assert logits.isfinite().all()
    gradients = [p.grad for p in net.parameters() if p.grad is not None]
    assert all(gradient.isfinite().all() for gradient in gradients)


@pytest.mark.parametrize("host", HOSTS)
def test_the_task_reaches_the_scores_through_the_mask(host):
    net, x = network(host, 0.2).train(), images()
    scores = []
    for score in net.halting.scores:
        score.register_forward_hook(lambda _m, _i, output: scores.append(output))

    logits, _ = net.with_ponder(x)
    gradients = torch.autograd.grad(logits.square().sum(), scores)

    assert len(gradients) == DEPTH - 1
    for gradient in gradients:
        assert gradient.isfinite().all()
        assert gradient.any()


def test_gradients_in_evaluation_need_the_masked_form():
    x = images()
    compact, masked = network("sdt", 0.2).eval(), network("sdt", 0.2, is_compact=False).eval()

    with pytest.raises(RuntimeError, match=r"set network\.halting\.is_compact = False"):
        compact(x).square().sum().backward()
    masked(x).square().sum().backward()

    assert all(p.grad is not None for p in masked.parameters())


def test_a_step_at_which_a_sample_has_no_token_leaves_the_mean():
    head = network("sdt", 1.0).head
    x = torch.randn(T, 2, 3, 32, generator=torch.Generator().manual_seed(4)).double() + 1.0
    mask = torch.ones(T, 2, 3).double()
    mask[2:, 0] = 0.0  # all tokens of the first sample have halted at step 2
    mask[1:, 1, 2] = 0.0

    with torch.no_grad():
        found = head(x * mask.unsqueeze(3), active=MaskedTokens(mask=mask))

    with torch.no_grad():
        expected = head(x[:2, :1])
    torch.testing.assert_close(found[:1], expected)


def test_halting_needs_a_block_after_it_and_counts_one_score_a_token():
    assert len(network("sdt", 0.5).halting.scores) == DEPTH - 1

    workload = trace(network("sdt", 0.5))

    scores = [o for o in workload.operations if "halting" in o.name]
    assert [(o.kind, o.macs, o.steps, o.output_shape) for o in scores] == [
        (Kind.MASK, N, T, (N,))
    ] * (DEPTH - 1)
    others = [o for o in workload.operations if "halting" not in o.name]
    assert others == list(trace(network("sdt", None)).operations)
    assert workload.parameters == trace(network("sdt", None)).parameters


def test_the_integrated_stem_runs_once():
    workload = trace(network("spikformer", 0.5))

    steps = {o.steps for o in workload.operations if o.name.startswith("stem.")}
    assert steps == {1}


@pytest.mark.parametrize(
    ("genes", "message"),
    [
        ({"num_stages": 2}, "there are 2 stages; take num_stages = 1 or halting = 'none'"),
        ({"mixer": "conv"}, "'conv': it reads tokens that have halted; with halting take 'ssa' or"),
        ({"mixer": "stm"}, "'stm': it reads tokens that have halted; with halting take 'ssa' or"),
        ({"mixer": "multi_scale"}, "'multi_scale': it reads tokens that have halted"),
        (
            {"mixer": "spike_driven", "options": (("event_pooling", True),)},
            "event_pooling reads tokens that have halted; take halting = 'none'",
        ),
    ],
)
def test_what_reads_halted_tokens_is_refused_with_the_cure(genes, message):
    num_stages = genes.get("num_stages", 1)
    stage = Stage(
        embed_dim=32,
        depth=2,
        mixer=(genes.get("mixer", "ssa"),),
        num_heads=4,
        downsampling="strided_conv",
        options=genes.get("options", ()),
    )

    without = architecture("spikformer", stages=(stage,) * num_stages)
    with pytest.raises(ArchitectureError) as refusal:
        architecture("spikformer", Halting(), stages=(stage,) * num_stages)

    assert without.halting is None
    assert message in str(refusal.value)
