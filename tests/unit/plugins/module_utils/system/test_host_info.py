# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The host as it is: real processes, real file systems, a real mount that hangs."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.errors import MissingLibraryError, OptionError
from ansible_collections.media_ops.runbook.plugins.module_utils.system import host_info

DEFAULTS: dict[str, Any] = {
    "gather": list(host_info.PARTS),
    "paths": ["/"],
    "path_timeout": 60.0,
    "interval": 0.2,
    "samples": 1,
    "top": 10,
    "with_arguments": False,
}
CANARY = "c4n4ryV4lue"


def info(**options: Any) -> dict[str, Any]:
    return host_info.host_info({**DEFAULTS, **options})


@pytest.fixture
def burner() -> Iterator[subprocess.Popen[bytes]]:
    """A process that uses a CPU and 64 MiB, and has a secret among its arguments."""
    code = "data = bytearray(64 << 20); print(flush=True)\nwhile True: pass"
    argv = [sys.executable, "-c", code, "--password", CANARY, f"--token={CANARY}", f"https://u:{CANARY}@example.com/"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


class TestEverything:
    def test_every_part_is_there_with_finite_figures(self) -> None:
        found = info()
        assert set(found) == {"changed", "clock", "measured_s", "unseen", *host_info.PARTS}
        json.dumps(found, allow_nan=False)
        assert found["changed"] is False
        assert found["clock"]["uptime_s"] > 0
        assert found["clock"]["at"].endswith("Z")
        assert found["clock"]["booted_at"] < found["clock"]["at"]
        assert found["cpu"]["count"] == os.cpu_count()
        assert 0 <= found["cpu"]["used_percent"] <= 100

    # runbook: P2P-3D
    def test_memory_is_the_kernels_own(self) -> None:
        kernel = {}
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            name, value = line.split(":")
            kernel[name] = int(value.split()[0]) * 1024
        memory = info(gather=["memory"])["memory"]
        assert memory["total_bytes"] == kernel["MemTotal"]
        # These move while one looks.
        slack = kernel["MemTotal"] * 0.1
        assert memory["free_bytes"] == pytest.approx(kernel["MemFree"], abs=slack)
        assert memory["available_bytes"] == pytest.approx(kernel["MemAvailable"], abs=slack)
        assert memory["cached_bytes"] == pytest.approx(kernel["Cached"] + kernel["SReclaimable"], abs=slack)

    def test_only_what_is_asked_for(self) -> None:
        began = time.monotonic()
        found = info(gather=["load", "memory"], interval=60)
        assert set(found) == {"changed", "clock", "load", "memory", "unseen"}
        assert time.monotonic() - began < 30, "waited for a measurement that was not asked for"

    def test_missing_psutil_is_named_with_its_package(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "psutil", None)
        with pytest.raises(MissingLibraryError, match="python3-psutil"):
            info()

    @pytest.mark.parametrize(
        ("option", "value"),
        [
            ("interval", 0.05),
            ("interval", 61),
            ("interval", math.nan),
            ("samples", 0),
            ("samples", 61),
            ("top", -1),
            ("top", 101),
            ("path_timeout", 0),
            ("gather", []),
            ("paths", ["relative/path"]),
            ("paths", [""]),
            ("paths", ["/a\0b"]),
            ("paths", ["/"] * 65),
        ],
    )
    def test_options_that_cannot_be_right_are_refused_by_name(self, option: str, value: object) -> None:
        with pytest.raises(OptionError, match=f"option '{option}'"):
            info(**{option: value})

    def test_the_whole_measurement_is_bounded(self) -> None:
        with pytest.raises(OptionError, match="600 s"):
            info(interval=60, samples=11)


OTHER_PROC = """
import json, subprocess, sys
subprocess.run(["mount", "--bind", sys.argv[1], sys.argv[2]], check=True)
from ansible_collections.media_ops.runbook.plugins.module_utils.system import host_info
print(json.dumps(host_info.host_info(json.loads(sys.argv[3]))))
"""


class TestOneThatFails:
    """In a container, others than the kernel make /proc."""

    @pytest.mark.root
    @pytest.mark.skipif(os.geteuid() != 0, reason="needs root: mounts")
    @pytest.mark.parametrize(
        ("path", "content", "parts"),
        [
            ("diskstats", "8       0 sda 0 0 0 0 46 0 977 34 0 2 0 0 0 0\n", {"io"}),  # lxcfs 5
            ("stat", "cpu  169379 294764 88258 26989 470 0 568 901 0 0\nctxt 1\nprocesses 2\n", {"clock"}),
            ("stat", "", {"clock", "cpu"}),
            ("meminfo", "", {"memory"}),
            ("meminfo", "MemTotal: 8 kB\n", {"memory"}),
        ],
    )
    def test_is_null_with_a_reason_and_the_others_stand(
        self, tmp_path: Path, path: str, content: str, parts: set[str]
    ) -> None:
        other = tmp_path / path
        other.write_text(content, encoding="ascii")
        done = subprocess.run(
            ["unshare", "--mount", "--propagation", "private", sys.executable, "-c", OTHER_PROC,
             other, f"/proc/{path}", json.dumps(DEFAULTS)],
            env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        if "permission denied" in done.stderr:
            pytest.skip(f"nothing can be mounted over /proc here: {done.stderr}")
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        lacking = {part for part in host_info.PARTS if found[part] is None}
        lacking |= {"clock"} if found["clock"]["booted_at"] is None else set()
        assert lacking == set(found["unseen"]) == parts
        assert all(found["unseen"].values())
        assert found["disks"][0]["state"] == "ok"
        assert found["disks"][0]["used_percent"] is not None

    @pytest.mark.parametrize("call", ["boot_time", "cpu_times", "virtual_memory", "disk_io_counters", "process_iter"])
    def test_whatever_psutil_raises(self, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
        def raises(*_arguments: object, **_options: object) -> None:
            raise NotImplementedError(f"no {call} here")

        monkeypatch.setattr(psutil, call, raises)
        found = info()
        assert found["unseen"]
        assert all(f"no {call} here" in reason for reason in found["unseen"].values())
        assert found["disks"][0]["state"] == "ok"

    def test_a_swap_or_a_mount_table_that_cannot_be_read_hides_nothing_else(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def raises(*_arguments: object, **_options: object) -> None:
            raise RuntimeError("not here")

        monkeypatch.setattr(psutil, "swap_memory", raises)
        monkeypatch.setattr(psutil, "disk_partitions", raises)
        found = info(gather=["memory", "disks"])
        assert found["unseen"] == {}
        assert found["memory"]["used_percent"] is not None
        assert found["memory"]["swap_used_percent"] is None
        assert (found["disks"][0]["state"], found["disks"][0]["mount_point"]) == ("ok", None)


class TestFileSystems:
    def test_figures_are_those_of_df(self, tmp_path: Path) -> None:
        columns = "target,fstype,source,size,pcent,ipcent"
        shown = subprocess.run(
            ["df", "-B1", f"--output={columns}", tmp_path], capture_output=True, text=True, check=True
        )
        target, fstype, source, size, percent, inodes = shown.stdout.splitlines()[1].split()
        (disk,) = info(gather=["disks"], paths=[str(tmp_path)])["disks"]
        assert (disk["path"], disk["state"], disk["reason"]) == (str(tmp_path), "ok", "")
        assert (disk["mount_point"], disk["fstype"], disk["device"]) == (target, fstype, source)
        assert disk["total_bytes"] == int(size)
        # df rounds up, and others write meanwhile.
        assert disk["used_percent"] == pytest.approx(float(percent.rstrip("%")), abs=2)
        if inodes != "-":
            assert disk["inodes_used_percent"] == pytest.approx(float(inodes.rstrip("%")), abs=2)
        assert disk["used_bytes"] + disk["free_bytes"] == disk["total_bytes"]
        assert disk["read_only"] is False

    def test_what_deleted_files_take_is_told_with_their_holder(self, tmp_path: Path) -> None:
        path = tmp_path / "gone"
        with path.open("wb", buffering=0) as file:
            file.write(b"x" * 300_000)
            path.unlink()
            program = "import sys, time; print(flush=True); time.sleep(600)"
            holder = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, pass_fds=[file.fileno()])
            try:
                assert holder.stdout
                holder.stdout.readline()
                here, other = info(gather=["disks"], paths=[str(tmp_path), "/proc"], path_timeout=60)["disks"]
            finally:
                holder.kill()
                holder.communicate()
        assert holder.pid in [row["pid"] for row in here["held_open"]["processes"]]
        assert here["held_open"]["bytes"] >= 300_000
        assert (other["held_open"]["files"], other["held_open"]["bytes"]) == (0, 0), "each file system for itself"

    def test_a_missing_path_is_a_value_and_hides_no_other(self, tmp_path: Path) -> None:
        missing, at_file = tmp_path / "missing", tmp_path / "file" / "below"
        (tmp_path / "file").touch()
        disks = info(gather=["disks"], paths=[str(missing), str(at_file), str(tmp_path)])["disks"]
        assert [disk["state"] for disk in disks] == ["missing", "missing", "ok"]
        assert disks[0]["reason"] == "No such file or directory"
        assert disks[0]["used_percent"] is None
        assert disks[0]["mount_point"] is None
        assert disks[0].keys() == disks[2].keys()

    def test_no_paths_and_one_path_twice(self) -> None:
        assert info(gather=["disks"], paths=[])["disks"] == []
        found = info(gather=["disks"], paths=["/", "/proc", "/"])["disks"]
        assert [(disk["path"], disk["state"]) for disk in found] == [("/", "ok"), ("/proc", "ok")]

    def test_a_link_leads_to_the_file_system_of_its_target(self, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to("/proc")
        (disk,) = info(gather=["disks"], paths=[str(tmp_path / "link")])["disks"]
        assert (disk["mount_point"], disk["fstype"]) == ("/proc", "proc")
        assert disk["used_percent"] is None
        assert disk["inodes_used_percent"] is None

    @pytest.mark.parametrize(
        ("error", "state"),
        [(PermissionError(13, "Permission denied"), "denied"), (OSError(116, "Stale file handle"), "error")],
    )
    def test_errors_are_values_with_their_reason(self, error: OSError, state: str) -> None:
        def look(_path: str) -> dict[str, Any]:
            raise error

        (disk,) = host_info.file_systems(psutil, ["/"], 30, look)
        assert (disk["state"], disk["reason"], disk["used_percent"]) == (state, error.strerror, None)

    def test_a_look_that_breaks_is_an_error_not_a_timeout(self) -> None:
        def look(_path: str) -> dict[str, Any]:
            raise RuntimeError

        (disk,) = host_info.file_systems(psutil, ["/"], 30, look)
        assert disk["state"] == "error"

    def test_a_look_that_hangs_is_left_behind_and_killed(self, tmp_path: Path) -> None:
        def look(path: str) -> dict[str, Any]:
            if path == "/":
                streams = [str(Path(f"/proc/self/fd/{number}").readlink()) for number in range(3)]
                (tmp_path / "child").write_text(f"{os.getpid()} {' '.join(streams)}", encoding="utf-8")
                time.sleep(3600)
            return host_info._look(path)

        hung, fine = host_info.file_systems(psutil, ["/", str(tmp_path)], 2, look)
        assert (hung["state"], fine["state"]) == ("timeout", "ok")
        assert "2 s" in hung["reason"]
        assert hung["mount_point"] == "/"
        assert hung["device"]
        pid, *streams = (tmp_path / "child").read_text(encoding="utf-8").split()
        assert streams == ["/dev/null"] * 3, "it would keep the connection open"
        os.waitpid(int(pid), 0)  # returns at once for one that was killed

    def test_no_child_and_no_descriptor_is_left(self) -> None:
        before = open_descriptors()
        info(gather=["disks"], paths=["/", "/proc", "/missing"])
        assert open_descriptors() == before
        assert not [child for child in psutil.Process().children() if child.status() == psutil.STATUS_ZOMBIE]

    @pytest.mark.root
    @pytest.mark.skipif(os.geteuid() != 0 or not os.access("/dev/fuse", os.W_OK), reason="needs root and /dev/fuse")
    def test_a_mount_that_really_hangs(self, tmp_path: Path) -> None:
        # In a mount namespace of its own, so that no df on this machine meets the mount.
        result = subprocess.run(
            ["unshare", "--mount", "--propagation", "private", sys.executable, "-c", HUNG_MOUNT, tmp_path],
            env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        if "cannot mount" in result.stderr:
            pytest.skip(f"FUSE cannot be mounted here: {result.stderr}")
        assert result.returncode == 0, result.stderr
        hung, fine = json.loads(result.stdout)["disks"]
        assert (hung["state"], hung["fstype"], hung["device"]) == ("timeout", "fuse", "hung")
        assert hung["mount_point"] == str(tmp_path)
        assert fine["state"] == "ok"

    def test_the_mount_is_the_longest_and_last_that_covers_the_path(self) -> None:
        def mount(point: str, device: str) -> SimpleNamespace:
            return SimpleNamespace(mountpoint=point, device=device, fstype="ext4")

        mounts = [mount("/", "root"), mount("/srv", "under"), mount("/srv", "over"), mount("/srv/a", "deep")]
        expected = {"/srv": "over", "/srv/b": "over", "/srv2": "root", "/srv/a/x": "deep", "/srv/ab": "over"}
        assert {path: host_info._mount_of(mounts, path)["device"] for path in expected} == expected


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


RATES = ("read_bytes_per_s", "write_bytes_per_s", "read_ops_per_s", "write_ops_per_s", "busy_percent", "wait_ms")

HUNG_MOUNT = """
import ctypes, json, os, sys
from ansible_collections.media_ops.runbook.plugins.module_utils.system.host_info import host_info
target = sys.argv[1]
fuse = os.open("/dev/fuse", os.O_RDWR)
libc = ctypes.CDLL(None, use_errno=True)
options = f"fd={fuse},rootmode=40000,user_id=0,group_id=0"
if libc.mount(b"hung", target.encode(), b"fuse", 0, options.encode()) != 0:
    sys.exit("cannot mount: " + os.strerror(ctypes.get_errno()))
print(json.dumps(host_info({"gather": ["disks"], "paths": [target, "/"], "path_timeout": 2.0,
    "interval": 1.0, "samples": 1, "top": 0, "with_arguments": False})))
"""


class TestIo:
    # runbook: P2P-3C
    def test_five_samples(self) -> None:
        began = time.monotonic()
        found = info(gather=["io"], interval=0.2, samples=5)
        assert time.monotonic() - began >= 1
        assert found["measured_s"] >= 1
        for device in found["io"]:
            assert len(device["samples"]) == 5
            assert Path("/sys/block", device["device"]).exists(), "a partition or no device"
            rates = [value for sample in (device, *device["samples"]) for key, value in sample.items() if key in RATES]
            assert len(rates) == 6 * len(RATES)
            assert all(value is None or 0 <= value < math.inf for value in rates)

    @staticmethod
    def counters(reads: int, written: int, times: int, busy: int) -> SimpleNamespace:
        return SimpleNamespace(
            read_count=reads, write_count=written, read_bytes=reads * 4096, write_bytes=written * 8192,
            read_time=times, write_time=times, busy_time=busy,
        )  # fmt: skip

    def test_rates_over_all_and_for_each_sample(self) -> None:
        marks = [
            (10.0, {"sda": self.counters(100, 50, 0, 0)}),
            (12.0, {"sda": self.counters(110, 50, 20, 500)}),
            (14.0, {"sda": self.counters(110, 90, 20, 2500)}),
        ]
        (sda,) = host_info.io_rates(marks)
        first, second = sda["samples"]
        assert first == {
            "read_bytes_per_s": 20480,
            "write_bytes_per_s": 0,
            "read_ops_per_s": 5.0,
            "write_ops_per_s": 0.0,
            "busy_percent": 25.0,
            "wait_ms": 4.0,
        }
        assert (second["write_ops_per_s"], second["write_bytes_per_s"]) == (20.0, 163840)
        assert (second["busy_percent"], second["wait_ms"]) == (100.0, 0.0)
        assert (sda["read_ops_per_s"], sda["busy_percent"]) == (2.5, 62.5)

    def test_an_idle_device_has_no_average_wait(self) -> None:
        still = self.counters(7, 7, 7, 7)
        (sda,) = host_info.io_rates([(1.0, {"sda": still}), (2.0, {"sda": still})])
        assert (sda["read_ops_per_s"], sda["busy_percent"], sda["wait_ms"]) == (0.0, 0.0, None)

    def test_a_counter_that_went_back_gives_no_rate(self) -> None:
        (sda,) = host_info.io_rates(
            [(1.0, {"sda": self.counters(9, 9, 9, 9)}), (2.0, {"sda": self.counters(1, 1, 1, 1)})]
        )
        assert {value for key, value in sda.items() if key not in ("device", "samples")} == {None}

    def test_a_device_that_comes_or_goes_is_left_out(self) -> None:
        here = self.counters(1, 1, 1, 1)
        marks = [(1.0, {"sda": here, "sdb": here}), (2.0, {"sda": here}), (3.0, {"sda": here, "sdc": here})]
        assert [device["device"] for device in host_info.io_rates(marks)] == ["sda"]

    def test_no_disks_at_all(self) -> None:
        assert host_info._io_counters(SimpleNamespace(disk_io_counters=lambda **_options: None)) == {}


class TestProcesses:
    # runbook: P0-3A
    def test_a_process_that_uses_the_cpu_is_found(self, burner: subprocess.Popen[bytes]) -> None:
        found = info(gather=["processes"], interval=0.5, top=100)["processes"]
        by_cpu = {process["pid"]: process for process in found["top_cpu"]}
        by_memory = {process["pid"]: process for process in found["top_memory"]}
        seen = by_cpu[burner.pid]
        assert seen == by_memory[burner.pid]
        assert 1 <= seen["cpu_percent"] <= 120
        assert seen["memory_rss_bytes"] >= 64 << 20
        assert 0 < seen["memory_percent"] < 100
        assert seen["ppid"] == os.getpid()
        assert seen["user"] == psutil.Process().username()
        assert seen["name"].startswith("python")
        assert seen["started_at"].endswith("Z")
        assert seen["command_line"] is None
        assert os.getpid() not in by_cpu, "the module lists itself"
        assert found["count"] >= len(found["top_cpu"])
        order = [process["cpu_percent"] for process in found["top_cpu"]]
        assert order == sorted(order, reverse=True)
        order = [process["memory_rss_bytes"] for process in found["top_memory"]]
        assert order == sorted(order, reverse=True)

    def test_arguments_come_without_their_secrets(self, burner: subprocess.Popen[bytes]) -> None:
        found = info(gather=["processes"], interval=0.1, top=100, with_arguments=True)
        assert CANARY not in json.dumps(found)
        lines = {process["pid"]: process["command_line"] for process in found["processes"]["top_memory"]}
        assert lines[burner.pid].startswith(sys.executable)
        assert "--password [removed]" in lines[burner.pid]

    @pytest.mark.parametrize("top", [0, 1, 3])
    def test_top_bounds_both_lists(self, top: int) -> None:
        found = info(gather=["processes"], interval=0.1, top=top)["processes"]
        assert (len(found["top_cpu"]), len(found["top_memory"])) == (top, top)

    def test_one_that_vanishes_takes_no_place(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
            gone, here = psutil.Process(child.pid), psutil.Process(os.getppid())
            counted = gone.cpu_times(), gone.memory_info()
            child.kill()
        with monkeypatch.context() as patch:
            patch.setattr(psutil, "process_iter", lambda: iter([gone, here]))
            assert set(host_info._walk(psutil)) == {(here.pid, here.create_time())}
            # Gone after it was counted: it would have been first.
            patch.setattr(gone, "cpu_times", lambda: counted[0]._replace(user=1e6))
            patch.setattr(gone, "memory_info", lambda: counted[1])
            found = host_info._processes(psutil, {}, 1.0, {**DEFAULTS, "top": 1})
        assert [process["pid"] for process in found["top_cpu"]] == [here.pid]

    def test_a_pid_that_was_reused_does_not_inherit_the_cpu_time(self, burner: subprocess.Popen[bytes]) -> None:
        process = psutil.Process(burner.pid)
        before = {(burner.pid, process.create_time() - 100): host_info._Use(-1e6, 0)}
        found = host_info._processes(psutil, before, 1e6, {**DEFAULTS, "top": 100})
        assert max(process["cpu_percent"] for process in found["top_cpu"]) < 100

    def test_what_may_not_be_seen_is_null(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def denied(self: psutil.Process) -> str:
            raise psutil.AccessDenied(self.pid)

        monkeypatch.setattr(psutil.Process, "username", denied)
        monkeypatch.setattr(psutil.Process, "cmdline", denied)
        found = info(gather=["processes"], interval=0.1, top=1, with_arguments=True)["processes"]["top_memory"]
        assert [(process["user"], process["command_line"]) for process in found] == [(None, None)]


class TestContainerLimit:
    @pytest.mark.parametrize(
        ("limit", "used", "expected"),
        [
            ("1000\n", "250\n", (1000, 250)),
            ("max\n", "250\n", (None, None)),
            ("4000\n", "250\n", (None, None)),
            ("1000\n", None, (1000, None)),
            (None, None, (None, None)),
        ],
    )
    def test_limits(
        self, tmp_path: Path, limit: str | None, used: str | None, expected: tuple[int | None, ...]
    ) -> None:
        for name, text in (("memory.max", limit), ("memory.current", used)):
            if text is not None:
                (tmp_path / name).write_text(text, encoding="ascii")
        assert host_info.container_limit(4000, str(tmp_path)) == expected


class TestCommandLine:
    def test_secrets_are_taken_out(self) -> None:
        """Which, the tests of module_utils/redact.py say."""
        assert host_info.command_line(["/usr/bin/x", "--token", CANARY, "-v"]) == "/usr/bin/x --token [removed] -v"

    @pytest.mark.parametrize("before", [[], ["--token"]])
    def test_what_is_too_long_to_look_through_is_not_shown(self, before: list[str]) -> None:
        shown = host_info.command_line(["x", *before, "a" * 5000 + CANARY])
        assert shown == " ".join(["x", *before, "[removed]" if before else f"({5000 + len(CANARY)} characters)"])

    def test_it_is_shortened_to_one_line(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(psutil.Process, "cmdline", lambda _self: ["x\x1b[31m\n", *(["word"] * 500)])
        (seen,) = info(gather=["processes"], interval=0.1, top=1, with_arguments=True)["processes"]["top_memory"]
        assert len(seen["command_line"]) == host_info.COMMAND_LINE_MAX
        assert seen["command_line"].isprintable()
