"""`preprocessing_of`: what `load` does to the images of a data set, as plain data."""

from spikenas.data.binning import POLARITIES
from spikenas.data.event_sets import EVENT_SETS
from spikenas.data.spec import DataInfo, DataSpec
from spikenas.preprocessing import Preprocessing


def preprocessing_of(spec: DataSpec, info: DataInfo) -> Preprocessing:
    """Return how the images of ``spec``, found to be ``info``, reach the network."""
    size = info.input
    is_events = size.kind == "events"
    if spec.name == "image_folder":
        resize = "centre_crop_bicubic"
    elif is_events or spec.image_size is None:
        resize = "none"
    else:
        resize = "bilinear_antialias"
    if is_events:
        order = "OFF, ON" if size.channels == POLARITIES else "as given"
    else:
        order = {1: "grey", 3: "RGB"}.get(size.channels, "as given")
    return Preprocessing(
        kind=size.kind,
        channels=size.channels,
        channel_order=order,
        height=size.height,
        width=size.width,
        resize=resize,
        mean=(0.0,) * size.channels if is_events else info.mean,
        std=(1.0,) * size.channels if is_events else info.std,
        binning=spec.binning if is_events and spec.own is None else None,
        num_steps=spec.num_steps if is_events else None,
        value_range="counts" if is_events else "0..1",
        sensor_size=_sensor_size(spec) if is_events else None,
        ground="white" if spec.name == "image_folder" else None,
        grey_as_rgb=spec.name == "image_folder",
    )


def _sensor_size(spec: DataSpec) -> tuple[int, int]:
    """Return the height and width that events have before they are added up to smaller ones."""
    if spec.own is not None:
        return spec.own.survey.height, spec.own.survey.width
    return EVENT_SETS[spec.name].sensor
