# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where processes listen, and whether anybody answers there: asked on the host itself, past proxies and names.

Whose a socket is is told by the descriptors of the processes, where these may be read; else by the user who made it.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import ssl
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..shapes import one_line
from ..web_address import host_and_port

_LISTENS, _ACCEPTS = "0A", 0x10000
_SOCKET = re.compile(r"socket:\[([0-9]+)\]\Z")
_STATUS = re.compile(rb"HTTP/[0-9.]+ ([0-9]{3})[ \r\n]")
_BODY_MAX = 65536
HERE = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Place:
    """Where a process listens.

    Attributes:
        host: an address of this host, "" for a socket of the host itself (unix).
        port: of TCP, 0 for a socket of the host itself.
        path: of a socket of the host itself.
    """

    host: str
    port: int
    path: str = ""

    def __str__(self) -> str:
        if self.path:
            return one_line(self.path, 120)
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Places:
    """All of them.

    Attributes:
        found: places to ask at, the lowest port first.
        proved: whether these are known to be of the processes, and not only of their user.
        reason: why nothing is known, else "".
    """

    found: tuple[Place, ...] = ()
    proved: bool = False
    reason: str = ""


@dataclass(frozen=True)
class Answered:
    """What came of a request: the status of HTTP, 0 where none came, what it carried, and why there is none."""

    status: int
    body: bytes = b""
    reason: str = ""


def places_of(pids: Iterable[int], main: int, uid: int) -> Places:
    """Where the processes listen.

    Args:
        pids: of the service.
        main: the one by whose network namespace it is told.
        uid: of their user, by whom their sockets are told where their descriptors cannot be read.
    """
    if not _same_network(main):
        return Places(reason="it works in a network namespace of its own")
    inodes, proved = sockets_of([main, *pids])
    try:
        rows = _listeners()
    except (OSError, ValueError) as error:
        return Places(reason=f"the sockets of this host cannot be read: {one_line(error, 100)}")
    found = [place for place, owner, inode in rows if (inode in inodes if proved else owner == uid)]
    if proved:
        found += [place for place, inode in _local() if inode in inodes]
    ordered = sorted(set(found), key=lambda place: (bool(place.path), place.port, place.host))
    return Places(tuple(ordered), proved)


def users_on(port: int) -> set[int] | None:
    """The users whose processes listen on a TCP port of this network namespace; None where that cannot be seen."""
    try:
        return {uid for place, uid, _inode in _listeners() if place.port == port}
    except (OSError, ValueError):
        return None


def local_port(url: str) -> int:
    """The port of an address of this host, 0 for any other."""
    try:
        host, port = host_and_port(url)
    except ValueError:
        return 0
    return port if host in HERE else 0


def listeners_on(port: int) -> set[str]:
    """Inodes of the sockets that listen on a TCP port of this network namespace.

    Raises:
        OSError: the sockets of this host cannot be read.
        ValueError: likewise.
    """
    return {inode for place, _uid, inode in _listeners() if place.port == port}


def _same_network(pid: int) -> bool:
    """Whether a process shares our network namespace; where that is not told, it is taken to."""
    try:
        return os.readlink(f"/proc/{pid}/ns/net") == os.readlink("/proc/self/ns/net")
    except OSError:
        return True


def sockets_of(pids: Iterable[int]) -> tuple[set[str], bool]:
    """Inodes of the sockets that the processes have open, and whether all of them could be read."""
    inodes: set[str] = set()
    proved = True
    for pid in set(pids):
        try:
            names = os.listdir(f"/proc/{pid}/fd")
        except FileNotFoundError:
            continue
        except OSError:
            proved = False
            continue
        for name in names:
            with contextlib.suppress(OSError):
                match = _SOCKET.match(os.readlink(f"/proc/{pid}/fd/{name}"))
                inodes.update([match.group(1)] if match else [])
    return inodes, proved


