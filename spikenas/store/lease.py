"""The lease: a run has at most one live driver, and a replaced driver cannot write.

A driver holds a run for 15 s and renews that every 5 s, by the database's clock. Each driver of a
run has a larger fencing number than the one before. Every write first renews the lease under this
number, so a driver that was suspended past its lease cannot write after another one took over.
"""

import os
import socket
import subprocess
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

from sqlalchemy import Connection, Row, select, update

from spikenas.exceptions import LeaseError, NotFoundError, StoreError
from spikenas.store.clock import DatabaseTime
from spikenas.store.connection import Database
from spikenas.store.schema import runs

LEASE_S, RENEWAL_S = 15, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A process that drives a run; its start time tells it from a later one with the same id."""

    host: str
    pid: int
    started: str

    @classmethod
    def here(cls) -> "Holder":
        """Return this process."""
        return cls(host=_host(), pid=os.getpid(), started=_started(os.getpid()) or "")

    @property
    def is_gone(self) -> bool:
        """Whether the process was on this host and has ended."""
        return self.host == _host() and _started(self.pid) != self.started

    def columns(self) -> dict[str, object]:
        """Return the columns of ``runs`` that name the holder."""
        return {
            "holder_host": self.host,
            "holder_pid": self.pid,
            "holder_started": self.started,
            "lease_expires_at": DatabaseTime(seconds=LEASE_S),
        }


class Lease:
    """The lease of one driver on one run; a thread renews it until `release` or exit."""

    def __init__(self, database: Database, run: int, fence: int) -> None:
        self.fence = fence
        self._database, self._run = database, run
        self._released = Event()
        # The thread must not keep a forgotten lease alive.
        weakref.finalize(self, self._released.set)
        renewal = (database, run, fence, self._released)
        Thread(target=_renew, args=renewal, name="spikenas-lease", daemon=True).start()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Begin a write transaction; LeaseError if another driver has taken over."""
        with self._database.writing() as connection:
            if self._released.is_set() or not _extend(connection, self._run, self.fence):
                raise LeaseError(_replaced(connection, self._run))
            yield connection

    def release(self, status: str) -> None:
        """Release the run and set its final status."""
        with self.writing() as connection:
            connection.execute(
                update(runs)
                .where(runs.c.id == self._run)
                .values(
                    status=status,
                    ended_at=DatabaseTime(),
                    lease_expires_at=None,
                    fence=self.fence + 1,  # makes a concurrent renewal fail
                )
            )
        self.stop()

    def stop(self) -> None:
        """Stop renewing; later writes raise LeaseError."""
        self._released.set()


def take_over(connection: Connection, run: int) -> int:
    """Make this process the driver and return its fencing number; LeaseError if it has one."""
    found = connection.execute(
        select(runs, (runs.c.lease_expires_at > DatabaseTime()).label("is_live"))
        .where(runs.c.id == run)
        .with_for_update()
    ).one()
    holder = Holder(
        host=found.holder_host or "", pid=found.holder_pid or 0, started=found.holder_started or ""
    )
    if found.is_live and not holder.is_gone:
        raise LeaseError(
            f"run {found.name!r} is driven by {_named(found)}; stop it, or wait for it"
        )
    fence = int(found.fence) + 1
    connection.execute(
        update(runs)
        .where(runs.c.id == run)
        .values(fence=fence, status="running", ended_at=None, **Holder.here().columns())
    )
    return fence


def _extend(connection: Connection, run: int, fence: int) -> bool:
    extended = connection.execute(
        update(runs)
        .where(runs.c.id == run, runs.c.fence == fence)
        .values(lease_expires_at=DatabaseTime(seconds=LEASE_S))
    )
    return extended.rowcount == 1


def _renew(database: Database, run: int, fence: int, released: Event) -> None:
    held = True
    while held and not released.wait(RENEWAL_S):
        # Ignore an outage of the database: the next write notices a lost lease.
        with suppress(StoreError), database.writing() as connection:
            held = released.is_set() or _extend(connection, run, fence)


def _replaced(connection: Connection, run: int) -> str:
    found = connection.execute(select(runs).where(runs.c.id == run)).one_or_none()
    if found is None:
        raise NotFoundError("the run was deleted from the store while it was driven")
    if found.lease_expires_at is None:
        return f"run {found.name!r} has ended as {found.status}; `spikenas resume` continues it"
    return f"run {found.name!r} was taken over by {_named(found)}; this driver writes no more"


def _named(found: Row[tuple[object, ...]]) -> str:
    host = str(found.holder_host).partition(" ")[0]
    return f"process {found.holder_pid} on {host}, until {found.lease_expires_at:%H:%M:%S} UTC"


def _host() -> str:
    """Return the host name and, on Linux, its boot id and PID namespace.

    After a reboot, or in a container, the same name and process id can mean another process.
    """
    parts = [socket.gethostname() or "?"]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return " ".join(parts)


def _started(pid: int) -> str | None:
    """Return when a process of this host started; None if it has ended or is a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None if Path("/proc/self").exists() else _started_by_ps(pid)
    fields = stat.rpartition(")")[2].split()  # the name before it may hold spaces
    return None if fields[0] in "ZX" else fields[19]


def _started_by_ps(pid: int) -> str | None:
    shown = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.split(maxsplit=1)
    return None if len(shown) < 2 or shown[0].startswith("Z") else shown[1].strip()
