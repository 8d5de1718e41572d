import os
import socket
import threading
from collections.abc import Callable

import pytest

from spikenas.distributed import address, open_pool
from spikenas.exceptions import ClusterError
from spikenas.worker_profile import WorkerProfile

SETTINGS = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])  # what a server of HTTP/2 says first


@pytest.fixture
def listener():
    """Make a server on a free port that greets each caller with some bytes."""
    servers = []

    def listen(greeting: bytes) -> str:
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)

        def greet() -> None:
            while True:
                try:
                    caller, _ = server.accept()
                except OSError:  # closed by the test
                    return
                caller.sendall(greeting)
                threading.Timer(10, caller.close).start()

        threading.Thread(target=greet, daemon=True).start()
        return f"127.0.0.1:{server.getsockname()[1]}"

    yield listen
    for server in servers:
        server.shutdown(socket.SHUT_RDWR)
        server.close()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_a_closed_port_is_no_cluster():
    where = f"127.0.0.1:{_free_port()}"

    with pytest.raises(ClusterError, match=rf"no Ray cluster at {where}: .*ray start --head"):
        address.require_cluster(where)


def test_a_port_that_speaks_something_else_is_no_cluster(listener: Callable[[bytes], str]):
    where = listener(b"SSH-2.0-OpenSSH_9.2\r\n")

    with pytest.raises(ClusterError, match="something else listens"):
        address.require_cluster(where)


def test_a_port_that_stays_silent_is_no_cluster(listener, monkeypatch):
    monkeypatch.setattr(address, "_TIMEOUT_S", 0.3)
    where = listener(b"")

    with pytest.raises(ClusterError, match="timed out"):
        address.require_cluster(where)


@pytest.mark.parametrize(("state", "needs_token"), [(0, False), (16, True)])
def test_a_head_says_whether_it_asks_for_a_token(listener, state, needs_token):
    where = listener(SETTINGS + b"grpc-status" + f"{chr(len(str(state)))}{state}".encode())

    assert address.require_cluster(where) is needs_token


def test_another_server_of_ray_is_not_the_head(listener):
    where = listener(SETTINGS + b"grpc-status\x0212")

    with pytest.raises(ClusterError, match=r"something else listens .* port is 6379"):
        address.require_cluster(where)
    assert address.require_cluster(f"ray://{where}") is False


@pytest.mark.parametrize("where", ["http://head:8265", "head", "head:99999", "local"])
def test_an_impossible_address_is_named(where):
    with pytest.raises(ClusterError, match=f"{where}.*needed: host:port"):
        address.require_cluster(where)


def test_a_pool_refuses_an_address_without_a_cluster():
    where = f"127.0.0.1:{_free_port()}"

    with pytest.raises(ClusterError, match=where):
        open_pool(WorkerProfile(address=where))


def test_a_pool_refuses_the_address_in_the_environment_too(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{_free_port()}")

    with pytest.raises(ClusterError, match="no Ray cluster"):
        open_pool(WorkerProfile(address="auto"))


@pytest.mark.parametrize(
    ("mode", "needs_token", "where", "verdict"),
    [
        ("", True, "10.0.0.1:6379", True),
        ("", False, "10.0.0.1:6379", False),
        ("token", True, "10.0.0.1:6379", False),
        ("disabled", False, "127.0.0.1:6379", False),
        ("disabled", False, "ray://localhost:10001", False),
    ],
)
def test_ray_is_told_to_use_a_token_exactly_where_the_cluster_asks(
    monkeypatch, mode, needs_token, where, verdict
):
    monkeypatch.setenv("RAY_AUTH_MODE", mode)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "secret")

    assert address.settle_authentication(where, needs_token=needs_token) is verdict


@pytest.mark.parametrize(
    ("mode", "needs_token", "where", "complaint"),
    [
        ("disabled", False, "10.0.0.1:6379", "RAY_AUTH_MODE=disabled, but 10.0.0.1:6379 can be"),
        ("disabled", False, "ray://10.0.0.1:10001", "whoever connects there can run code"),
        ("", True, "10.0.0.1:6379", "asks for a token, and there is none here"),
        ("token", False, "127.0.0.1:6379", "was started without"),
    ],
)
def test_ways_of_authentication_that_do_not_go_together_are_refused(
    monkeypatch, mode, needs_token, where, complaint
):
    monkeypatch.setenv("RAY_AUTH_MODE", mode)
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", "/nowhere")

    with pytest.raises(ClusterError, match=complaint):
        address.settle_authentication(where, needs_token=needs_token)


def test_the_token_is_taken_away_from_other_users(tmp_path, monkeypatch):
    token = tmp_path / "token"
    token.write_text("secret")
    token.chmod(0o644)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(token))

    address.protect_token()

    assert token.stat().st_mode & 0o777 == 0o600
    assert address.has_token()


@pytest.mark.parametrize(("home", "is_given"), [("/dev/null", True), ("here", False)])
def test_ray_is_given_a_token_only_where_it_could_not_keep_its_own(
    monkeypatch, tmp_path, home, is_given
):
    for name in ("RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "")  # so that it is unset again
    monkeypatch.setenv("HOME", str(tmp_path / home))

    address.provide_token()

    assert bool(os.environ["RAY_AUTH_TOKEN"]) == is_given
