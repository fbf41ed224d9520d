# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What goes over sockets, which no counter of a process tells: recv() and send() are in neither rchar nor wchar.

The kernel counts the bytes of each TCP connection (sock_diag(7), struct tcp_info of linux/tcp.h). What it has received
and nobody has taken yet, and what has been sent and not yet been confirmed, is told apart by the lengths of the queues,
so that what a process itself has taken and given is known to the byte. Of datagrams there are sums for a whole network
namespace only; of sockets of the host itself (unix) there is nothing.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from dataclasses import dataclass, field

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLM_F_REQUEST_DUMP = 0x301
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_INET_DIAG_INFO = 2
_HEADER = struct.Struct("=IHHII")
_MESSAGE = struct.Struct("=4B48xIIIII")  # family, state, timer, retrans; expires, rqueue, wqueue, uid, inode
_ACKED_AT = 120  # tcpi_bytes_acked and tcpi_bytes_received, since Linux 4.1
_BUFFER = 1 << 18
_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Sockets:
    """Sockets of this network namespace at one moment.

    Attributes:
        carried: by the inode of a TCP socket, the bytes that its process has taken from it and given to it.
        local: inodes of the sockets of the host itself.
        sums: by network namespace, the datagrams that went in or out there, and the segments of TCP where this is
            another one; empty where not told.
        known: whether TCP was told.
        own: this network namespace, of which alone TCP is told.
    """

    carried: dict[int, int] = field(default_factory=dict)
    local: frozenset[int] = frozenset()
    sums: dict[str, tuple[int, ...]] = field(default_factory=dict)
    known: bool = False
    own: str = ""


def look_at_sockets(namespaces: dict[str, int]) -> Sockets:
    """Look at all sockets.

    Args:
        namespaces: network namespaces of interest, as /proc names them, each with a process in it.
    """
    carried: dict[int, int] = {}
    try:
        for family in (socket.AF_INET, socket.AF_INET6):
            carried.update(_tcp(family))
        known = True
    except (OSError, struct.error):
        known = False
    own = os.readlink("/proc/self/ns/net")
    sums = {name: _sums(pid, tcp=name != own) for name, pid in namespaces.items()}
    return Sockets(carried, _local(), sums, known, own)


def protocol_of(pid: int, number: int, inode: int) -> str:
    """What the kernel calls the protocol of a socket that a process has open, such as ``TCPv6``; empty if not told."""
    path = f"/proc/{pid}/fd/{number}"
    with contextlib.suppress(OSError):
        name = os.getxattr(path, "system.sockprotoname")
        if os.stat(path).st_ino == inode:
            return name.rstrip(b"\0").decode("ascii", "replace")
    return ""


def _tcp(family: int) -> dict[int, int]:
    found: dict[int, int] = {}
    request = struct.pack("=BBBBI48x", family, socket.IPPROTO_TCP, 1 << (_INET_DIAG_INFO - 1), 0, 0xFFFFFFFF)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG) as netlink:
        netlink.settimeout(_TIMEOUT_S)
        size = _HEADER.size + len(request)
        netlink.send(_HEADER.pack(size, _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST_DUMP, 1, 0) + request)
        while True:
            data = netlink.recv(_BUFFER)
            at = 0
            while at + _HEADER.size <= len(data):
                length, kind, *_rest = _HEADER.unpack_from(data, at)
                if kind == _NLMSG_DONE:
                    return found
                if kind == _NLMSG_ERROR or length < _HEADER.size:
                    raise OSError("the kernel tells nothing of TCP")
                _take(data[at + _HEADER.size : at + length], found)
                at += (length + 3) & ~3


def _take(message: bytes, found: dict[int, int]) -> None:
    *_kind, _expires, received_queue, sent_queue, _uid, inode = _MESSAGE.unpack_from(message)
    is_listening = _kind[1] == 10
    at = _MESSAGE.size
    while at + 4 <= len(message) and inode and not is_listening:
        length, kind = struct.unpack_from("=HH", message, at)
        if length < 4:
            return
        if kind == _INET_DIAG_INFO and length >= 4 + _ACKED_AT + 16:
            acked, received = struct.unpack_from("=QQ", message, at + 4 + _ACKED_AT)
            found[inode] = received - received_queue + acked + sent_queue
        at += (length + 3) & ~3


def _local() -> frozenset[int]:
    found = set()
    with contextlib.suppress(OSError), open("/proc/net/unix", "rb") as table:
        for line in table.read().splitlines()[1:]:
            fields = line.split()  # Num RefCount Protocol Flags Type St Inode Path
            if len(fields) > 6 and fields[6].isdigit():
                found.add(int(fields[6]))
    return frozenset(found)


def _sums(pid: int, *, tcp: bool) -> tuple[int, ...]:
    """Datagrams that went in or out, of whatever process of the namespace; and TCP's segments, where that is wanted."""
    wanted = {
        f"{kind}{way}" for kind in ("Udp", "UdpLite", "Udp6", "UdpLite6") for way in ("InDatagrams", "OutDatagrams")
    }
    wanted |= {"TcpInSegs", "TcpOutSegs"} if tcp else set()
    found: list[int] = []
    with contextlib.suppress(OSError), open(f"/proc/{pid}/net/snmp", encoding="ascii") as table:
        lines = [line.split() for line in table]
        for names, values in zip(lines[::2], lines[1::2]):  # noqa: B905
            kind = names[0].rstrip(":")
            found += [int(value) for name, value in zip(names, values) if kind + name in wanted]  # noqa: B905
    with contextlib.suppress(OSError), open(f"/proc/{pid}/net/snmp6", encoding="ascii") as table:
        found += [int(line.split()[1]) for line in table if line.split()[0] in wanted]
    return tuple(found)
