"""A Ray that the pool starts itself: what it prints, what it leaves, how it meets signals.

Each test runs a driver of its own. All processes of it, Ray's too, carry a mark in their
environment, by which they are found.
"""

import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc"),
]
AGENTS = ("ray::DashboardAgent", "ray::RuntimeEnvAgent")  # idle; they take their time to end


class Driver:
    """A driver process in a process group of its own, as a shell would start it."""

    def __init__(self, *job_ids, **environment):
        self._mark = f"SPIKENAS_TEST_MARK={uuid.uuid4()}"
        name, _, value = self._mark.partition("=")
        self.process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("ray_driver.py"), *job_ids],
            env={**os.environ, name: value, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )

    def finish(self):
        """Return the lines printed and the text on stderr once it has ended."""
        out, err = self.process.communicate(timeout=120)
        return out.splitlines(), err

    def left_behind(self, patience_s):
        """Return the names of its processes that still run after so many seconds."""
        for _ in range(int(patience_s * 10)):
            if not self._alive():
                return []
            time.sleep(0.1)
        return self._alive()

    def _alive(self):
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if self._mark.encode() in (folder / "environ").read_bytes().split(b"\0"):
                    found.append((folder / "cmdline").read_text().replace("\0", " ").strip())
            except OSError:  # ended meanwhile, or another user's
                continue
        return [name for name in found if name not in ("", *AGENTS)]


def _wait_for(path):
    while not path.exists():
        time.sleep(0.05)


def test_a_search_prints_no_warning_and_leaves_no_process():
    driver = Driver("quick:1", "exit:1", "quick:2")

    out, err = driver.finish()

    assert sorted(out) == ["closed", "complete", "complete", "lost"]
    assert err == ""
    assert driver.process.returncode == 0
    assert driver.left_behind(patience_s=10) == []


def test_ctrl_c_reaches_the_driver_and_lets_the_jobs_end(tmp_path):
    driver = Driver(f"wait:{tmp_path / 'job'}")
    _wait_for(tmp_path / "job")

    os.killpg(driver.process.pid, signal.SIGINT)
    out, err = driver.finish()

    assert out == ["interrupted", "complete", "closed"]
    assert err == ""
    assert driver.left_behind(patience_s=10) == []


def test_sigterm_at_work_ends_everything_without_a_stack_trace(tmp_path):
    driver = Driver(f"wait:{tmp_path / 'job'}", "hang_in_c:1")
    _wait_for(tmp_path / "job")

    driver.process.terminate()
    out, err = driver.finish()

    assert out == []
    assert err == ""
    assert driver.process.returncode == 143
    assert driver.left_behind(patience_s=10) == []


def test_a_killed_driver_takes_its_workers_along(tmp_path):
    driver = Driver(f"wait:{tmp_path / 'job'}")
    _wait_for(tmp_path / "job")

    driver.process.kill()
    driver.finish()

    assert driver.left_behind(patience_s=30) == []


HEAD = """
import sys
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
sys.stdout.write(f"{cluster.address}\\n")
sys.stdout.flush()
sys.stdin.read()
cluster.shutdown()
"""


@pytest.mark.parametrize("mode", ["disabled", "token"])
def test_a_driver_joins_a_cluster_with_its_token_if_asked_and_leaves_it_up(mode, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_TOKEN", "6" * 64)
    monkeypatch.setenv("RAY_AUTH_MODE", mode)
    head = subprocess.Popen(
        [sys.executable, "-c", HEAD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    address = head.stdout.readline().strip()
    monkeypatch.delenv("RAY_AUTH_MODE")

    first, err = Driver("quick:1", "exit:1", RAY_ADDRESS=address).finish()
    second, _ = Driver("quick:1", RAY_ADDRESS=address).finish()
    head.communicate("")

    assert sorted(first) == ["closed", "complete", "lost"]
    assert second == ["complete", "closed"]
    assert ("asks for no token" in err) == (mode == "disabled")
    assert len(err.splitlines()) == (mode == "disabled")
