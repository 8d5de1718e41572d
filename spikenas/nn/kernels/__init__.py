"""Fast ways to run the multi-step neuron; `spikenas.nn.neurons.neuron` has the definition."""

from spikenas.nn.kernels.cpu import CPUKernel, cpu_kernel

__all__ = ["CPUKernel", "cpu_kernel"]
