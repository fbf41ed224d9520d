"""What happened to a file, of real files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.system.stamp import Stamp

DAY_NS = 86400 * 10**9


def replaced(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(b"abc")
    other.replace(path)


def dated_back(path: Path) -> None:
    facts = path.stat()
    path.write_bytes(b"other")
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (lambda _path: None, ""),
        (replaced, "is another file, of 3 bytes where 5 were"),
        (lambda path: path.write_bytes(b"12345678"), "has grown by 3 bytes"),
        (lambda path: path.write_bytes(b"1"), "has shrunk by 4 bytes"),
        (lambda path: path.write_bytes(b"again"), "was written to, or dated anew"),
        (dated_back, "was moved, linked, given other rights, or written to and dated back"),
        (lambda path: path.chmod(0o600), "was moved, linked, given other rights, or written to and dated back"),
        (lambda path: path.rename(path.with_name("b")), None),
    ],
)
def test_what_happened_to_a_file_is_told(tmp_path: Path, act: Callable[[Path], object], said: str | None) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"first")
    os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns - DAY_NS))
    then = Stamp.of(path.stat())
    act(path)
    if said is not None:
        assert then.changed_how(Stamp.of(path.stat())) == said
    else:
        assert "was moved" in then.changed_how(Stamp.of(path.with_name("b").stat()))
