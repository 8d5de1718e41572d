"""Write ``six_events.aedat4``: six events of a 128x128 camera; needs ``dv-processing``."""

from pathlib import Path

import dv_processing as dv

config = dv.io.MonoCameraWriter.EventOnlyConfig("DVS", (128, 128), dv.CompressionType.LZ4)
writer = dv.io.MonoCameraWriter(str(Path(__file__).parent / "six_events.aedat4"), config)
events = dv.EventStore()
for i in range(6):
    events.push_back(1000 + 100 * i, 10 + i, 20 + i, i % 2 == 0)
writer.writeEvents(events)
