"""Checks in seconds, and without Ray, whether a Ray cluster can be joined at an address.

`ray.init` waits at least 40 s if the port is closed or belongs to another service, and if driver
and cluster disagree on tokens, workers never start. So the head is first asked for its id, without
a token, by a hand-written gRPC call (HTTP/2, RFC 9113).
"""

import os
import re
import secrets
import socket
import tempfile
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from spikenas.exceptions import ClusterError

_TIMEOUT_S = 3.0
_DATA, _HEADERS, _SETTINGS = 0, 1, 4  # frames of HTTP/2
_OK, _UNAUTHENTICATED = 0, 16  # status codes of gRPC
_START = "start one with `ray start --head`, or search with --workers local"


def require_cluster(address: str) -> bool:
    """Return whether the cluster at an address requires a token; ClusterError if there is none."""
    host, port = _host_and_port(address)
    try:
        with socket.create_connection((host, port), timeout=_TIMEOUT_S) as connection:
            if os.environ.get("RAY_USE_TLS", "0") == "1":
                return has_token()  # the TLS handshake is left to Ray
            reply = _ask_for_id(connection, f"{host}:{port}")
    except OSError as error:
        raise ClusterError(
            f"no Ray cluster at {address}: {error.strerror or error}; {_START}"
        ) from error
    status = re.search(rb"grpc-status[\x01\x02](\d{1,2})", reply)
    is_head = status is not None and int(status[1]) in (_OK, _UNAUTHENTICATED)
    if not is_head and not (status and address.startswith("ray://")):
        raise ClusterError(
            f"no Ray cluster at {address}: something else listens on port {port}; a Ray head's "
            f"port is 6379 unless chosen, a Ray client server's 10001 (ray://); {_START}"
        )
    return status is not None and int(status[1]) == _UNAUTHENTICATED


def settle_authentication(address: str, *, needs_token: bool) -> bool:
    """Return whether Ray must be configured to use a token here.

    Raises ClusterError if the settings of the cluster and of this machine do not match, and if
    authentication is disabled for a cluster that other machines can reach.
    """
    mode = os.environ.get("RAY_AUTH_MODE", "").lower()
    if mode == "disabled" and not _is_loopback(address):
        raise ClusterError(
            f"RAY_AUTH_MODE=disabled, but {address} can be reached from other machines: whoever "
            "connects there can run code on every node. Unset RAY_AUTH_MODE, make a token with "
            "`ray get-auth-token --generate`, copy ~/.ray/auth_token to the nodes, restart Ray"
        )
    if needs_token and (mode == "disabled" or not has_token()):
        raise ClusterError(
            f"the Ray cluster at {address} asks for a token, and there is none here; copy "
            "~/.ray/auth_token of its head to this machine, or set RAY_AUTH_TOKEN"
        )
    if mode == "token" and not needs_token:
        raise ClusterError(
            f"RAY_AUTH_MODE=token, but the Ray cluster at {address} was started without; start it "
            "with RAY_AUTH_MODE=token too, or join it from a new process without it (Ray sets it "
            "when it starts a cluster, and it cannot be unset in the same process)"
        )
    return needs_token and not mode


def has_token() -> bool:
    """Whether Ray would find an authentication token."""
    return bool(os.environ.get("RAY_AUTH_TOKEN")) or any(p.is_file() for p in _token_paths())


def provide_token() -> None:
    """Set a token for this process if Ray could not write one, as with a read-only home."""
    if has_token() or os.environ.get("RAY_AUTH_MODE"):
        return
    try:
        folder = Path.home() / ".ray"
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (OSError, RuntimeError):  # RuntimeError: there is no home
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)


def protect_token() -> None:
    """Make the token unreadable for other users; Ray 2.60 writes it with mode 0644."""
    for path in _token_paths():
        with suppress(OSError):  # absent, or another user's, or a read-only secret
            path.chmod(0o600)


def _ask_for_id(connection: socket.socket, authority: str) -> bytes:
    """Send ``GetClusterId`` and return the reply up to its status, or to its end."""
    headers = b"".join(
        [
            b"\x83\x86",  # POST, http; the rest are literals of HPACK (RFC 7541, 6.2.2)
            b"\x04" + _literal("/ray.rpc.NodeInfoGcsService/GetClusterId"),
            b"\x01" + _literal(authority),
            b"\x0f\x10" + _literal("application/grpc"),
            b"\x00" + _literal("te") + _literal("trailers"),
        ]
    )
    connection.sendall(
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        + _frame(_SETTINGS, flags=0, stream=0, content=b"")
        + _frame(_HEADERS, flags=4, stream=1, content=headers)  # END_HEADERS
        + _frame(_DATA, flags=1, stream=1, content=bytes(5))  # an empty message, END_STREAM
    )
    reply = b""
    while b"grpc-status" not in reply and (part := connection.recv(4096)):
        reply += part
        if reply[3:4] not in (b"", bytes([_SETTINGS])):
            break  # not HTTP/2
    return reply


def _literal(text: str) -> bytes:
    return bytes([len(text)]) + text.encode()


def _frame(kind: int, *, flags: int, stream: int, content: bytes) -> bytes:
    return len(content).to_bytes(3, "big") + bytes([kind, flags, 0, 0, 0, stream]) + content


def _token_paths() -> list[Path]:
    named = os.environ.get("RAY_AUTH_TOKEN_PATH")
    if named:
        return [Path(named)]
    try:
        return [Path.home() / ".ray" / "auth_token"]
    except RuntimeError:  # this user has no home
        return []


def _host_and_port(address: str) -> tuple[str, int]:
    parts = urlsplit(address if "://" in address else f"ray://{address}")
    try:
        host, port = parts.hostname, parts.port
    except ValueError:  # a port above 65535
        host, port = None, None
    if not host or not port or parts.scheme != "ray":
        raise ClusterError(
            f"{address!r} is not an address of a Ray cluster; needed: host:port or ray://host:port"
        )
    return host, port


def _is_loopback(address: str) -> bool:
    host, _ = _host_and_port(address)
    try:
        return ip_address(socket.gethostbyname(host)).is_loopback
    except (OSError, ValueError):
        return False
