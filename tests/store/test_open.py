import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from spikenas.exceptions import StoreError, UsageError
from spikenas.store import Store
from spikenas.store.connection import Database, parse_url
from spikenas.store.migrations import HEAD, KNOWN, VERSION_TABLE
from spikenas.store.schema import metadata

RACE = """
import sys, time
from pathlib import Path
from spikenas.store import Store

failures = []
me, num_processes, folder, *urls = sys.argv[1:]
for round, url in enumerate(urls):
    Path(folder, f"{round}-{me}").touch()
    while len(list(Path(folder).glob(f"{round}-*"))) < int(num_processes):
        time.sleep(0.001)
    try:
        Store.open(url).close()
    except Exception as error:  # the others wait for this one in the next round
        failures.append(f"{type(error).__name__}: {error}")
sys.exit("\\n".join(failures) or 0)
"""


@pytest.fixture
def url(empty_url):
    return empty_url


def _tables(url: str) -> list[str]:
    database = Database(url)
    with database.reading() as connection:
        tables = sorted(inspect(connection).get_table_names())
    database.close()
    return tables


def _execute(url: str, *statements: str) -> None:
    database = Database(url)
    with database.writing() as connection:
        for statement in statements:
            connection.execute(text(statement))
    database.close()


def test_a_new_database_gets_its_tables_by_being_opened(url):
    Store.open(url).close()

    assert _tables(url) == sorted([*metadata.tables, VERSION_TABLE])


def test_a_database_opened_again_still_holds_its_runs(url):
    with Store.open(url) as store:
        store.begin_run("a", settings={}, space_toml="", seed=0, objectives=["accuracy"])

    with Store.open(url, create=False) as store:
        names = [run.name for run in store.runs()]

    assert names == ["a"]


def test_the_migrations_make_the_tables_that_the_schema_describes(url):
    Store.open(url).close()
    database = Database(url)

    with database.reading() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": VERSION_TABLE, "compare_type": True}
        )
        differences = compare_metadata(context, metadata)
    database.close()

    assert differences == []


def test_the_newest_migration_is_the_schema_that_is_asked_for():
    config = Config()
    config.set_main_option("script_location", "spikenas.store:migrations")
    config.set_main_option("path_separator", "os")
    script = ScriptDirectory.from_config(config)

    revisions = [revision.revision for revision in script.walk_revisions()]

    assert script.get_heads() == [HEAD]
    assert tuple(reversed(revisions)) == KNOWN


def _as_in_revision_1(url):
    _execute(
        url,
        "DROP INDEX ix_evaluations_front",
        "DROP TABLE store",
        "ALTER TABLE runs DROP COLUMN generation",
        "ALTER TABLE evaluations DROP COLUMN generation",
        "UPDATE spikenas_version SET version_num='0001'",
    )


def test_an_older_schema_is_brought_up_to_date_and_keeps_its_runs(url):
    with Store.open(url) as store:
        store.begin_run("a", settings={}, space_toml="", seed=0, objectives=["accuracy"])
    _as_in_revision_1(url)

    with Store.open(url, create=False) as store:
        names, generation = [run.name for run in store.runs()], store.run("a").generation

    assert (names, generation) == (["a"], 1)
    Store.open(url).close()


def test_an_older_database_is_copied_before_it_is_changed(tmp_path):
    url = f"sqlite:///{tmp_path}/runs.db"
    Store.open(url).close()
    _as_in_revision_1(url)

    Store.open(url).close()

    with sqlite3.connect(tmp_path / "runs.db.of-revision-0001") as copy:
        assert copy.execute("SELECT version_num FROM spikenas_version").fetchone() == ("0001",)


def test_a_newer_schema_is_refused_and_left_alone(url):
    Store.open(url).close()
    _execute(url, "UPDATE spikenas_version SET version_num = '9999'")

    with pytest.raises(StoreError, match=r"newer spikenas \(revision 9999.*upgrade spikenas"):
        Store.open(url)


def test_the_database_of_another_program_is_refused_and_left_alone(url):
    if url.startswith("sqlite"):
        Path(url.removeprefix("sqlite:///")).touch()
    _execute(url, "CREATE TABLE studies (id INTEGER)", "CREATE TABLE alembic_version (v TEXT)")

    for create in (True, False):
        with pytest.raises(StoreError, match=r"another program.*alembic_version, studies.*--store"):
            Store.open(url, create=create)

    assert _tables(url) == ["alembic_version", "studies"]


