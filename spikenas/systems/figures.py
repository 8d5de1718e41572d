"""The figures that papers report for their configurations, and our own counts."""

from dataclasses import dataclass

from spikenas.systems.variant import Variant, datasets


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedSystem:
    """One configuration; None if there is no reliable figure.

    Attributes:
        parameters: of the authors' code, without parameters that its forward pass never uses.
        macs: multiply-accumulates per inference, all steps, as a trace counts the equations.
        operations: reported synaptic operations per inference.
        accuracy: reported top-1 on the test set, 0 to 1.
        energy_mj: reported per inference, by the paper's own formula.
        source: where the figures are published.
    """

    name: str
    parameters: int
    macs: int
    operations: float | None = None
    accuracy: float | None = None
    energy_mj: float | None = None
    source: str


_PAPERS = {  # docs/explanation/published-systems.md has the titles
    "msvit": "IJCAI 2025",
    "qkformer": "Zhou 2024",
    "sdt": "Yao 2023",
    "spikformer": "Zhou 2023",
    "stmixer": "Deng 2024",
}
_SMIXER = "as quoted by SMixer (ICLR 2026)"
_NO_HEADS = f"{_SMIXER}; heads are not said"
_QUOTED = "as quoted by others"
_LEADERBOARD = "as a leaderboard quotes it"
_TABLES = {"cifar10": "CIFAR", "cifar100": "CIFAR", "imagenet": "ImageNet"}

# name: (parameters, MACs, reported G operations, accuracy in %, energy in mJ, remark)
_Row = tuple[int, int, float | None, float | None, float | None, str]
_ROWS: dict[str, _Row] = {
    "spikformer-8-384-imagenet": (16_816_024, 19_585_883_136, 6.82, 70.24, 7.734, ""),
    "spikformer-6-512-imagenet": (23_373_352, 29_036_761_088, 8.69, 72.46, 9.417, "recalled"),
    "spikformer-8-512-imagenet": (29_689_384, 34_283_966_464, 11.09, 73.38, 11.577, ""),
    "spikformer-10-512-imagenet": (36_005_416, 39_531_171_840, 13.67, 73.68, 13.899, _QUOTED),
    "spikformer-8-768-imagenet": (66_338_632, 75_934_316_544, 22.09, 74.81, 21.477, ""),
    "spikformer-4-256-cifar10": (4_155_178, 1_672_874_496, None, 93.94, None, "recalled"),
    "spikformer-4-256-cifar100": (4_178_308, 1_672_897_536, None, 75.96, None, "recalled"),
    "spikformer-2-384-cifar10": (5_765_050, 2_805_010_176, None, 94.8, None, "recalled"),
    "spikformer-2-384-cifar100": (5_799_700, 2_805_044_736, None, 76.95, None, "recalled"),
    "spikformer-4-384-cifar10": (9_324_730, 3_736_145_664, None, 95.19, None, "300 epochs"),
    "spikformer-4-384-cifar100": (9_359_380, 3_736_180_224, None, 77.86, None, "300 epochs"),
    "spikformer-2-256-cifar10dvs": (2_566_666, 6_056_577_536, None, 80.9, None, ""),
    "spikformer-2-256-dvs128": (2_566_923, 6_056_577_792, None, 98.3, None, ""),
    "sdt-8-384-imagenet": (16_816_024, 18_650_148_864, None, 72.28, 3.9, ""),
    "sdt-6-512-imagenet": (23_373_352, 28_101_410_816, None, 74.11, 3.56, ""),
    "sdt-8-512-imagenet": (29_689_384, 33_036_320_768, None, 74.57, 4.5, ""),
    "sdt-10-512-imagenet": (36_005_416, 37_971_230_720, None, 74.66, 5.53, ""),
    "sdt-8-768-imagenet": (66_338_632, 74_062_848_000, None, 77.07, 6.09, "tested at 288x288"),
    "sdt-2-512-cifar10": (10_233_418, 4_940_386_304, None, 95.6, None, ""),
    "sdt-2-512-cifar100": (10_279_588, 4_940_570_624, None, 78.4, None, ""),
    "sdt-2-256-cifar10dvs": (2_566_666, 19_774_087_168, None, 80.0, None, ""),
    "sdt-2-256-dvs128": (2_566_923, 23_511_216_128, None, 99.3, None, ""),
    "qkformer-10-384-imagenet": (16_473_688, 24_154_708_992, None, 78.8, 15.13, ""),
    "qkformer-10-512-imagenet": (29_079_336, 42_456_633_344, None, 82.04, 21.99, ""),
    "qkformer-10-768-imagenet": (64_962_760, 94_436_014_080, None, 84.22, 38.91, ""),
    "qkformer-4-384-cifar10": (6_706_234, 6_071_455_488, None, 96.18, None, ""),
    "qkformer-4-384-cifar100": (6_740_884, 6_071_490_048, None, 81.15, None, ""),
    "qkformer-2-256-cifar10dvs": (1_504_138, 8_146_389_504, None, 84.0, None, ""),
    "qkformer-2-256-dvs128": (1_999_371, 8_951_696_128, None, 98.6, None, "it prints 1.50 M"),
    "msvit-10-384-imagenet": (17_686_216, 41_992_879_104, None, 80.09, 16.65, ""),
    "msvit-10-512-imagenet": (31_232_616, 74_050_654_208, None, 82.96, 24.74, "it prints 30.23 M"),
    "msvit-10-768-imagenet": (69_802_408, 165_256_427_520, None, 85.06, 45.88, ""),
    "msvit-4-384-cifar10": (7_558_762, 9_155_055_360, None, 96.53, None, _LEADERBOARD),
    "msvit-4-384-cifar100": (7_445_956, 8_776_619_520, None, 81.98, None, _LEADERBOARD),
    "stmixer-4-384-cifar10": (8_223_674, 3_367_112_448, None, 96.01, None, _SMIXER),
    "stmixer-4-384-cifar100": (8_258_324, 3_367_147_008, None, 81.87, None, _SMIXER),
    "stmixer-8-512-imagenet": (27_666_984, 7_543_771_136, None, None, None, "no figures known"),
    "stmixer-8-768-imagenet": (59_938_120, 16_782_833_664, None, 76.68, 4.45, _NO_HEADS),
}


def _source(name: str, remark: str) -> str:
    system, _, _, dataset = name.split("-")
    table = f"{_TABLES.get(dataset, 'neuromorphic')} table"
    return ", ".join(filter(None, (_PAPERS[system], table, remark)))


PUBLISHED = {
    name: PublishedSystem(
        name=name,
        parameters=parameters,
        macs=macs,
        operations=None if giga is None else giga * 1e9,
        accuracy=None if percent is None else round(percent / 100, 4),
        energy_mj=energy_mj,
        source=_source(name, remark),
    )
    for name, (parameters, macs, giga, percent, energy_mj, remark) in _ROWS.items()
}


def is_published(system: str, depth: int, width: int, variant: Variant) -> bool:
    """Whether a paper reports this size for any data set of the variant."""
    return any(f"{system}-{depth}-{width}-{dataset}" in PUBLISHED for dataset in datasets(variant))
