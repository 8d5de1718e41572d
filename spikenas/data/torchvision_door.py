"""The one door to torchvision: ``datasets`` (to download) and ``v2``, its transforms of batches.

torchvision's wheel on some registries is built for CUDA. Beside a torch built for the CPU its
compiled part does not load, the detection operators ``nms`` and ``qnms`` stay undefined, and the
whole package fails to import: "operator torchvision::nms does not exist". We use none of its
compiled operators, so where that happens the two are declared (never implemented) and the import
is tried again. Importing takes about two seconds; import this only where it is needed.
"""

import torch

try:
    from torchvision import datasets
except RuntimeError as error:
    if "torchvision::nms" not in str(error):
        raise
    for _name in ("nms", "qnms"):
        torch.library.define(
            f"torchvision::{_name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        )
    from torchvision import datasets
from torchvision.transforms import v2

__all__ = ["datasets", "v2"]