def test_an_empty_database_is_left_empty_where_nothing_may_be_created(url):
    if url.startswith("sqlite"):
        Path(url.removeprefix("sqlite:///")).touch()

    with pytest.raises(StoreError, match="holds no runs yet; start one with `spikenas search`"):
        Store.open(url, create=False)

    assert _tables(url) == []


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_processes_that_open_a_new_database_at_once_all_succeed(kind, tmp_path, request):
    processes, rounds = 4, 5
    if kind == "sqlite":
        urls = [f"sqlite:///{tmp_path}/{i}.db" for i in range(rounds)]
    else:
        server = request.getfixturevalue("postgresql")
        urls = [server.new_database() for _ in range(rounds)]
    barrier = tmp_path / "barrier"
    barrier.mkdir()

    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACE, str(i), str(processes), str(barrier), *urls],
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in range(processes)
    ]
    errors = [racer.communicate(timeout=120)[1] for racer in racers]

    assert [racer.returncode for racer in racers] == [0] * processes, errors
    for url in urls:
        assert _tables(url) == sorted([*metadata.tables, VERSION_TABLE])


def test_a_missing_file_is_not_created_where_it_should_be_read(tmp_path):
    path = tmp_path / "runs.db"

    with pytest.raises(StoreError, match=r"runs\.db does not exist; start a run"):
        Store.open(f"sqlite:///{path}", create=False)

    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(StoreError, match=r"there is no folder .*/no/such; make it"):
        Store.open(f"sqlite:///{tmp_path}/no/such/runs.db")


def test_a_folder_in_place_of_a_file_is_named(tmp_path):
    with pytest.raises(StoreError, match="is a folder; needed: the path of a file"):
        Store.open(f"sqlite:///{tmp_path}")


def test_a_place_that_cannot_be_written_is_named():
    if not Path("/proc/self").exists():
        pytest.skip("needs a folder that even root cannot write: /proc")

    with pytest.raises(StoreError, match=r"cannot be created: .*; name a writable place"):
        Store.open("sqlite:////proc/runs.db")


@pytest.mark.parametrize(
    "content", [b"hello, this is text\n" * 100, b"SQLite format 3\0" + b"?" * 99]
)
def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path, content):
    path = tmp_path / "notes.txt"
    path.write_bytes(content)

    with pytest.raises(StoreError, match=r"notes\.txt: .*not a database.*another file"):
        Store.open(f"sqlite:///{path}")

    assert path.read_bytes() == content


def test_the_file_is_for_its_owner_alone(tmp_path):
    before = os.umask(0)
    try:
        with Store.open(f"sqlite:///{tmp_path}/runs.db") as store:
            store.begin_run("a", settings={}, space_toml="", seed=0, objectives=["accuracy"])
            modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.glob("runs.db*")}
    finally:
        os.umask(before)

    assert modes == {0o600}


def test_sqlite_writes_ahead_so_that_readers_never_wait(tmp_path):
    Store.open(f"sqlite:///{tmp_path}/runs.db").close()

    connection = sqlite3.connect(tmp_path / "runs.db")
    mode = connection.execute("PRAGMA journal_mode").fetchone()
    connection.close()

    assert mode == ("wal",)


def test_a_reader_does_not_wait_for_a_writer(store, url):
    reader = Store.open(url)

    with store._database.writing() as connection:
        connection.execute(text("DELETE FROM runs"))
        runs = reader.runs()
    reader.close()

    assert runs == []


def test_without_a_url_the_environment_names_the_store(tmp_path, monkeypatch):
    monkeypatch.setenv("SPIKENAS_STORE", f"sqlite:///{tmp_path}/mine.db")

    Store.open().close()

    assert (tmp_path / "mine.db").exists()


def test_without_a_url_and_environment_the_store_lies_here(tmp_path, monkeypatch):
    monkeypatch.delenv("SPIKENAS_STORE", raising=False)
    monkeypatch.chdir(tmp_path)

    with Store.open() as store:
        folder = store.artifact_folder

    assert (tmp_path / "spikenas.db").exists()
    assert folder == tmp_path / "spikenas-artifacts"


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("mysql://root@host/db", "begins with 'mysql'"),
        ("runs.db", "'runs.db' cannot be read; needed: sqlite:///runs.db"),
        ("mine.db", "did you mean sqlite:///mine.db"),
        ("sqlite://", "names no plain file"),
        ("sqlite:///:memory:", "names no plain file"),
        ("postgresql://host:port/db", "cannot be read"),
    ],
)
def test_a_url_that_means_nothing_is_wrong_usage(url, complaint):
    with pytest.raises(UsageError, match=complaint):
        Store.open(url)


def test_an_unreadable_url_does_not_show_its_password():
    with pytest.raises(UsageError) as error:
        Store.open("postgresql//me:s3cret@host/db")

    assert "s3cret" not in str(error.value)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
@pytest.mark.parametrize(
    ("written", "password"),
    [
        ("plain", "plain"),
        ("a{b}c", "a{b}c"),
        ("100%", "100%"),
        ("p%40ss%2Fw", "p@ss/w"),
        ("p@ss", "p@ss"),
        ("p@s{s}%@", "p@s{s}%@"),
    ],
)
def test_a_password_is_read_as_it_was_meant(scheme, written, password):
    url = parse_url(f"{scheme}://me:{written}@host:5433/db?sslmode=require")

    assert (url.username, url.password, url.host, url.port) == (
        "me",
        password,
        "host",
        5433,
    )
    assert (url.database, url.query) == ("db", {"sslmode": "require"})
    assert url.drivername == "postgresql+psycopg"


