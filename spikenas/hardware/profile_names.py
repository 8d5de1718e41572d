"""The names that a profile may use: its limits and, for each placement, what it must declare.

A placement reads some limits and some facts of structure; a profile that names it must have them.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple, get_args

PlacementName = Literal["speck", "akida", "cores", "xylo"]
# Limits that any profile may have, then those that a placement reads.
_AnyLimit = Literal[
    "max_parameters",
    "max_neurons",
    "max_synapses",
    "max_steps",
    "max_fan_in",
    "max_weights_per_operation",
    "max_neurons_per_operation",
]
_SpeckLimit = Literal[
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
]
_AkidaLimit = Literal[
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
]
_CoresLimit = Literal["cores", "neurons_per_core"]
_CoresOptional = Literal["axons_per_core", "synapse_bits_per_core", "weight_bits"]
_XyloLimit = Literal["inputs", "hidden_neurons", "output_neurons", "fan_out", "neuron_layers"]
LimitName = Literal[
    _AnyLimit,
    _SpeckLimit,
    "readout_classes",
    _AkidaLimit,
    _CoresLimit,
    _CoresOptional,
    _XyloLimit,
]
_SpeckStructure = Literal[
    "unsupported_operation",
    "unsupported_neuron",
    "layer_order",
    "merge",
    "square",
    "dense_kernel",
    "matching",
]
_AkidaStructure = Literal[
    "unsupported_operation",
    "unsupported_neuron",
    "layer_order",
    "square",
    "same_padding",
    "strided_kernel",
    "pooling_last",
    "pooling_tiles",
    "one_input_channel",
]
_XyloStructure = Literal["unsupported_operation", "neurons_alternate", "ends_in_neurons"]
StructureName = Literal[_SpeckStructure, _AkidaStructure, "population_axons", _XyloStructure]


class Needs(NamedTuple):
    """What a placement reads from a profile.

    Attributes:
        known: the only values of some limits that the placement can handle.
        alongside: limits that have one value for each value of another limit.
        parts: limits whose sum may not exceed another limit.
    """

    limits: tuple[LimitName, ...] = ()
    structure: tuple[StructureName, ...] = ()
    optional: tuple[LimitName, ...] = ()
    known: Mapping[LimitName, tuple[int, ...]] = MappingProxyType({})
    alongside: Mapping[LimitName, LimitName] = MappingProxyType({})
    parts: Mapping[LimitName, tuple[LimitName, ...]] = MappingProxyType({})

    @property
    def all_limits(self) -> tuple[LimitName, ...]:
        """The required and the optional limits."""
        return (*self.limits, *self.optional)


PLACEMENTS: Mapping[PlacementName, Needs] = {
    "speck": Needs(
        limits=get_args(_SpeckLimit),
        structure=get_args(_SpeckStructure),
        optional=("readout_classes",),
    ),
    "akida": Needs(
        limits=get_args(_AkidaLimit),
        structure=get_args(_AkidaStructure),
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
    "cores": Needs(limits=get_args(_CoresLimit), optional=get_args(_CoresOptional)),
    "xylo": Needs(limits=get_args(_XyloLimit), structure=get_args(_XyloStructure)),
}
