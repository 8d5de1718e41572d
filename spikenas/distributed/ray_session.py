"""`RaySession`: the Ray of this process, which is started or joined here, or by the caller.

A thread starts or joins it while the driver does something else. The thread lives as long as the
session, because Linux kills Ray's processes when the *thread* that started them ends
(PR_SET_PDEATHSIG); this also cleans up after the death of a driver.
"""

import logging
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import ray
from ray._private import services
from ray._private import worker as ray_driver
from ray._raylet import Config  # type: ignore[attr-defined]  # compiled, without types
from ray.job_config import JobConfig

from spikenas.distributed import address as ray_address
from spikenas.distributed.ray_folder import find_ray_folder
from spikenas.exceptions import ClusterError
from spikenas.worker_profile import WorkerProfile

_OBJECT_STORE_BYTES = 512 * 2**20  # mapped when used; what does not fit is spilled to disk
_HEAD_S = 5.0  # between checks of the head, which is given up after three times that
_CLOSE_S = 10.0
_log = logging.getLogger(__name__)


class RaySession:
    """The connection to Ray, from start to shutdown.

    Args:
        profile: what to start or join.
        on_up: called once, in the session's thread, with the number of workers to create.

    Raises ClusterError if no Ray answers at the profile's address, or if there is no folder in
    which Ray could be started.
    """

    def __init__(self, profile: WorkerProfile, on_up: Callable[[int], None]) -> None:
        self._profile = profile
        self._on_up = on_up
        self._born = self._head_asked = self._head_seen = time.monotonic()
        self._is_ours = not ray.is_initialized()
        self._address = _resolved(profile.address) if self._is_ours else "of this process"
        self._folder = find_ray_folder() if self._address == "local" else None
        self._head: str | None = None
        self._error: ClusterError | None = None
        self._workers: set[int] = set()
        self._is_rearmed = False
        self._up, self._closing = threading.Event(), threading.Event()
        threading.Thread(target=self._live, name="spikenas-ray", daemon=True).start()
        if self._address != "local":
            self.wait()

    @property
    def is_up(self) -> bool:
        """Whether Ray is running and workers were requested."""
        return self._up.is_set() and self._error is None

    def wait(self, timeout_s: float = math.inf) -> bool:
        """Wait until Ray is up, and return whether it is; ClusterError if it failed to start."""
        left = max(0.0, self._born + self._profile.startup_timeout_s - time.monotonic())
        if not self._up.wait(min(timeout_s, left)):
            if timeout_s < left:
                return False
            raise ClusterError(
                f"Ray ({self._address}) was not up within startup_timeout_s = "
                f"{self._profile.startup_timeout_s:g}; give it longer in the worker profile"
            )
        if self._error is not None:
            raise self._error
        self._rearm_sigterm()
        return True

    def note_worker(self, process: int) -> None:
        """Remember a worker process, which is killed if it outlives a Ray that was started here."""
        if self._address == "local":
            self._workers.add(process)

    def check_head(self) -> None:
        """Raise ClusterError if the head has not answered for a while.

        Otherwise Ray would end this process with a stack trace after a minute.
        """
        now = time.monotonic()
        if self._head is None or now - self._head_asked < _HEAD_S:
            return
        self._head_asked = now
        try:
            ray_address.require_cluster(self._head)
            self._head_seen = now
        except ClusterError:
            if now - self._head_seen > 3 * _HEAD_S:
                raise

    def close(self) -> None:
        """Disconnect, and shut Ray down if it was started here; a second call does nothing."""
        if self._closing.is_set():
            return
        self._up.wait(_CLOSE_S)  # a start cannot be interrupted; if it hangs, it ends with us
        if self._up.is_set() and self._is_ours:
            ray.shutdown()
            _end(self._workers)
        self._closing.set()

    def _live(self) -> None:
        try:
            if self._is_ours:
                # Ray prints the death of a worker to stdout, which is for data.
                ray_driver.print_to_stdstream = _log_lines
            if self._address == "local":
                self._start()
            elif self._is_ours:
                self._join()
            if not self._address.startswith("ray://"):
                self._head = ray.get_runtime_context().gcs_address
            self._on_up(self._count())
        except ClusterError as error:
            self._error = error
        except Exception as error:  # the driver raises it in its own thread
            self._error = ClusterError(_reason(error, self._address))
            self._error.__cause__ = error
        self._up.set()
        self._closing.wait()

    def _start(self) -> None:
        ray_address.provide_token()
        number, cpus = self._profile.num_workers, self._profile.cpus_per_worker
        # Ray creates and requires a token, unless the user has set another mode.
        ray.init(
            address="local",
            num_cpus=None if number == "auto" else math.ceil(number * cpus),
            include_dashboard=False,
            object_store_memory=_OBJECT_STORE_BYTES,
            log_to_driver=False,
            logging_level=logging.ERROR,
            _node_ip_address="127.0.0.1",
            _temp_dir=str(self._folder),
            job_config=_job_config(self._address),
        )
        ray_address.protect_token()

    def _join(self) -> None:
        needs_token = ray_address.require_cluster(self._address)
        if ray_address.settle_authentication(self._address, needs_token=needs_token):
            os.environ["RAY_AUTH_MODE"] = "token"  # as Ray does if it finds the address itself
            Config.initialize("")
        elif not needs_token:
            _log.warning(
                "the Ray cluster at %s asks for no token: whoever can connect to it can run code "
                "on its nodes. See `ray get-auth-token --generate`",
                self._address,
            )
        with _environment("RAY_gcs_server_port_wait_time_s", "3"):  # else it asks for 20 s
            ray.init(
                address=self._address,
                log_to_driver=False,
                logging_level=logging.ERROR,
                job_config=_job_config(self._address),
            )

    def _count(self) -> int:
        """Return the number of workers; ClusterError if not even one fits."""
        has = _resources()
        fitting = min(int(has[name] / need + 1e-6) for name, need in self._profile.needs.items())
        if fitting < 1 and (self._address == "local" or self._profile.num_workers == "auto"):
            raise ClusterError(
                f"Ray ({self._address}) cannot hold one worker: it needs "
                f"{amounts(self._profile.needs)}, but there is {amounts(has)}. "
                "Change cpus_per_worker or gpus_per_worker in the worker profile"
            )
        return fitting if self._profile.num_workers == "auto" else self._profile.num_workers

    def _rearm_sigterm(self) -> None:
        """Restore Python's handler of SIGTERM, as Ray's prints a stack trace first."""
        if not self._is_rearmed and threading.current_thread() is threading.main_thread():
            self._is_rearmed = True
            signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM))


