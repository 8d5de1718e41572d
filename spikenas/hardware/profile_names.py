"""The names that a profile may use: its limits and, by placement, what must be said of a chip.

A placement reads some limits and some facts of structure; a profile that names it must have them.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

PlacementName = Literal["speck", "akida", "cores", "xylo"]
LimitName = Literal[
    # of any profile
    "max_parameters",
    "max_neurons",
    "max_synapses",
    "max_steps",
    "max_fan_in",
    "max_weights_per_operation",
    "max_neurons_per_operation",
    # speck: one layer a core
    "cores",
    "kernel_memory",
    "neuron_memory",
    "bias_memory",
    "destinations",
    "kernel_size",
    "strides",
    "padding",
    "pooling",
    "input_size",
    "output_size",
    "channels",
    "readout_classes",
    # akida: one layer on several processors
    "processors",
    "small_dense_processors",
    "large_dense_processors",
    "separable_kernels",
    "kernels",
    "weight_bits",
    "separable_weight_bits",
    "activation_bits",
    "input_memory",
    "weight_memory",
    "dense_weight_memory",
    "filters_per_processor",
    "tile_height",
    "tile_width",
    "dense_inputs",
    "average_height",
    "average_columns",
    "input_kernels",
    "input_strides",
    "input_side",
    "input_width",
    "grey_filters",
    "colour_filters",
    # cores: one group of neurons on several
    "neurons_per_core",
    "axons_per_core",
    "synapse_bits_per_core",
    # xylo
    "inputs",
    "hidden_neurons",
    "output_neurons",
    "fan_out",
    "neuron_layers",
]
StructureName = Literal[
    "unsupported_operation",
    "unsupported_neuron",
    "layer_order",
    "merge",
    "square",
    "dense_kernel",
    "matching",
    "same_padding",
    "strided_kernel",
    "pooling_last",
    "pooling_tiles",
    "one_input_channel",
    "population_axons",
    "neurons_alternate",
    "ends_in_neurons",
]


class Needs(NamedTuple):
    """What a placement reads of a profile.

    Attributes:
        known: of some limits, the only values that the placement can reckon with.
        alongside: limits that have one value for each of another limit's.
        parts: limits that together are at most another one.
    """

    limits: tuple[LimitName, ...]
    structure: tuple[StructureName, ...]
    optional: tuple[LimitName, ...] = ()
    known: Mapping[LimitName, tuple[int, ...]] = MappingProxyType({})
    alongside: Mapping[LimitName, LimitName] = MappingProxyType({})
    parts: Mapping[LimitName, tuple[LimitName, ...]] = MappingProxyType({})

    @property
    def all_limits(self) -> tuple[LimitName, ...]:
        """Those that must be there and those that may."""
        return (*self.limits, *self.optional)


PLACEMENTS: Mapping[PlacementName, Needs] = {
    "speck": Needs(
        limits=(
            "cores",
            "kernel_memory",
            "neuron_memory",
            "bias_memory",
            "destinations",
            "kernel_size",
            "strides",
            "padding",
            "pooling",
            "input_size",
            "output_size",
            "channels",
        ),
        structure=(
            "unsupported_operation",
            "unsupported_neuron",
            "layer_order",
            "merge",
            "square",
            "dense_kernel",
            "matching",
        ),
        optional=("readout_classes",),
    ),
    "akida": Needs(
        limits=(
            "processors",
            "small_dense_processors",
            "large_dense_processors",
            "kernels",
            "separable_kernels",
            "strides",
            "pooling",
            "weight_bits",
            "separable_weight_bits",
            "activation_bits",
            "input_memory",
            "weight_memory",
            "dense_weight_memory",
            "filters_per_processor",
            "tile_height",
            "tile_width",
            "channels",
            "dense_inputs",
            "average_height",
            "average_columns",
            "input_kernels",
            "input_strides",
            "input_side",
            "input_width",
            "grey_filters",
            "colour_filters",
        ),
        structure=(
            "unsupported_operation",
            "unsupported_neuron",
            "layer_order",
            "square",
            "same_padding",
            "strided_kernel",
            "pooling_last",
            "pooling_tiles",
            "one_input_channel",
        ),
        known={  # what `placement.akida_memory` was measured for
            "kernels": (1, 3, 5, 7),
            "separable_kernels": (3, 5, 7),
            "weight_bits": (1, 2, 4),
            "separable_weight_bits": (2, 4),
            "activation_bits": (1, 2, 3, 4),
        },
        alongside={"grey_filters": "input_kernels", "colour_filters": "input_kernels"},
        parts={"processors": ("small_dense_processors", "large_dense_processors")},
    ),
    "cores": Needs(
        limits=("cores", "neurons_per_core"),
        structure=(),
        optional=("axons_per_core", "synapse_bits_per_core", "weight_bits"),
    ),
    "xylo": Needs(
        limits=("inputs", "hidden_neurons", "output_neurons", "fan_out", "neuron_layers"),
        structure=("unsupported_operation", "neurons_alternate", "ends_in_neurons"),
    ),
}
