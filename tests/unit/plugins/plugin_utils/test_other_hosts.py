"""Hosts are asked in processes, many at once and for a bounded time, and none of them holds the others up."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Any

from ansible_collections.media_ops.runbook.plugins.plugin_utils.other_hosts import in_processes


def test_each_gives_its_own_answer() -> None:
    names = [f"host{n}" for n in range(30)]
    found = in_processes(names, lambda name: {"name": name, "pid": os.getpid()}, most=8, within=120)
    assert {name: answer["name"] for name, answer in found.items()} == {name: name for name in names}
    assert len({answer["pid"] for answer in found.values()} - {os.getpid()}) == 30


def test_what_goes_wrong_with_one_is_its_own() -> None:
    def work(name: str) -> dict[str, Any]:
        if name == "raises":
            raise RuntimeError("no such thing")
        if name == "ends":
            os._exit(3)
        if name == "killed":
            os.kill(os.getpid(), 9)
        if name == "leaves":
            raise SystemExit
        return {"big": "x" * (2 << 20)} if name == "big" else {"well": True}

    found = in_processes(["raises", "ends", "killed", "leaves", "big", "well"], work, most=2, within=120)
    assert found["well"] == {"well": True}
    assert found["raises"] == {"failed": True, "msg": "no such thing"}
    for name in ("ends", "killed", "leaves", "big"):
        assert found[name] == {"failed": True, "msg": "no answer"}


def test_the_time_is_bounded_for_all_of_them_together_and_nothing_is_left_behind(tmp_path: Path) -> None:
    def work(name: str) -> dict[str, Any]:
        if name.startswith("slow"):
            with subprocess.Popen(["sleep", "300"]) as process:
                (tmp_path / name).write_text(str(process.pid))
                process.wait()
        return {"well": True}

    began = time.monotonic()
    found = in_processes(["quick1", "slow1", "slow2", "never"], work, most=2, within=10)
    assert time.monotonic() - began < 60
    assert found["quick1"] == {"well": True}
    assert found["never"]["msg"] == "it was not asked in time"
    assert {found[name]["msg"] for name in ("slow1", "slow2")} == {"it gave no answer in time"}
    for path in tmp_path.iterdir():
        stat = Path(f"/proc/{path.read_text()}/stat")
        deadline = time.monotonic() + 30
        while stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z":
            assert time.monotonic() < deadline, "what it started is ended as well"
            time.sleep(0.05)