class _NoFolders(list[str]):
    """The folders that Ray puts first on the ``sys.path`` of workers, without any.

    Ray would add the working folder and that of the script, in which a json.py would shadow the
    standard module. `Worker` appends them instead.
    """

    def extend(self, _: object) -> None:
        """Add nothing."""


def _job_config(address: str) -> JobConfig:
    config = JobConfig()
    if not address.startswith("ray://"):  # a Ray client server adds none, nor has our class
        config._py_driver_sys_path = _NoFolders()
    return config


def free_resources() -> str:
    """Return the free resources of all live nodes: ``1 of 2 CPU, 0 of 0 GPU``."""
    free = ray.available_resources()  # type: ignore[no-untyped-call]
    has = _resources()
    return ", ".join(
        f"{free.get(name, 0):.15g} of {total:.15g} {name}" for name, total in has.items()
    )


def amounts(resources: dict[str, float]) -> str:
    """Return resources as text: ``1 CPU, 0.25 GPU``."""
    return ", ".join(f"{number:.15g} {name}" for name, number in resources.items())


def _resources() -> dict[str, float]:
    has = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return {name: float(has.get(name, 0)) for name in ("CPU", "GPU")}


def _resolved(address: str) -> str:
    """Return the address to join, with ``auto`` replaced."""
    if address != "auto":
        return address
    try:
        found = os.environ.get("RAY_ADDRESS") or services.canonicalize_bootstrap_address("auto")
    except ConnectionError as error:
        raise ClusterError(
            "address = 'auto', but RAY_ADDRESS is not set and no Ray runs on this machine; "
            "set it to host:port of the head, or start one with `ray start --head`"
        ) from error
    assert found is not None
    return found


def _log_lines(data: dict[str, Any], ignore_prefix: bool) -> None:
    _log.debug("\n".join(data["lines"]))


def _reason(error: Exception, address: str) -> str:
    if "uthentication" in f"{error} {error.__cause__}":
        return f"the Ray cluster at {address} has another token than this machine"
    return f"Ray ({address}) cannot be {'started' if address == 'local' else 'joined'}: {error}"


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]
        if before is not None:
            os.environ[name] = before


def _end(workers: set[int]) -> None:
    """Kill the workers that are still alive after Ray has shut down, such as stopped ones."""
    for _ in range(20):
        workers = {process for process in workers if _is_worker(process)}
        if not workers:
            return
        time.sleep(0.1)
    for process in workers:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def _is_worker(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().startswith(b"ray::")
    except OSError:
        return False