def test_a_password_given_as_an_option_is_hidden_too():
    database = Database("postgresql://me@host/db?password=s3cret")

    assert "s3cret" not in f"{database.url} {database!r}"


def test_a_missing_driver_is_named_with_the_extra_that_brings_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)  # as if it were not installed

    with pytest.raises(UsageError, match=r"needs psycopg.*pip install 'spikenas\[postgresql\]'"):
        Store.open("postgresql://me@host/db")


def test_a_refused_login_shows_no_password(postgresql):
    url = postgresql.url("postgres", password="wr0ng{%@")

    with pytest.raises(StoreError, match=r"authentication failed.*correct user and password") as e:
        Store.open(url)

    assert "wr0ng" not in f"{e.value} {e.value!r} {e.value.__cause__!r}"


def test_a_server_that_does_not_answer_is_named_without_its_password():
    with pytest.raises(StoreError, match=r"@127\.0\.0\.1:1/db: .*see that the server runs") as e:
        Store.open("postgresql://me:s3cret@127.0.0.1:1/db")

    assert "s3cret" not in f"{e.value} {e.value!r} {e.value.__cause__!r}"


def test_a_database_that_does_not_exist_is_named(postgresql):
    with pytest.raises(StoreError, match=r'"nowhere" does not exist; create it with createdb'):
        Store.open(postgresql.url("nowhere"))


def test_a_store_shows_itself_without_the_password(store):
    assert "s3cr" not in f"{store!r} {store} {store.url}"


def test_servers_on_one_host_have_a_folder_each():
    urls = [f"postgresql://me@host{port}/runs" for port in ("", ":5432", ":5433")]

    assert [Database(url).name for url in urls] == ["host-runs", "host-runs", "host-5433-runs"]


@pytest.mark.parametrize("revision", ["0000", "", "garbage", "99x"])
def test_a_revision_that_is_none_is_unknown_and_not_newer(url, revision):
    Store.open(url).close()
    _execute(url, f"UPDATE {VERSION_TABLE} SET version_num = '{revision}'")  # noqa: S608  (ours)

    with pytest.raises(StoreError, match="unknown revision"):
        Store.open(url)


@pytest.mark.parametrize("is_closed", [True, False])
def test_a_store_on_a_read_only_file_system_is_read(tmp_path, is_closed):
    writable, mounted = tmp_path / "writable", tmp_path / "mounted"
    writable.mkdir()
    mounted.mkdir()
    store = Store.open(f"sqlite:///{writable}/runs.db")
    writer = store.begin_run("a", settings={}, space_toml="", seed=0, objectives=["accuracy"])
    if is_closed:
        writer.finish("finished")
        store.close()
    for command in (["--bind", writable, mounted], ["-o", "remount,bind,ro", mounted]):
        if subprocess.run(["mount", *command], check=False, capture_output=True).returncode:
            pytest.skip("only root may mount")
    try:
        with Store.open(f"sqlite:///{mounted}/runs.db", create=False) as read:
            assert [run.name for run in read.runs()] == ["a"]
            assert read.run("a").candidates() == []
    finally:
        # Lazily: SQLite keeps the file open while the store in this process has locks on it.
        subprocess.run(["umount", "--lazy", mounted], check=True)
        store.close()


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("sqlite:////x/a%20b.db", "/x/a b.db"),
        ("sqlite:////x/a#b.db", "/x/a#b.db"),
        ("sqlite:////x/a%3Fb.db", "/x/a?b.db"),
        ("postgresql://u:p#w@h/d", "p#w"),
        ("postgresql://u:p/w@h/d", "p/w"),
        ("postgresql://u:a@b?c@h/d", "a@b?c"),
        ("postgresql://u:p@h/d?password=a@b", "a@b"),
    ],
)
def test_a_url_is_opened_as_it_is_meant(text, meant):
    url = parse_url(text)

    assert meant in (url.database, url.password)
    assert url.host in (None, "h")


@pytest.mark.parametrize("text", ["sqlite:///a?b.db", "sqlite:///caf\udce9.db"])
def test_a_url_that_could_mean_another_file_is_refused(text):
    with pytest.raises(UsageError, match=r"rename the file|write %3F"):
        parse_url(text)


def test_a_folder_whose_name_is_not_utf_8_is_refused(tmp_path, monkeypatch):
    folder = tmp_path / os.fsdecode(b"d\xe9")
    folder.mkdir()
    monkeypatch.chdir(folder)

    with pytest.raises(UsageError, match=r"d\\xe9.*--store"):
        Store.open()
