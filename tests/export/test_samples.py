import pytest
import torch

from spikenas.exceptions import ArtefactError
from spikenas.export.samples import compare, sample_images

from trained_networks import architecture  # isort: skip
from spikenas.architecture import InputSpec


def test_events_have_a_step_axis():
    frames = sample_images(architecture(), 2)
    events = sample_images(
        architecture(input=InputSpec(channels=2, height=8, width=8, kind="events")), 2
    )

    assert frames.shape == (2, 1, 8, 8)
    assert events.shape == (2, 3, 2, 8, 8)


def test_one_sample_of_five_may_differ_by_a_spike():
    expected = torch.zeros(5, 3)
    found = expected.clone()
    found[2, 1] = 0.25

    compare(found, expected, "model.onnx")


def test_a_graph_that_differs_on_most_samples_is_refused():
    expected = torch.zeros(5, 3)
    found = expected.clone()
    found[:3, 1] = 2e-5

    with pytest.raises(ArtefactError, match=r"model\.onnx agrees to 1e-05 on 2 of 5 samples"):
        compare(found, expected, "model.onnx")


def test_logits_that_are_no_numbers_are_refused():
    with pytest.raises(ArtefactError, match="0 of 5"):
        compare(torch.full((5, 3), float("nan")), torch.zeros(5, 3), "model.nir")


def test_logits_of_another_shape_are_refused():
    with pytest.raises(ArtefactError, match=r"\[5, 2\] for \[5, 3\]"):
        compare(torch.zeros(5, 2), torch.zeros(5, 3), "model.nir")
