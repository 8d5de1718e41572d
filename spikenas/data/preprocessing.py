"""`preprocessing_of`: what `load` does to the images of a data set, as plain data."""

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
    order = "OFF, ON" if is_events else "grey" if size.channels == 1 else "RGB"
    return Preprocessing(
        kind=size.kind,
        channels=size.channels,
        channel_order=order,
        height=size.height,
        width=size.width,
        resize=resize,
        mean=(0.0,) * size.channels if is_events else info.mean,
        std=(1.0,) * size.channels if is_events else info.std,
        binning=spec.binning if is_events else None,
        num_steps=spec.num_steps if is_events else None,
        value_range="counts" if is_events else "0..1",
        sensor_size=EVENT_SETS[spec.name].sensor if is_events else None,
        ground="white" if spec.name == "image_folder" else None,
        grey_as_rgb=spec.name == "image_folder",
    )
