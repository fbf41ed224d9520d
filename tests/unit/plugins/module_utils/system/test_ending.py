"""Signals that reach the process that was meant, or nobody."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.system.ending import Target, end_processes
from ansible_collections.media_ops.runbook.plugins.module_utils.system.processes import Process, read_process

from tests.session_site import eventually

ROOT = Path(__file__).resolve().parents[5]


def sleeping(process: subprocess.Popen[bytes]) -> Process:
    """A `sleep 600` once it is that, and no copy of this process any more."""

    def check() -> Process | None:
        now = read_process(process.pid)
        return now if now and now.argv == ("sleep", "600") else None

    found = eventually("it runs", check)
    assert isinstance(found, Process)
    return found


def test_ending_what_has_ended_is_no_failure() -> None:
    process = subprocess.Popen(["sleep", "600"])
    found = sleeping(process)
    target = Target(found.pid, found.start, found.argv_hash)
    process.kill()
    eventually("a zombie", lambda: (now := read_process(process.pid)) and now.state == "Z")
    assert end_processes([target], grace_s=1)[0].msg == "has ended by itself"
    process.wait()
    assert end_processes([target], grace_s=1)[0].msg == "has ended by itself"


def test_where_one_of_several_is_refused_none_is_ended() -> None:
    processes = [subprocess.Popen(["sleep", "600"]) for _number in range(2)]
    found = [sleeping(process) for process in processes]
    targets = [Target(one.pid, one.start, one.argv_hash) for one in found]
    try:
        endings = end_processes(targets, grace_s=1, refuse=lambda now: "no" if now.pid == targets[1].pid else "")
        assert [ending.result for ending in endings] == ["skipped", "skipped"]
        assert [process.poll() for process in processes] == [None, None]
    finally:
        for process in processes:
            process.kill()
            process.wait()


@pytest.mark.skipif(os.geteuid() != 0, reason="makes a pid namespace")
def test_a_pid_that_was_reused_between_plan_and_signal_is_an_innocent_who_lives(tmp_path: Path) -> None:
    """The next pid is forced, in a pid namespace: before the process is held, and between the hold and the signal."""
    code = f"""
import os, signal, subprocess, sys, time
sys.path[:0] = [{str(ROOT / "playbooks/collections")!r}]
from ansible_collections.media_ops.runbook.plugins.module_utils.system.ending import Target, _Held, end_processes
from ansible_collections.media_ops.runbook.plugins.module_utils.system.processes import read_process

def victim():
    process = subprocess.Popen(["sleep", "600"])
    while read_process(process.pid).argv != ("sleep", "600"):
        time.sleep(0.01)
    now = read_process(process.pid)
    return process, Target(now.pid, now.start, now.argv_hash)

def replace(process):
    process.kill()
    process.wait()
    time.sleep(0.05)  # a start is told in ticks of 10 ms: no two processes of one pid within a tick
    for attempt in range(100):
        with open("/proc/sys/kernel/ns_last_pid", "w") as file:
            file.write(str(process.pid - 1))
        innocent = subprocess.Popen(["sleep", "600"])
        if innocent.pid == process.pid:
            return innocent
        innocent.kill()
        innocent.wait()
    raise SystemExit("the pid could not be forced")

process, target = victim()
innocent = replace(process)
ending, = end_processes([target], grace_s=1)
assert ending.result == "skipped" and "belongs to another process now" in ending.msg, ending
assert innocent.poll() is None
innocent.kill()
innocent.wait()

process, target = victim()
held = _Held(target)
held.hold(lambda _process: "")
assert not held.ending.result
innocent = replace(process)
held.send(signal.SIGKILL)
time.sleep(0.2)
assert innocent.poll() is None
assert held.over()
innocent.kill()
print("both live")
"""
    script = tmp_path / "reuse.py"
    script.write_text(code, encoding="utf-8")
    command = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, str(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if "unshare failed" in done.stderr:
        pytest.skip("no pid namespaces here")
    assert done.stdout == "both live\n", done.stderr


def test_on_a_kernel_without_pidfds_the_start_is_compared_and_that_is_said(tmp_path: Path) -> None:
    """An old kernel: the system call is really refused (seccomp), as ENOSYS."""
    code = f"""
import ctypes, struct, subprocess, sys, time
sys.path[:0] = [{str(ROOT / "playbooks/collections")!r}]
from ansible_collections.media_ops.runbook.plugins.module_utils.system.ending import Target, end_processes
from ansible_collections.media_ops.runbook.plugins.module_utils.system.processes import read_process

rules = [(0x20, 0, 0, 0), (0x15, 0, 1, 434), (0x06, 0, 0, 0x50000 | 38), (0x06, 0, 0, 0x7FFF0000)]
program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *rule) for rule in rules))
filter = struct.pack("HxxxxxxQ", len(rules), ctypes.addressof(program))
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, filter, 0, 0):
    print("no seccomp")
    raise SystemExit
process, other = (subprocess.Popen(["sleep", "600"]) for _number in range(2))
for one in (process, other):
    while read_process(one.pid).argv != ("sleep", "600"):
        time.sleep(0.01)
now, wrong = read_process(process.pid), read_process(other.pid)
endings = end_processes(
    [Target(now.pid, now.start, now.argv_hash), Target(wrong.pid, wrong.start - 1, wrong.argv_hash)], grace_s=5
)
assert process.wait(5) == -15
assert other.poll() is None
other.kill()
print(*(f"{{ending.result}}: {{ending.msg}}" for ending in endings), sep="\\n")
"""
    script = tmp_path / "old_kernel.py"
    script.write_text(code, encoding="utf-8")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60, check=False)
    if done.stdout == "no seccomp\n":
        pytest.skip("no seccomp here")
    assert done.stdout.splitlines() == [
        "done: ended by SIGTERM; weaker proof: no pidfd here, its start time was compared",
        "skipped: has ended by itself; its pid belongs to another process now, which was left alone",
    ], done.stderr
