"""AEDAT 2: the files in which CIFAR10-DVS is published, read by numpy.

Behind lines of text that begin with ``#`` an event is 64 bits, big endian: an address and a time in
microseconds. Of the address of a DVS128 camera, bit 0 is the polarity (1 is OFF), bits 1 to 7 are
the column and bits 8 to 14 the row, both counted from the lower right corner (jAER). CIFAR10-DVS
was recorded with the camera on its side, so column and row change places (as
`spikingjelly.datasets` reads it, Fang 2023).
"""

from pathlib import Path

import numpy as np

from spikenas.data.recordings import Events
from spikenas.exceptions import DataError

_BYTES = 8  # of one event
_LAST = 127  # the camera's last row and column


def read_aedat2(path: Path) -> Events:
    """Read one recording of CIFAR10-DVS; raises DataError where it is none."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    start = 0
    while content[start : start + 1] == b"#":
        line_end = content.find(b"\n", start)
        start = len(content) if line_end < 0 else line_end + 1
    is_other = content.startswith(b"#!AER-DAT") and not content.startswith(b"#!AER-DAT2")
    if is_other or not 0 < start < len(content):
        raise DataError(f"{path} is no recording in AEDAT 2; delete it or get it again")
    if (len(content) - start) % _BYTES:
        raise DataError(
            f"{path} is truncated or damaged: {len(content) - start} bytes behind its text are not "
            f"whole events of {_BYTES} bytes; delete it or get it again"
        )
    address, t = np.frombuffer(content, ">u4", offset=start).reshape(-1, 2).T.astype(np.int64)
    return Events(
        x=_LAST - (address >> 8 & _LAST),
        y=_LAST - (address >> 1 & _LAST),
        polarity=1 - (address & 1),
        t=t,
    )
