import gc
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import select, text

from spikenas.evaluation import State
from spikenas.exceptions import LeaseError, StoreError
from spikenas.store import Store, lease
from spikenas.store.lease import Holder
from spikenas.store.schema import metadata

DRIVER = """
import sys, time
from spikenas.architecture import Architecture
from spikenas.evaluation import State
from spikenas.store import Store

genes = {
    "input": {"channels": 1, "height": 8, "width": 8}, "num_classes": 10, "num_steps": 4,
    "neuron": "if", "residual": "none", "stem": "conv", "patch_size": 1,
    "stages": [{"embed_dim": 8, "depth": 1, "mixer": "conv"}],
}
store = Store.open(sys.argv[1])
writer = store.begin_run("killed", settings={}, space_toml="", seed=0, objectives=["accuracy"])
for number in (0, 1):
    row = writer.add(
        number, Architecture.from_dict({**genes, "num_steps": number + 1}), {"n": number},
        state=State.QUEUED, margins={}, reuse_key=str(number),
    )
writer.start(row, worker="w1")
print("driving", flush=True)
time.sleep(600)
"""


def _everything(store):
    with store._database.reading() as connection:
        return {
            name: [dict(row._mapping) for row in connection.execute(select(table))]
            for name, table in metadata.tables.items()
        }


def _change_lease(store, **columns):
    """Change the lease as only another host, or time, could."""
    with store._database.writing() as connection:
        connection.execute(metadata.tables["runs"].update().values(**columns))


def _expire(store):
    with store._database.writing() as connection:
        connection.execute(text("UPDATE runs SET lease_expires_at = '1970-01-02 00:00:00.000'"))


@pytest.fixture
def queue(architecture):
    """Add a candidate that waits for a worker."""

    def queue(writer, number=0):
        columns = {"state": State.QUEUED, "margins": {}, "reuse_key": f"key-{number}"}
        return writer.add(number, architecture(num_steps=number + 1), {}, **columns)

    return queue


@pytest.fixture
def writes(queue, evaluation):
    """Return every way to write."""

    def writes(writer, row):
        return [
            lambda: queue(writer, 9),
            lambda: writer.start(row),
            lambda: writer.record(row, state=State.COMPLETE, evaluation=evaluation()),
            lambda: writer.requeue(row),
            lambda: writer.record_test_accuracy(row, 0.5),
            lambda: writer.drop_artifact(row, "weights"),
            lambda: writer.finish("finished"),
        ]

    return writes


def test_a_run_has_one_driver(store, begin, url):
    begin("first")

    with Store.open(url) as second, pytest.raises(LeaseError) as refused:
        second.resume_run("first")

    assert f"run 'first' is driven by process {os.getpid()} on" in str(refused.value)
    assert "stop it, or wait for it" in str(refused.value)


def test_a_driver_that_was_replaced_changes_nothing(store, begin, queue, writes):
    asleep = begin("first")
    row = queue(asleep)
    asleep.start(row)
    _expire(store)
    awake = store.resume_run("first")
    awake.start(row)
    before = _everything(store)

    for write in writes(asleep, row):
        with pytest.raises(LeaseError, match=r"was taken over by process .* writes no more"):
            write()
    after = _everything(store)
    awake.requeue(row)

    assert after == before
    assert store.run().counts()["queued"] == 1


def test_a_driver_that_outlived_its_lease_goes_on_if_nobody_took_over(store, begin, train):
    writer = begin("first")
    _expire(store)

    train(writer, 0)

    assert store.run().status == "running"


def test_the_lease_is_renewed_in_the_background(store, begin, monkeypatch):
    monkeypatch.setattr(lease, "RENEWAL_S", 0.05)
    begin("first")
    _expire(store)

    deadline = time.monotonic() + 20
    while store.run().status != "running" and time.monotonic() < deadline:
        time.sleep(0.02)

    assert store.run().status == "running"


def test_a_finished_run_is_free_and_its_writer_done(store, begin, train, writes):
    writer = begin("first")
    row = train(writer, 0)
    writer.finish("finished")
    before = _everything(store)

    for write in writes(writer, row):
        with pytest.raises(LeaseError, match="has ended as finished"):
            write()
    after = _everything(store)
    store.resume_run("first").finish("interrupted")

    assert after == before
    assert store.run().status == "interrupted"


