# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documents in the state directory: whole or not at all, and bounded in number."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.errors import MediaOpsError, OptionError
from ansible_collections.media_ops.runbook.plugins.module_utils.state import state_report

FIRST = {"total_operations": 10, "generated_at": "2026-11-24T18:00:00Z", "stages": [{"name": "merging", "at": 1}]}
PATH = "daily_report_20261124.json"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    made = tmp_path / "state"
    made.mkdir(mode=0o750)
    return made


def report(state_dir: Path | str, *, check_mode: bool = False, diff: bool = False, **options: Any) -> dict[str, Any]:
    defaults: dict[str, Any] = {
        "name": "daily_report",
        "date": "20261124",
        "content": FIRST,
        "state_dir": str(state_dir),
        "create": False,
        "keep": 40,
        "volatile": [],
        "mode": "0640",
        "max_bytes": 5 << 20,
    }
    return state_report.state_report({**defaults, **options}, check_mode=check_mode, diff=diff)


def names(state_dir: Path) -> list[str]:
    return sorted(path.name for path in state_dir.iterdir())


class TestWriting:
    # runbook: DE-1
    def test_a_document_is_kept_by_its_day(self, state_dir: Path) -> None:
        result = report(state_dir)
        path = state_dir / PATH
        assert result == {
            "path": str(path),
            "bytes": path.stat().st_size,
            "changed": True,
            "created_dir": False,
            "removed": [],
            "kept": 1,
        }
        assert json.loads(path.read_text(encoding="utf-8")) == FIRST
        assert path.stat().st_mode & 0o7777 == 0o640
        assert names(state_dir) == [PATH]

    def test_the_same_again_changes_nothing(self, state_dir: Path) -> None:
        report(state_dir)
        before = (state_dir / PATH).stat()
        result = report(state_dir, content=dict(reversed(FIRST.items())))
        after = (state_dir / PATH).stat()
        assert result["changed"] is False
        assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)

    @pytest.mark.parametrize(
        ("content", "changed"),
        [
            ({**FIRST, "generated_at": "later"}, False),
            ({**FIRST, "stages": [{"name": "merging", "at": 2}]}, False),
            ({key: value for key, value in FIRST.items() if key != "generated_at"}, False),
            ({**FIRST, "total_operations": 11}, True),
            ({**FIRST, "total_operations": 10.0}, True),
            ({**FIRST, "total_operations": "10"}, True),
            ({**FIRST, "stages": [{"name": "upload", "at": 1}]}, True),
            ({**FIRST, "stages": []}, True),
        ],
    )
    def test_volatile_keys_do_not_count(self, state_dir: Path, content: dict[str, Any], changed: bool) -> None:
        report(state_dir)
        result = report(state_dir, content=content, volatile=["generated_at", "stages.at", "not.there"])
        assert result["changed"] is changed
        assert json.loads((state_dir / PATH).read_text(encoding="utf-8")) == (content if changed else FIRST)
        assert result["bytes"] == (state_dir / PATH).stat().st_size

    def test_true_is_not_one(self, state_dir: Path) -> None:
        report(state_dir, content={"a": True})
        assert report(state_dir, content={"a": 1})["changed"] is True

    def test_another_mode_is_a_change(self, state_dir: Path) -> None:
        report(state_dir)
        assert report(state_dir, mode="0600")["changed"] is True
        assert (state_dir / PATH).stat().st_mode & 0o7777 == 0o600
        assert report(state_dir, mode="0600")["changed"] is False

    @pytest.mark.parametrize("broken", [b"", b"{", b"\xff\xfe", b'{"total_operations": 10}', b"[" * 100_000])
    def test_a_broken_document_is_replaced(self, state_dir: Path, broken: bytes) -> None:
        (state_dir / PATH).write_bytes(broken)
        assert report(state_dir)["changed"] is True
        assert json.loads((state_dir / PATH).read_text(encoding="utf-8")) == FIRST

    def test_today_in_utc_is_the_default(self, state_dir: Path) -> None:
        before = datetime.now(UTC)
        path = report(state_dir, date=None)["path"]
        days = {f"{day:%Y%m%d}" for day in (before, datetime.now(UTC))}
        assert Path(path).name in {f"daily_report_{day}.json" for day in days}

    def test_both_forms_of_a_date_are_one_day(self, state_dir: Path) -> None:
        assert report(state_dir, date="2026-11-24")["path"] == report(state_dir, date="20261124")["path"]

    def test_text_is_written_as_it_is(self, state_dir: Path) -> None:
        report(state_dir, content=["Ünïcode ☂", None, 1.5])
        assert (state_dir / PATH).read_text(encoding="utf-8") == '[\n  "Ünïcode ☂",\n  null,\n  1.5\n]\n'


