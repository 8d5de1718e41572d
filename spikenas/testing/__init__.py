"""What each kind of plugin promises, as classes of tests; for plugins as for our own.

A plugin registers its component and puts its name on a subclass::

    @pytest.mark.parametrize("name", ["my_mixer"])
    class TestMyMixer(MixerContract):
        genes = {"num_heads": 2}

Of what is no component the subclass makes one::

    class TestMyModel(EnergyModelContract):
        def model(self) -> EnergyModel:
            return MODEL
"""

from spikenas.testing.components import (
    CausalContract,
    ComponentContract,
    DownsamplingContract,
    HeadContract,
    MixerContract,
    NeuronContract,
    StemContract,
)
from spikenas.testing.data_source import DataSourceContract
from spikenas.testing.energy_model import EnergyModelContract
from spikenas.testing.export_format import ExportFormatContract
from spikenas.testing.kernel_backend import BackendContract
from spikenas.testing.sampler import SamplerContract
from spikenas.testing.worker_pool import WorkerPoolContract

__all__ = [
    "BackendContract",
    "CausalContract",
    "ComponentContract",
    "DataSourceContract",
    "DownsamplingContract",
    "EnergyModelContract",
    "ExportFormatContract",
    "HeadContract",
    "MixerContract",
    "NeuronContract",
    "SamplerContract",
    "StemContract",
    "WorkerPoolContract",
]
