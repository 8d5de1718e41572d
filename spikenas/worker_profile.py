"""`WorkerProfile`: how many workers, with what resources, on which Ray; read from one TOML file."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from math import isfinite
from pathlib import Path
from typing import Any, Literal

from spikenas import shipped
from spikenas.exceptions import SpecError, did_you_mean

_KINDS = ("inline", "ray")
_ADDRESS = re.compile(r"(ray://)?(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):\d{1,5}")
_RAY_ONLY = ("num_workers", "cpus_per_worker", "gpus_per_worker", "address", "job_timeout_s")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerProfile:
    """Where and how jobs run.

    Attributes:
        kind: ``ray``, or ``inline`` for the driver's own process.
        num_workers: ``auto`` is as many as fit the machine's cores, or the cluster's resources.
        gpus_per_worker: a fraction shares a GPU; at 0 a worker sees none.
        threads_per_worker: of PyTorch; results are only reproducible with equal numbers.
        address: ``local`` starts Ray here; ``auto`` joins the cluster at RAY_ADDRESS, or the Ray
            that runs on this machine; ``host:port`` and ``ray://host:port`` join that cluster.
        job_timeout_s: a job that runs longer is killed, with its worker.
        max_attempts: how often a job is submitted if its workers are lost.
        startup_timeout_s: after this time without any ready worker the search gives up.
    """

    kind: Literal["ray", "inline"] = "ray"
    num_workers: int | Literal["auto"] = "auto"
    cpus_per_worker: float = 1.0
    gpus_per_worker: float = 0.0
    threads_per_worker: int = 1
    address: str = "local"
    job_timeout_s: float = 3600.0
    max_attempts: int = 3
    startup_timeout_s: float = 60.0

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise SpecError(
                f"kind = {self.kind!r}{did_you_mean(str(self.kind), _KINDS)}; "
                f"allowed: {', '.join(_KINDS)}"
            )
        if self.num_workers != "auto":
            self._check_integer("num_workers", 'or "auto"; without workers no job would run')
        self._check_integer("threads_per_worker")
        self._check_integer("max_attempts")
        self._check_number("cpus_per_worker")
        self._check_number("gpus_per_worker", zero_is_allowed=True)
        self._check_number("job_timeout_s")
        self._check_number("startup_timeout_s")
        if not isinstance(self.address, str) or not (
            self.address in ("local", "auto") or _ADDRESS.fullmatch(self.address)
        ):
            raise SpecError(
                f"address = {self.address!r}; allowed: local, auto, host:port of a Ray head "
                "(its port is 6379 unless chosen), ray://host:port"
            )
        if self.kind == "inline":
            self._refuse_settings_of_ray()

    @property
    def needs(self) -> dict[str, float]:
        """The resources that Ray reserves for one worker."""
        needs = {"CPU": self.cpus_per_worker, "GPU": self.gpus_per_worker}
        return {name: number for name, number in needs.items() if number}

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> "WorkerProfile":
        """Build from the JSON or TOML form; an unknown key is named."""
        known = [field.name for field in fields(cls)]
        for key in record:
            if key not in known:
                raise SpecError(
                    f"{key} is not a setting of workers{did_you_mean(key, known)}; "
                    f"known: {', '.join(known)}"
                )
        return cls(**record)

    def _check_integer(self, key: str, also: str = "") -> None:
        value = getattr(self, key)
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 10_000:
            raise SpecError(
                f"{key} = {value!r}; needed: a whole number from 1 to 10000{' ' * bool(also)}{also}"
            )

    def _check_number(self, key: str, *, zero_is_allowed: bool = False) -> None:
        value = getattr(self, key)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (is_number and isfinite(value) and (value > 0 or (value == 0 and zero_is_allowed))):
            raise SpecError(
                f"{key} = {value!r}; needed: a number {'from' if zero_is_allowed else 'above'} 0"
            )

    def _refuse_settings_of_ray(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in _RAY_ONLY and value != field.default:
                raise SpecError(
                    f"{field.name} = {value!r} is only read by kind = 'ray'; "
                    "leave it out, or set kind = 'ray'"
                )


def load_profile(name_or_path: str | Path | WorkerProfile) -> WorkerProfile:
    """Read a shipped profile by name, or your own by a path ending in ``.toml``.

    A profile is returned as it is.
    """
    if isinstance(name_or_path, WorkerProfile):
        return name_or_path
    text = shipped.read("workers", name_or_path)
    try:
        return WorkerProfile.from_dict(shipped.parse_toml(text))
    except SpecError as error:
        raise SpecError(f"{name_or_path}: {error}") from error