class TestCheckMode:
    def test_nothing_is_written_and_the_answer_is_the_same(self, state_dir: Path) -> None:
        for day in ("20261101", "20261102"):
            report(state_dir, date=day)
        before = names(state_dir)
        planned = report(state_dir, keep=2, check_mode=True)
        assert names(state_dir) == before
        assert planned == report(state_dir, keep=2)
        assert planned["removed"] == [str(state_dir / "daily_report_20261101.json")]

    def test_a_directory_that_would_be_made(self, tmp_path: Path) -> None:
        planned = report(tmp_path / "new", create=True, check_mode=True)
        assert names(tmp_path) == []
        assert planned == report(tmp_path / "new", create=True)
        assert (tmp_path / "new").stat().st_mode & 0o7777 == 0o750

    @pytest.mark.parametrize("check_mode", [False, True])
    def test_the_diff_is_the_document_before_and_after(self, state_dir: Path, check_mode: bool) -> None:
        report(state_dir, content={"a": 1})
        diff = report(state_dir, content={"a": 2}, check_mode=check_mode, diff=True)["diff"]
        assert (json.loads(diff["before"]), json.loads(diff["after"])) == ({"a": 1}, {"a": 2})
        assert diff["before_header"] == diff["after_header"] == str(state_dir / PATH)

    def test_no_difference_where_only_volatile_keys_differ(self, state_dir: Path) -> None:
        report(state_dir)
        diff = report(state_dir, content={**FIRST, "generated_at": "x"}, volatile=["generated_at"], diff=True)["diff"]
        assert diff["before"] == diff["after"] != ""


class TestKeeping:
    def test_the_newest_by_date_are_kept(self, state_dir: Path) -> None:
        for day in ("20251231", "20260101", "20261123", "20261122"):
            report(state_dir, date=day)
            # Not by the time of the file.
            os.utime(state_dir / f"daily_report_{day}.json", (1, 2_000_000_000 - int(day)))
        result = report(state_dir, keep=3)
        assert names(state_dir) == [f"daily_report_{day}.json" for day in ("20261122", "20261123", "20261124")]
        assert result["removed"] == [str(state_dir / f"daily_report_{day}.json") for day in ("20251231", "20260101")]
        assert result["kept"] == 3

    def test_the_one_written_now_is_never_dropped(self, state_dir: Path) -> None:
        for day in ("20261123", "20261122"):
            report(state_dir, date=day)
        result = report(state_dir, date="20200101", keep=1)
        assert names(state_dir) == ["daily_report_20200101.json"]
        assert result["kept"] == 1

    def test_dropping_alone_is_a_change(self, state_dir: Path) -> None:
        for day in ("20261123", "20261124"):
            report(state_dir, date=day)
        assert report(state_dir, keep=1)["changed"] is True
        assert report(state_dir, keep=1)["changed"] is False

    def test_nothing_else_is_touched(self, state_dir: Path) -> None:
        others = [
            "daily_report_20261101.json.gz", "daily_report_2026110.json", "daily_report_20269999.json", "ledger.jsonl",
            "daily_report_x_20261101.json", "weekly_report_20261101.json", "xdaily_report_20261101.json",
            "daily_report_20261101\n.json", ".daily_report_20261101.json",
        ]  # fmt: skip
        for name in others:
            (state_dir / name).touch()
        (state_dir / "daily_report_20261102.json").mkdir()
        assert report(state_dir, keep=1)["removed"] == []
        assert set(names(state_dir)) == {*others, "daily_report_20261102.json", PATH}

    def test_a_link_is_dropped_and_its_target_is_not(self, state_dir: Path, tmp_path: Path) -> None:
        target = tmp_path / "target"
        target.write_text("precious", encoding="utf-8")
        (state_dir / "daily_report_20200101.json").symlink_to(target)
        assert len(report(state_dir, keep=1)["removed"]) == 1
        assert target.read_text(encoding="utf-8") == "precious"

    def test_what_a_killed_run_left_goes_when_it_is_old(self, state_dir: Path) -> None:
        old = state_dir / f".daily_report_20261101.json.{'a' * 16}.tmp"
        young = state_dir / f".daily_report_20261101.json.{'b' * 16}.tmp"
        for path in (old, young):
            path.touch()
        os.utime(old, (1, 1))
        report(state_dir)
        assert names(state_dir) == [young.name, PATH]