def test_a_closed_store_writes_no_more(url, architecture):
    with Store.open(url) as store:
        writer = store.begin_run("a", settings={}, space_toml="", seed=0, objectives=["accuracy"])

    with pytest.raises(LeaseError):
        writer.add(0, architecture(), {}, state=State.QUEUED, margins={}, reuse_key="k")
    writer.run._database.close()


def test_a_forgotten_lease_is_renewed_no_more(store):
    held = lease.Lease(store._database, run=1, fence=1)
    threads = [thread for thread in threading.enumerate() if thread.name == "spikenas-lease"]

    del held
    gc.collect()
    for thread in threads:
        thread.join(20)

    assert threads
    assert not any(thread.is_alive() for thread in threads)


def test_a_run_of_a_killed_driver_is_resumed_at_once(store, url):
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, url], stdout=subprocess.PIPE, text=True
    )
    assert driver.stdout is not None
    assert driver.stdout.readline() == "driving\n"
    with pytest.raises(LeaseError, match=f"driven by process {driver.pid} on"):
        store.resume_run("killed")

    driver.send_signal(signal.SIGKILL)
    while lease._started(driver.pid):  # a zombie until it is waited for, further down
        time.sleep(0.01)
    writer = store.resume_run("killed")

    found = store.run().candidates()
    tried = store.run().attempts(found[1])
    assert [(c.number, c.state, c.choices) for c in found] == [
        (0, State.QUEUED, {"n": 0}),
        (1, State.QUEUED, {"n": 1}),
    ]
    assert [(t.worker, t.outcome) for t in tried] == [("w1", "interrupted")]
    assert tried[0].ended_at is not None
    assert writer.start(found[1].row) == 2
    driver.wait()
    driver.stdout.close()


def test_a_reused_process_id_does_not_keep_a_run(store, begin, url):
    begin("first")
    _change_lease(store, holder_started="before the machine was built")

    with Store.open(url) as second:
        second.resume_run("first").finish("finished")

    assert store.run().status == "finished"


def test_a_driver_on_another_host_keeps_its_run_until_the_lease_expires(store, begin, url):
    begin("first")
    _change_lease(store, holder_host="elsewhere", holder_pid=2**22 + 1)

    with Store.open(url) as second:
        with pytest.raises(LeaseError, match=r"process 4194305 on elsewhere, until \d\d:\d\d"):
            second.resume_run("first")
        _expire(store)
        second.resume_run("first").finish("finished")

    assert store.run().status == "finished"


def test_a_run_whose_driver_is_silent_shows_as_interrupted(store, begin):
    begin("first")
    status_before = store.run().status
    _expire(store)

    assert status_before == "running"
    assert (store.run().status, store.runs()[0].status) == ("interrupted", "interrupted")


def test_a_holder_is_gone_once_its_process_ended():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    holder = Holder(
        host=Holder.here().host, pid=process.pid, started=lease._started(process.pid) or ""
    )
    is_gone_before = holder.is_gone

    process.communicate()

    assert not is_gone_before
    assert holder.is_gone
    assert not Holder.here().is_gone


def test_a_process_is_known_by_ps_where_there_is_no_proc():
    if not Path("/bin/ps").exists() and not Path("/usr/bin/ps").exists():
        pytest.skip("there is no ps here")

    assert lease._started_by_ps(os.getpid())
    assert lease._started_by_ps(os.getpid()) == lease._started_by_ps(os.getpid())
    assert lease._started_by_ps(2**22 + 1) is None


def test_a_writer_that_meets_a_locked_file_says_so(tmp_path, monkeypatch, architecture):
    monkeypatch.setattr("spikenas.store.connection.BUSY_TIMEOUT_S", 0.1)
    url = f"sqlite:///{tmp_path}/runs.db"
    with Store.open(url) as store:
        writer = store.begin_run("a", settings={}, space_toml="", seed=0, objectives=["accuracy"])

        with (
            store._database.writing(),
            pytest.raises(StoreError, match=r"runs\.db: database is locked; another process held"),
        ):
            writer.add(0, architecture(), {}, state=State.QUEUED, margins={}, reuse_key="k")
