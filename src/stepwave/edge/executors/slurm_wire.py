"""What the runner and its pilots say to each other, over TCP: a length and a pickled tuple.

Rule 1  Nothing is unpickled before the other end has proved that it knows the key of the run, which only those can read
        who can read the run's folder. Both ends prove it, so a pilot does not carry out what a stranger sends.
Rule 2  What a stranger sends is a few bytes and a few seconds, never more.
Rule 3  What is sent is as public as all that Slurm itself sends through the same network: it is not encrypted.
"""

import hmac
import json
import os
import pickle
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

SIZE = 32
"""Bytes of the key, of a nonce, of a proof."""
HEAD = 4
MOST = 256 * 1024 * 1024
HANDSHAKE_S = 10.0
SILENT_S = 30
"""After so many seconds without an answer of the other machine's kernel the connection has ended."""

Message = tuple[Any, ...]


class Address(NamedTuple):
    """Where the runner listens: names and addresses of its machine, the best first; and the key of the run."""

    hosts: tuple[str, ...]
    port: int
    key: bytes


def write_address(file: Path, address: Address) -> None:
    """For the eyes of the owner only. Raises OSError."""
    text = json.dumps({"hosts": address.hosts, "port": address.port, "key": address.key.hex()})
    fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "w") as stream:
        stream.write(text)


def read_address(file: str) -> Address:
    """Raises OSError."""
    read = json.loads(Path(file).read_text())
    return Address(tuple(read["hosts"]), read["port"], bytes.fromhex(read["key"]))


def pack(message: Message) -> bytes:
    """Raises ValueError for what is too large to be sent."""
    body = pickle.dumps(message)
    if len(body) > MOST:
        raise ValueError(f"{len(body)} bytes are too much for one message")
    return len(body).to_bytes(HEAD, "big") + body


def unpack_size(head: bytes) -> int:
    """Raises ValueError for a size that no message has."""
    size = int.from_bytes(head, "big")
    if size > MOST:
        raise ValueError(f"a message of {size} bytes")
    return size


def keep_alive(connection: socket.socket) -> None:
    """A machine that is switched off says nothing; so its kernel is asked now and then."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for name, value in (
        ("TCP_KEEPIDLE", SILENT_S // 2),
        ("TCP_KEEPINTVL", SILENT_S // 6),
        ("TCP_KEEPCNT", 3),
        ("TCP_USER_TIMEOUT", SILENT_S * 1000),
    ):
        if hasattr(socket, name):  # not every system has all of them
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


# --- the proof: pilot → its nonce; runner → its nonce and proof; pilot → its proof ---------------------------------


def proof(key: bytes, who: bytes, nonces: bytes) -> bytes:
    return hmac.digest(key, who + nonces, "sha256")


async def admit(key: bytes, read: Callable[[int], Awaitable[bytes]], write: Callable[[bytes], None]) -> bool:
    """The runner's half: whether a pilot of this run is at the other end."""
    theirs, ours = await read(SIZE), os.urandom(SIZE)
    write(ours + proof(key, b"runner", theirs + ours))
    return hmac.compare_digest(await read(SIZE), proof(key, b"pilot", theirs + ours))


def introduce(key: bytes, connection: socket.socket) -> bool:
    """The pilot's half: whether the runner is at the other end. Raises OSError."""
    ours = os.urandom(SIZE)
    connection.sendall(ours)
    answer = read_exactly(connection, 2 * SIZE)
    if answer is None or not hmac.compare_digest(answer[SIZE:], proof(key, b"runner", ours + answer[:SIZE])):
        return False
    connection.sendall(proof(key, b"pilot", ours + answer[:SIZE]))
    return True


def read_exactly(connection: socket.socket, size: int) -> bytes | None:
    """None when the other end is gone before."""
    parts = bytearray()
    while len(parts) < size:
        part = connection.recv(min(size - len(parts), 1 << 20))
        if not part:
            return None
        parts += part
    return bytes(parts)


def read_message(connection: socket.socket) -> Message | None:
    """None when the other end is gone. Raises OSError and ValueError."""
    head = read_exactly(connection, HEAD)
    body = None if head is None else read_exactly(connection, unpack_size(head))
    if body is None:
        return None
    return unpacked(body)


def unpacked(body: bytes) -> Message:
    """Raises ValueError for what the other end, of another release, means by something."""
    try:
        message: Message = pickle.loads(body)
    except Exception as problem:  # whatever it comes to
        raise ValueError(f"{type(problem).__name__}: {problem}") from problem
    return message


async def next_message(read: Callable[[int], Awaitable[bytes]]) -> Message:
    """As `read_message`, for the runner. Raises EOFError, OSError and ValueError."""
    return unpacked(await read(unpack_size(await read(HEAD))))


# --- where the runner listens -----------------------------------------------------------------------------------------


def listening(host: str | None) -> socket.socket:
    """On every address of this machine, since nobody knows by which one the nodes reach it. Raises OSError."""
    if host:
        family, _, _, _, place = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
        return socket.create_server(place[:2], family=family, backlog=1024)
    if socket.has_dualstack_ipv6():
        return socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True, backlog=1024)
    return socket.create_server(("", 0), backlog=1024)


def own_names() -> tuple[str, ...]:
    """What other machines may know this one by, the likeliest first."""
    name = socket.gethostname()
    found = dict.fromkeys((name, socket.getfqdn()))
    with suppress(OSError):
        found |= dict.fromkeys(str(one[4][0]) for one in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM))
    return tuple(found)
