"""Data sets behind one door: by name in, uint8 tensors and normalised batches out.

Images and recordings of event cameras alike; the latter are binned into frames.

`describe` looks at the files only; `load` reads them, once for all processes of a machine. The
test split is fixed by the data set and never mixes with what a search trains or validates on.
"""

from spikenas.data.augmentation import Augmentation
from spikenas.data.binning import Binning
from spikenas.data.content import content_sha256, fingerprint
from spikenas.data.images import ImageSet, Splits
from spikenas.data.loading import describe, load
from spikenas.data.own_data import Data, OwnData, data_spec
from spikenas.data.preprocessing import preprocessing_of
from spikenas.data.source import Arrays, DataSource, Survey
from spikenas.data.spec import DataInfo, DataSpec, names

__all__ = [
    "Arrays",
    "Augmentation",
    "Binning",
    "Data",
    "DataInfo",
    "DataSource",
    "DataSpec",
    "ImageSet",
    "OwnData",
    "Splits",
    "Survey",
    "content_sha256",
    "data_spec",
    "describe",
    "fingerprint",
    "load",
    "names",
    "preprocessing_of",
]
