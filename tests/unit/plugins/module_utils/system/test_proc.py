"""Single things that /proc tells, and that nothing but this package asks it."""

from __future__ import annotations

import ast
import os
import subprocess
from pathlib import Path

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.system.proc import (
    command_line,
    kernel_text,
    lock_holder,
    resident_bytes,
)

from tests.session_site import eventually

MODULE_UTILS = Path(__file__).resolve().parents[5] / "plugins" / "module_utils"


def test_a_process_is_told_of_until_it_has_ended() -> None:
    assert (resident_bytes(os.getpid()) or 0) > 1 << 20
    with subprocess.Popen(["cat", "a b", "-"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        eventually("it runs", lambda: command_line(process.pid) == "cat a b -")
    assert (command_line(process.pid), resident_bytes(process.pid)) == ("", None)


def test_what_the_kernel_does_not_tell_is_an_error() -> None:
    assert "MemTotal" in kernel_text("meminfo")
    with pytest.raises(FileNotFoundError):
        kernel_text("pressure/none")


def test_nobody_holds_what_is_not_there(tmp_path: Path) -> None:
    assert lock_holder([str(tmp_path / "none")]) is None


def test_proc_is_read_in_this_package_alone() -> None:
    found = set()
    for path in MODULE_UTILS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                names = node.value == "/proc" or node.value.startswith("/proc/")
                found |= {path.parent.name} if names else set()
    assert found == {"system"}
