"""Stores to test against: SQLite in a file, and a real PostgreSQL started in a temporary folder."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from spikenas.architecture import Architecture, InputSpec, Stage
from spikenas.evaluation import Evaluation, State
from spikenas.store import Store
from spikenas.store.schema import metadata
from spikenas.workload import Kind, Operand, Operation, Signal, Workload

PASSWORD = "s3cr{et}%40@:/"  # all that URLs and format strings trip over
_numbers = count()


@dataclass(frozen=True)
class Server:
    """A PostgreSQL server of its own for the tests."""

    port: int

    def new_database(self) -> str:
        name = f"t{next(_numbers)}"
        with psycopg.connect(self._dsn("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def copied_database(self, url: str) -> str:
        """Return the URL of a copy, as a dump that was restored under another name."""
        name = f"t{next(_numbers)}"
        with psycopg.connect(self._dsn("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {url.rpartition('/')[2]}")
        return self.url(name)

    def emptied_database(self, name: str) -> str:
        """Return the URL of a shared database without runs, much faster than a new one."""
        with psycopg.connect(self._dsn(name)) as connection:
            emptied = [table for table in metadata.tables if table != "store"]
            connection.execute(f"TRUNCATE {', '.join(emptied)} RESTART IDENTITY")
            connection.execute("UPDATE store SET artifact_folder = NULL")
        return self.url(name)

    def url(self, name: str, password: str = PASSWORD) -> str:
        return f"postgresql://admin:{quote(password, safe='')}@127.0.0.1:{self.port}/{name}"

    def _dsn(self, name: str) -> str:
        return psycopg.conninfo.make_conninfo(
            host="127.0.0.1", port=self.port, user="admin", password=PASSWORD, dbname=name
        )

    def wait(self, process: "subprocess.Popen[bytes]") -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                psycopg.connect(self._dsn("postgres")).close()
                return
            except psycopg.OperationalError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    binaries = _postgresql_binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL here: initdb is neither on PATH nor in /usr/lib/postgresql")
    folder = Path(tempfile.mkdtemp(prefix="spikenas-postgresql-"))
    as_user = _as_user(folder)
    secret = folder / "password"
    secret.write_text(PASSWORD)
    secret.chmod(0o644)
    options = ["--username=admin", f"--pwfile={secret}", "--auth=scram-sha-256", "--no-sync"]
    subprocess.run(
        [binaries / "initdb", "-D", folder / "data", "--no-locale", "-E", "UTF8", *options],
        check=True,
        capture_output=True,
        cwd=folder,
        **as_user,
    )
    server = Server(port=_free_port())
    settings = ["fsync=off", f"unix_socket_directories={folder}", "listen_addresses=127.0.0.1"]
    process = subprocess.Popen(
        [
            *(binaries / "postgres", "-D", folder / "data", "-p", str(server.port)),
            *(argument for setting in settings for argument in ("-c", setting)),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=folder,
        **as_user,
    )
    try:
        server.wait(process)
        yield server
    finally:
        process.send_signal(signal.SIGQUIT)  # at once; its folder goes too
        process.wait(30)
        shutil.rmtree(folder)


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database that holds nothing yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/runs.db"
    server: Server = request.getfixturevalue("postgresql")
    return server.new_database()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "runs.db"
    Store.open(f"sqlite:///{path}").close()
    return path


@pytest.fixture(scope="session")
def postgresql_shared(postgresql: Server) -> str:
    url = postgresql.new_database()
    Store.open(url).close()
    return url.rpartition("/")[2]


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database with tables and no runs; migrating each anew would take minutes."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "runs.db")
        return f"sqlite:///{tmp_path}/runs.db"
    server: Server = request.getfixturevalue("postgresql")
    return server.emptied_database(request.getfixturevalue("postgresql_shared"))


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with Store.open(url) as store:
        yield store


@pytest.fixture
def begin(store: Store) -> Callable[..., object]:
    """Begin a run of two objectives."""

    def begin(name: str | None = None, **changes: object) -> object:
        defaults = {
            "settings": {"data": {"name": "digits"}},
            "space_toml": "[choices]\n",
            "seed": 7,
            "objectives": ("accuracy", "energy_uj"),
        }
        return store.begin_run(name, **(defaults | changes))

    return begin


@pytest.fixture(scope="session")
def architecture() -> Callable[..., Architecture]:
    """Build a small architecture; other genes make another key."""

    def architecture(**genes: object) -> Architecture:
        stage = Stage(embed_dim=16, depth=1, mixer=("ssa",), num_heads=2, mlp_ratio=2.0)
        small = {
            "input": InputSpec(channels=1, height=8, width=8),
            "num_classes": 10,
            "num_steps": 4,
            "neuron": "lif",
            "residual": "spike",
            "stem": "sps",
            "patch_size": 2,
            "stages": (stage,),
        }
        return Architecture(**(small | genes))

    return architecture


@pytest.fixture(scope="session")
def evaluation() -> Callable[..., Evaluation]:
    """Build the evaluation of a network of four steps and two operations."""

    def evaluation(**figures: object) -> Evaluation:
        image = Operand(source="input", shape=(1, 8, 8), signal=Signal.ANALOG, spike_rate=1.0)
        spikes = Operand(source="stem", shape=(16, 64), signal=Signal.SPIKES, spike_rate=0.25)
        conv = Operation(
            name="stem.conv",
            kind=Kind.CONV,
            inputs=(image,),
            output_shape=(16, 8, 8),
            signal=Signal.MEMBRANE,
            macs=9216,
            steps=4,
            weights=144,
            attributes={"kernel": 3, "padding": "same"},
        )
        linear = Operation(
            name="head.linear",
            kind=Kind.LINEAR,
            inputs=(spikes,),
            output_shape=(10,),
            signal=Signal.MEMBRANE,
            macs=160,
            steps=4,
            weights=160,
            biases=10,
            spike_rate=0.5,
        )
        found = {
            "accuracy": 0.9,
            "energy_uj": 2.5,
            "energy_model": "cmos45",
            "energy_variants_uj": {"first_layer=once,count_nonbinary_as=mac": 2.5},
            "spike_rate": 0.25,
            "synops": 160.0,
            "macs": 37504,
            "parameters": 314,
            "latency_steps": 4,
            "fidelity": 8,
            "seed": 7,
            "train_seconds": 1.5,
            "wall_seconds": 2.0,
            "history": ({"epoch": 1, "loss": 2.25},),
            "versions": {"spikenas": "0.1.0"},
            "workload": Workload(operations=(conv, linear), num_steps=4, parameters=314),
        }
        return Evaluation(**(found | figures))

    return evaluation


@pytest.fixture(scope="session")
def train(architecture, evaluation) -> Callable[..., int]:
    """Add a candidate of T = ``num_steps`` and record it as complete; return its row."""

    def train(writer, number: int, *, num_steps: int | None = None, **figures: object) -> int:
        drawn = architecture(num_steps=num_steps or number + 1)
        row = writer.add(
            number, drawn, {}, state=State.QUEUED, margins={}, reuse_key=f"key-{drawn.key}"
        )
        writer.start(row)
        writer.record(row, state=State.COMPLETE, evaluation=evaluation(**figures))
        return row

    return train


def _postgresql_binaries() -> Path | None:
    on_path = shutil.which("initdb")
    found = [Path(on_path).resolve().parent] if on_path else []
    installed = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    found += sorted((path.parent for path in installed), key=lambda p: p.parent.name, reverse=True)
    return next((folder for folder in found if (folder / "postgres").exists()), None)


def _as_user(folder: Path) -> dict[str, object]:
    """Return what makes a subprocess run as another user: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    names = {entry.pw_name for entry in pwd.getpwall()}
    user = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    os.chown(folder, user.pw_uid, user.pw_gid)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
