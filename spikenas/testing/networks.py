"""Two small architectures for 8x8 digits, on which contracts are tested."""

from dataclasses import replace

from spikenas.architecture import Architecture, InputSpec, Stage

CONVOLUTIONS = Architecture(
    input=InputSpec(channels=1, height=8, width=8),
    num_classes=10,
    num_steps=2,
    neuron="if",
    v_threshold=0.5,
    residual="none",
    stem="conv",
    patch_size=2,
    stages=(Stage(embed_dim=8, depth=1, mixer=("conv",), mlp_ratio=2.0),),
    head="spiking",
)
ATTENTION = replace(
    CONVOLUTIONS,
    neuron="lif",
    tau=2.0,
    residual="spike",
    stages=(Stage(embed_dim=16, depth=1, mixer=("ssa",), num_heads=2, mlp_ratio=2.0),),
    head="mean_linear",
)