class TestMisuse:
    @pytest.mark.parametrize(
        ("option", "value"),
        [
            ("name", ""),
            ("name", "Daily"),
            ("name", "../x"),
            ("name", "daily-report"),
            ("name", "daily\n"),
            ("name", "a" * 65),
            ("date", ""),
            ("date", "today"),
            ("date", "20261301"),
            ("date", "2026-1124"),
            ("date", "2026-11-24 "),
            ("date", "20260229"),
            ("date", "٢٠٢٦١١٢٤"),
            ("keep", 0),
            ("keep", -1),
            ("max_bytes", 1023),
            ("max_bytes", (100 << 20) + 1),
            ("state_dir", "relative"),
            ("state_dir", ""),
            ("state_dir", "/"),
            ("state_dir", "//"),
            ("state_dir", "/tmp/.."),
            ("state_dir", "/does/not/exist"),
            ("content", "text"),
            ("content", None),
            ("content", 1),
            ("content", {"a": float("nan")}),
            ("content", {"a": float("inf")}),
            ("content", {"a": "\udc80"}),
        ],
    )
    def test_options_that_cannot_be_right_are_refused_by_name(
        self, state_dir: Path, option: str, value: object
    ) -> None:
        with pytest.raises(OptionError, match=f"option '{option}'"):
            report(**cast("dict[str, Any]", {"state_dir": state_dir, option: value}))
        assert names(state_dir) == []

    def test_a_document_too_large(self, state_dir: Path) -> None:
        with pytest.raises(OptionError, match="max_bytes, 1024"):
            report(state_dir, content=["x" * 1024], max_bytes=1024)
        assert names(state_dir) == []

    def test_a_directory_that_is_a_link(self, state_dir: Path, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(state_dir)
        for path in (tmp_path / "link", f"{tmp_path}/link/"):
            with pytest.raises(OptionError, match="symbolic link"):
                report(path)
        assert names(state_dir) == []

    def test_a_directory_that_is_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(OptionError, match="Not a directory"):
            report(tmp_path / "file", create=True)

    def test_a_directory_whose_parent_is_missing_is_not_made(self, tmp_path: Path) -> None:
        with pytest.raises(OptionError, match="parent"):
            report(tmp_path / "a" / "b", create=True)

    @pytest.mark.parametrize(("mode", "refused"), [(0o777, True), (0o752, True), (0o1777, False), (0o770, False)])
    def test_a_directory_that_everybody_may_write_in(self, state_dir: Path, mode: int, refused: bool) -> None:
        state_dir.chmod(mode)
        if refused:
            with pytest.raises(OptionError, match="everybody may write"):
                report(state_dir)
        else:
            assert report(state_dir)["changed"] is True

    def test_a_document_that_is_a_directory(self, state_dir: Path) -> None:
        (state_dir / PATH).mkdir()
        with pytest.raises(MediaOpsError, match="is a directory"):
            report(state_dir)

    def test_a_document_that_is_a_link_is_replaced_and_not_followed(self, state_dir: Path, tmp_path: Path) -> None:
        target = tmp_path / "target"
        target.write_text(json.dumps(FIRST), encoding="utf-8")
        (state_dir / PATH).symlink_to(target)
        assert report(state_dir, content={"a": 1})["changed"] is True
        assert json.loads(target.read_text(encoding="utf-8")) == FIRST
        assert not (state_dir / PATH).is_symlink()

    def test_a_document_that_is_a_fifo_does_not_hold_up(self, state_dir: Path) -> None:
        os.mkfifo(state_dir / PATH)
        assert report(state_dir)["changed"] is True
        assert (state_dir / PATH).is_file()


CHILD = """
import json, os, resource, sys
from ansible_collections.media_ops.runbook.plugins.module_utils.errors import MediaOpsError
from ansible_collections.media_ops.runbook.plugins.module_utils.state.state_report import state_report
params = json.loads(sys.argv[1])
setup = params.pop("setup")
if "file_size" in setup:
    resource.setrlimit(resource.RLIMIT_FSIZE, (setup["file_size"],) * 2)
if "uid" in setup:
    os.setgroups([])
    os.setgid(setup["uid"])
    os.setuid(setup["uid"])
try:
    print(json.dumps(state_report(params)))
except MediaOpsError as error:
    print(json.dumps({"error": str(error), **error.details}))
"""


def report_elsewhere(state_dir: Path, setup: dict[str, Any], **options: Any) -> dict[str, Any]:
    """The same in a process of its own, which is first restricted."""
    params = {
        "name": "daily_report", "date": "20261124", "content": FIRST, "state_dir": str(state_dir), "create": False,
        "keep": 1, "volatile": [], "mode": "0640", "max_bytes": 5 << 20, "setup": setup, **options,
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", CHILD, json.dumps(params)],
        env={**os.environ, "PYTHONPATH": ":".join(sys.path)}, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout)
    return found


class TestTrouble:
    def test_a_write_that_fails_leaves_the_old_and_nothing_else(self, state_dir: Path) -> None:
        report(state_dir, date="20261101")
        report(state_dir)
        found = report_elsewhere(state_dir, {"file_size": 4096}, content=["x" * 100_000])
        assert found["error"] == f"cannot write {state_dir / PATH}: File too large"
        assert json.loads((state_dir / PATH).read_text(encoding="utf-8")) == FIRST
        assert names(state_dir) == ["daily_report_20261101.json", PATH], "dropped old ones, or left a part"

    @pytest.mark.root
    @as_root
    def test_a_full_disk(self, state_dir: Path) -> None:
        # In a mount namespace of its own: the mount goes with it.
        script = f"""
            mount -t tmpfs -o size=64k,mode=750 full {state_dir} || exit 77
            echo '{{"old": 1}}' > {state_dir}/{PATH}
            {sys.executable} -c "$CHILD" "$PARAMS"
            cat {state_dir}/*.json; ls -A {state_dir}
        """
        params = {
            "name": "daily_report", "date": "20261124", "content": ["x" * 100_000], "state_dir": str(state_dir),
            "create": False, "keep": 1, "volatile": [], "mode": "0640", "max_bytes": 5 << 20, "setup": {},
        }  # fmt: skip
        environment = {"PYTHONPATH": ":".join(sys.path), "CHILD": CHILD, "PARAMS": json.dumps(params)}
        done = subprocess.run(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", script],
            env={**os.environ, **environment}, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        if done.returncode == 77:
            pytest.skip(f"tmpfs cannot be mounted here: {done.stderr}")
        found, old, *left = done.stdout.splitlines()
        assert json.loads(found)["errno"] == 28
        assert "No space left on device" in json.loads(found)["error"]
        assert (old, left) == ('{"old": 1}', [PATH])

    @pytest.mark.root
    @as_root
    def test_a_directory_of_another_user_is_refused_except_by_root(self, tmp_path: Path) -> None:
        other = Path("/var/tmp") / f"media_ops_test_{os.getpid()}"  # where every user may go
        other.mkdir(mode=0o777)
        try:
            os.chown(other, 4321, 4322)
            other.chmod(0o775)
            found = report_elsewhere(other, {"uid": 65534})
            assert "belongs to another user (uid 4321)" in found["error"]
            assert report(other)["changed"] is True
            facts = (other / PATH).stat()
            assert (facts.st_uid, facts.st_gid) == (4321, 4322), "its owner could not read it"
        finally:
            for path in other.iterdir():
                path.unlink()
            other.rmdir()

    @pytest.mark.root
    @as_root
    def test_denied_is_said(self) -> None:
        roots = Path("/var/tmp") / f"media_ops_test_{os.getpid()}"
        roots.mkdir(mode=0o755)
        try:
            found = report_elsewhere(roots, {"uid": 65534})
            assert found["error"] == f"cannot write {roots / PATH}: Permission denied"
        finally:
            roots.rmdir()

    def test_a_reader_never_sees_a_part(self, state_dir: Path) -> None:
        # Large enough for a write in place to be caught half done.
        writer = f"""
import sys
from ansible_collections.media_ops.runbook.plugins.module_utils.state.state_report import state_report
for number in range(60):
    state_report({{"name": "daily_report", "date": "20261124", "content": [number] * 20000, "volatile": [], "keep": 1,
        "state_dir": {str(state_dir)!r}, "create": False, "mode": "0640", "max_bytes": 5 << 20}})
"""
        environment = {**os.environ, "PYTHONPATH": ":".join(sys.path)}
        report(state_dir, content=[-1])
        seen = set()
        with subprocess.Popen([sys.executable, "-c", writer], env=environment) as process:
            while process.poll() is None:
                numbers = set(json.loads((state_dir / PATH).read_text(encoding="utf-8")))
                assert len(numbers) == 1
                seen |= numbers
        assert process.returncode == 0
        assert len(seen) > 1, "the reader never met the writer"
        assert names(state_dir) == [PATH]
