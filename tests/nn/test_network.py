import random
from itertools import combinations

import equations
import pytest
import torch

from spikenas.architecture import RESIDUALS, Architecture, InputSpec, Stage
from spikenas.exceptions import ArchitectureError, UsageError
from spikenas.nn.network import build_network
from spikenas.search_space import SearchSpace

IMAGE = InputSpec(channels=2, height=16, width=16)
SPACE = """
[input]
channels = 1
height = 8
width = 8
num_classes = 3
[choices]
num_steps = 2
neuron = ["if", "lif", "plif", "stmixer_lif"]
residual = ["spike", "membrane", "none"]
stem = ["conv", "conv_side", "deformed_shortcut", "i_sps", "sps", "sps_membrane"]
patch_size = 2
head = ["mean_linear", "neuron_linear", "spiking"]
[[stages]]
embed_dim = 8
depth = 1
mixer = ["conv", "multi_scale", "none", "qk_channel", "qk_token", "spike_driven", "ssa", "stm"]
num_heads = 2
mlp_ratio = [0, 2]
"""


def architecture(num_stages=1, downsampling="strided_conv", **genes):
    stage = {"embed_dim": 8, "depth": 1, "mixer": ("ssa",), "num_heads": 2, "mlp_ratio": 1.0}
    stages = [Stage(**stage)]
    stages += [Stage(**stage, downsampling=downsampling)] * (num_stages - 1)
    defaults = {
        "input": IMAGE,
        "num_classes": 3,
        "num_steps": 2,
        "neuron": "lif",
        "residual": "spike",
        "stem": "conv",
        "patch_size": 2,
        "stages": tuple(stages),
    }
    return Architecture(**{**defaults, **genes})


def image(a, batch=2):
    random = torch.Generator().manual_seed(0)
    return torch.rand((batch, a.input.channels, a.input.height, a.input.width), generator=random)


def assert_trains(a):
    network = build_network(a)
    logits = network(image(a))
    logits.sum().backward()

    assert logits.shape == (2, a.num_classes)
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def assert_builds_without_memory(a):
    with torch.device("meta"):
        logits = build_network(a)(torch.empty(2, a.input.channels, a.input.height, a.input.width))

    assert logits.is_meta
    assert logits.shape == (2, a.num_classes)


def members(space):
    found = {}

    def walk(prefix):
        """Follow every branch of the choices: the one in ``prefix``, then the first."""
        offered = []

        def choose(_name, values):
            i = len(offered)
            offered.append(list(values))
            return values[prefix[i]] if i < len(prefix) else values[0]

        made = space.draw(choose)
        found[made.key] = made
        for i in range(len(prefix), len(offered)):
            taken = (*prefix, *[0] * (i - len(prefix)))
            for other in range(1, len(offered[i])):
                walk((*taken, other))

    walk(())
    return list(found.values())


def test_every_member_of_the_toy_space_builds_without_memory():
    toy = SearchSpace.load("toy")

    found = members(toy)

    assert len(found) == toy.size()
    for member in found:
        assert_builds_without_memory(member)


def pairs(a):
    """Return each component beside each other, as its place and name."""
    stage = a.stages[0]
    names = [a.neuron, a.residual, a.stem, a.head, stage.mixer[0], f"mlp {stage.mlp_ratio}"]
    return set(combinations(enumerate(names), 2))


def test_every_component_beside_every_other_trains_and_builds_without_memory():
    found = members(SearchSpace.from_toml(SPACE))
    random.Random(0).shuffle(found)
    seen = set()

    for member in found:
        if pairs(member) - seen:
            seen |= pairs(member)
            assert_trains(member)
            assert_builds_without_memory(member)

    components = {name for pair in seen for place, name in pair if place not in (1, 5)}
    families = ("neuron", "stem", "head", "mixer")
    assert components == {name for family in families for name in equations.shipped(family)}


HALVINGS = [
    (downsampling, residual)
    for downsampling in equations.shipped("downsampling")
    for residual in RESIDUALS
    if (downsampling, residual) != ("deformed_shortcut", "membrane")  # it adds spikes
]


@pytest.mark.parametrize(("downsampling", "residual"), HALVINGS)
@pytest.mark.parametrize("num_stages", [1, 2, 3, 4])
def test_a_network_has_one_to_four_stages(num_stages, downsampling, residual):
    a = architecture(num_stages, downsampling, residual=residual)

    assert_trains(a)
    assert_builds_without_memory(a)


@pytest.mark.parametrize("num_steps", range(1, 9))
def test_a_network_runs_one_to_eight_steps(num_steps):
    assert_trains(architecture(num_steps=num_steps))


def test_a_stage_may_have_another_mixer_in_every_block():
    mixer = tuple(equations.shipped("mixer"))
    stage = Stage(embed_dim=8, depth=len(mixer), mixer=mixer, num_heads=2, mlp_ratio=2.0)

    assert_trains(architecture(stages=(stage,)))


def test_membranes_start_anew_and_batches_do_not_mix():
    a = architecture(2, num_steps=4)
    network = build_network(a).eval()
    x = image(a, batch=3)

    with torch.no_grad():
        together, again = network(x), network(x)
        alone = torch.cat([network(x[i : i + 1]) for i in range(3)])

    assert together.equal(again)
    torch.testing.assert_close(together, alone)


def test_events_of_a_still_image_give_what_its_frame_gives():
    frames = architecture(num_steps=3)
    events = architecture(
        num_steps=3, input=InputSpec(channels=2, height=16, width=16, kind="events")
    )
    network, other = build_network(frames).eval(), build_network(events).eval()
    other.load_state_dict(network.state_dict())
    x = image(frames)

    assert network(x).equal(other(x.unsqueeze(1).expand(-1, 3, -1, -1, -1)))


@pytest.mark.parametrize("shape", [(2, 2, 16, 15), (2, 1, 16, 16), (2, 16, 16), (2, 4, 2, 16, 16)])
def test_an_image_of_another_shape_is_refused(shape):
    network = build_network(architecture())

    with pytest.raises(ValueError, match="must have shape") as refusal:
        network(torch.zeros(shape))

    assert str(refusal.value) == (
        f"frames must have shape [B, channels=2, height=16, width=16], but have {list(shape)}"
    )


def test_events_of_another_number_of_steps_are_refused():
    events = InputSpec(channels=2, height=16, width=16, kind="events")

    with pytest.raises(ValueError, match=r"events must have shape \[B, num_steps=2"):
        build_network(architecture(input=events))(torch.zeros(1, 3, 2, 16, 16))


def test_a_map_of_one_token_has_no_further_stage():
    with pytest.raises(ArchitectureError, match="would halve a map of 1x"):
        architecture(3, input=InputSpec(channels=2, height=4, width=4))


def test_images_of_whole_numbers_are_refused_with_where_to_give_them():
    network = build_network(architecture())

    with pytest.raises(UsageError, match=r"must be floats .* torch.uint8; network.predict takes"):
        network(torch.zeros(1, 2, 16, 16, dtype=torch.uint8))
