"""Who used a message queue last, as the kernel notes it."""

from __future__ import annotations

import ctypes
import os

from ansible_collections.media_ops.runbook.plugins.module_utils.system.processes import read_process
from ansible_collections.media_ops.runbook.plugins.module_utils.system.queues import last_messages

LIBC = ctypes.CDLL(None)


def test_who_sends_and_who_takes_is_told() -> None:
    queue = LIBC.msgget(0, 0o1600)
    try:
        assert LIBC.msgsnd(queue, (ctypes.c_long * 2)(1, 7), 8, 0) == 0
        sent = {one[:2] for one in last_messages()[os.getpid()]}
        assert (queue, "lspid") in sent
        assert (queue, "lrpid") not in sent
        assert LIBC.msgrcv(queue, (ctypes.c_long * 2)(), 8, 0, 0) == 8
        assert (queue, "lrpid") in {one[:2] for one in last_messages()[os.getpid()]}
    finally:
        LIBC.msgctl(queue, 0, None)  # IPC_RMID


def test_a_queue_of_posix_has_the_moment_of_its_last_use_for_a_position() -> None:
    name = f"/of{os.getpid()}".encode()
    queue = LIBC.mq_open(name, os.O_RDWR | os.O_CREAT, 0o600, None)
    LIBC.mq_unlink(name)
    try:
        process = read_process(os.getpid())
        assert process
        (seen,) = [file for file in process.files if file.number == queue]
        assert seen.position == os.fstat(queue).st_ctime_ns
        assert not seen.writes
    finally:
        os.close(queue)