def _listeners() -> list[tuple[Place, int, str]]:
    """The sockets of TCP that listen, as _tcp has them; a host without IPv6 has no table of its sockets."""
    rows = _tcp("/proc/net/tcp")
    with contextlib.suppress(FileNotFoundError):
        rows += _tcp("/proc/net/tcp6")
    return rows


def _tcp(path: str) -> list[tuple[Place, int, str]]:
    """The sockets of TCP that listen: place, user and inode of each."""
    found = []
    with open(path, encoding="ascii") as file:
        next(file, None)
        for line in file:
            fields = line.split()
            if len(fields) > 9 and fields[3] == _LISTENS:
                address, _colon, port = fields[1].partition(":")
                found.append((Place(_address(address), int(port, 16)), int(fields[7]), fields[9]))
    return found


def _address(text: str) -> str:
    """An address as /proc has it, words in the order of the machine; one that stands for all is loopback."""
    raw = b"".join(int(text[at : at + 8], 16).to_bytes(4, "little") for at in range(0, len(text), 8))
    if not any(raw):
        return "127.0.0.1" if len(raw) == 4 else "::1"
    return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw)


def _local() -> list[tuple[Place, str]]:
    """Sockets of the host itself that listen, with a name in the file system."""
    found = []
    with contextlib.suppress(OSError, ValueError), open("/proc/net/unix", encoding="utf-8", errors="replace") as file:
        next(file, None)
        for line in file:
            fields = line.rstrip("\n").split(None, 7)
            if len(fields) == 8 and int(fields[3], 16) & _ACCEPTS and fields[7].startswith("/"):
                found.append((Place("", 0, fields[7]), fields[6]))
    return found


def ask(place: Place, path: str, timeout_s: float) -> Answered:
    """Ask for a path with a plain GET that carries nothing of ours, over TLS where plain HTTP is not spoken.

    Args:
        place: where.
        path: of the request.
        timeout_s: for all of it, however slowly it comes.
    """
    deadline = time.monotonic() + timeout_s
    plain = _ask(place, path, deadline, tls=False)
    if plain.status or time.monotonic() >= deadline:
        return plain
    secured = _ask(place, path, deadline, tls=True)
    return secured if secured.status else plain


def _ask(place: Place, path: str, deadline: float, *, tls: bool) -> Answered:
    said = b""
    try:
        with _connected(place, deadline, tls=tls) as connection:
            connection.sendall(f"GET {path} HTTP/1.0\r\nHost: localhost\r\nAccept: application/json\r\n\r\n".encode())
            while len(said) < _BODY_MAX:
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                connection.settimeout(left)
                part = connection.recv(_BODY_MAX)
                if not part:
                    break
                said += part
    except (OSError, ValueError) as error:
        reason = "no answer in time" if isinstance(error, socket.timeout) else one_line(error, 120)
        return _answered(said, reason)
    return _answered(said, "no answer in time" if time.monotonic() >= deadline else "it says nothing that is HTTP")


def _answered(said: bytes, reason: str) -> Answered:
    """What was said counts also where it did not end: whoever says a status is alive."""
    status = _STATUS.match(said)
    if not status:
        return Answered(0, reason=reason)
    return Answered(int(status.group(1)), said.partition(b"\r\n\r\n")[2])


def _connected(place: Place, deadline: float, *, tls: bool) -> socket.socket:
    family = socket.AF_UNIX if place.path else socket.AF_INET6 if ":" in place.host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.settimeout(max(0.05, deadline - time.monotonic()))
        made.connect(place.path or (place.host, place.port))
        if not tls:
            return made
        # Whoever it is, it is asked whether it lives: nothing of ours goes there, and nothing of it is believed.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context.wrap_socket(made)
    except BaseException:
        made.close()
        raise


def first_port_first(places: Sequence[Place], port: int) -> list[Place]:
    """The places, those of a port that is likely before the others."""
    return sorted(places, key=lambda place: place.port != port)
