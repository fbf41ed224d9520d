# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reports of a run: whole or not at all, and no more than are wanted; with real files and real collisions."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.errors import MediaOpsError, OptionError
from ansible_collections.media_ops.runbook.plugins.plugin_utils.report import report_files

RUN = "20261124T060000Z"
FILES = {"report.html": "<html>", "result.json": "{}"}
ROOT = Path(__file__).resolve().parents[5]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "reports" / "daily_morning"


def write(directory: Path | str, run: str = RUN, *, check_mode: bool = False, **options: Any) -> dict[str, Any]:
    defaults: dict[str, Any] = {"directory": str(directory), "run": run, "files": FILES, "link": "latest", "keep": 60}
    return report_files.report_files({**defaults, **options}, check_mode=check_mode)


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def read_in(directory: int, name: str) -> str:
    with os.fdopen(os.open(name, os.O_RDONLY, dir_fd=directory), encoding="utf-8") as file:
        return file.read()


def old_run(directory: Path, run: str, **files: str) -> Path:
    path = directory / run
    path.mkdir(parents=True)
    for name, text in (files or {"result": "{}"}).items():
        (path / name).write_text(text, encoding="utf-8")
    return path


class TestWriting:
    def test_a_run_is_written_with_its_modes_whatever_the_umask(self, directory: Path) -> None:
        before = os.umask(0o077)
        try:
            result = write(directory)
        finally:
            os.umask(before)
        path = directory / RUN
        assert result == {
            "changed": True,
            "path": str(path),
            "files": [str(path / "report.html"), str(path / "result.json")],
            "link": str(directory / "latest"),
            "removed": [],
            "not_removed": [],
            "kept": 1,
        }
        assert names(directory) == [RUN, "latest"]
        assert {name: (path / name).read_text(encoding="utf-8") for name in names(path)} == FILES
        assert {oct(made.stat().st_mode & 0o7777) for made in (path, directory, directory.parent)} == {"0o750"}
        assert {oct((path / name).stat().st_mode & 0o7777) for name in FILES} == {"0o640"}
        assert str((directory / "latest").readlink()) == RUN

    def test_the_link_leads_to_the_newest(self, directory: Path) -> None:
        write(directory)
        write(directory, "20261125T060000Z", files={"result.json": "new"})
        assert (directory / "latest" / "result.json").read_text(encoding="utf-8") == "new"
        assert names(directory) == [RUN, "20261125T060000Z", "latest"]

    def test_a_link_that_leads_elsewhere_is_pointed_anew_and_not_written_through(
        self, directory: Path, tmp_path: Path
    ) -> None:
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        directory.mkdir(parents=True)
        (directory / "latest").symlink_to(elsewhere)
        write(directory)
        assert str((directory / "latest").readlink()) == RUN
        assert names(elsewhere) == []

    def test_foreign_text_is_written_whatever_is_in_it(self, directory: Path) -> None:
        write(directory, files={"report.md": "Grüße \ud800 {{ 7 * 7 }}"})
        assert (directory / RUN / "report.md").read_text(encoding="utf-8") == "Grüße ? {{ 7 * 7 }}"

    def test_two_runs_of_one_second_do_not_write_over_each_other(self, directory: Path) -> None:
        write(directory)
        write(directory, files={"result.json": "second"})
        third = write(directory, files={"result.json": "third"})
        assert third["path"] == str(directory / f"{RUN}-3")
        assert names(directory) == [RUN, f"{RUN}-2", f"{RUN}-3", "latest"]
        assert (directory / RUN / "result.json").read_text(encoding="utf-8") == "{}"
        assert str((directory / "latest").readlink()) == f"{RUN}-3"

    def test_many_at_once_each_get_a_place(self, directory: Path) -> None:
        got: list[str] = []
        at_once = [threading.Thread(target=lambda: got.append(write(directory)["path"])) for _number in range(12)]
        for thread in at_once:
            thread.start()
        for thread in at_once:
            thread.join()
        assert len(set(got)) == 12
        assert all(names(Path(path)) == sorted(FILES) for path in got)
        assert names(directory) == sorted([*(Path(path).name for path in got), "latest"])

    @as_root
    def test_written_by_root_it_belongs_to_whom_the_directory_belongs(self, directory: Path) -> None:
        directory.mkdir(parents=True)
        os.chown(directory, 12345, 12346)
        write(directory)
        made = [directory / RUN, *(directory / RUN / name for name in FILES)]
        assert {(path.stat().st_uid, path.stat().st_gid) for path in made} == {(12345, 12346)}


class TestCheckMode:
    def test_nothing_is_written_and_the_result_is_the_same(self, tmp_path: Path, directory: Path) -> None:
        planned = write(directory, check_mode=True)
        assert list(tmp_path.iterdir()) == []
        assert write(directory) == planned

    def test_it_says_what_would_go(self, directory: Path) -> None:
        gone = old_run(directory, "20260101T000000Z")
        planned = write(directory, check_mode=True, keep=1)
        assert planned["removed"] == [str(gone)]
        assert names(directory) == ["20260101T000000Z"]
        assert write(directory, keep=1) == planned


class TestKeeping:
    def test_the_newest_stay(self, directory: Path) -> None:
        for day in ("20261120", "20261122", "20261121"):
            write(directory, f"{day}T060000Z")
        result = write(directory, keep=2)
        assert [Path(path).name for path in result["removed"]] == ["20261120T060000Z", "20261121T060000Z"]
        assert names(directory) == ["20261122T060000Z", RUN, "latest"]
        assert result["kept"] == 2

    def test_of_one_second_the_later_number_is_newer(self, directory: Path) -> None:
        for _run in range(11):
            write(directory)
        assert write(directory, "20261125T060000Z", keep=3)["kept"] == 3
        assert names(directory) == [f"{RUN}-10", f"{RUN}-11", "20261125T060000Z", "latest"]

    def test_the_run_of_now_stays_when_the_clock_went_back(self, directory: Path) -> None:
        old_run(directory, "20990101T000000Z")
        assert write(directory, keep=1)["removed"] == [str(directory / "20990101T000000Z")]
        assert names(directory) == [RUN, "latest"]

    def test_only_what_is_a_run_ever_goes(self, directory: Path, tmp_path: Path) -> None:
        """Names that look alike, files, and links to a directory that would be emptied."""
        precious = tmp_path / "precious"
        old_run(precious.parent, "precious", diary="mine")
        directory.mkdir(parents=True)
        (directory / "20260101T000000Z").symlink_to(precious)
        (directory / "20260102T000000Z").write_text("a file", encoding="utf-8")
        for name in ("notes", "20260103", "20260103T000000Z.bak", "x20260103T000000Z", "2026010xT000000Z"):
            old_run(directory, name)
        before = names(directory)
        result = write(directory, keep=1)
        assert (result["removed"], result["kept"]) == ([], 1)
        assert names(directory) == sorted([*before, RUN, "latest"])
        assert names(precious) == ["diary"]

    def test_a_link_within_an_old_run_goes_and_what_it_leads_to_stays(self, directory: Path, tmp_path: Path) -> None:
        precious = old_run(tmp_path, "precious", diary="mine")
        old = old_run(directory, "20260101T000000Z")
        (old / "to_a_directory").symlink_to(precious)
        (old / "to_a_file").symlink_to(precious / "diary")
        assert write(directory, keep=1)["removed"] == [str(old)]
        assert (precious / "diary").read_text(encoding="utf-8") == "mine"

    def test_a_run_in_which_somebody_keeps_a_directory_stays_whole_and_is_named(self, directory: Path) -> None:
        old = old_run(directory, "20260101T000000Z", result="{}")
        (old / "evidence").mkdir()
        result = write(directory, keep=1)
        assert (result["removed"], result["kept"]) == ([], 2)
        assert result["not_removed"] == [{"path": str(old), "reason": "it holds a directory, which no run has made"}]
        assert names(old) == ["evidence", "result"]

    def test_what_a_killed_run_left_goes_after_an_hour(self, directory: Path) -> None:
        stale = old_run(directory, f".{RUN}.{'0' * 16}.tmp")
        fresh = old_run(directory, f".{RUN}.{'1' * 16}.tmp")
        others = old_run(directory, ".mine.tmp")
        for path in (stale, others):
            os.utime(path, (time.time() - 4000,) * 2)
        write(directory)
        assert names(directory) == [fresh.name, others.name, RUN, "latest"]


class TestFailing:
    def test_a_disk_that_is_full_leaves_the_run_before(self, directory: Path) -> None:
        """A file that the kernel refuses to let grow, in a process of its own."""
        write(directory)
        script = (
            "import sys; from ansible_collections.media_ops.runbook.plugins.plugin_utils.report import report_files\n"
            "try: report_files.report_files({'directory': sys.argv[1], 'run': '20261125T060000Z', 'link': 'latest',"
            " 'keep': 1, 'files': {'a.txt': 'small', 'big.txt': 'x' * 100000}})\n"
            "except Exception as error: print(type(error).__name__, error)"
        )

        def limit() -> None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (50000, 50000))

        ran = subprocess.run(
            [sys.executable, "-c", script, str(directory)],
            env={**os.environ, "PYTHONPATH": str(ROOT / "playbooks/collections")},
            preexec_fn=limit,
            capture_output=True,
            text=True,
            check=True,
        )
        assert ran.stdout.startswith("MediaOpsError cannot write "), ran.stdout + ran.stderr
        assert "big.txt: File too large" in ran.stdout
        assert names(directory) == [RUN, "latest"]
        assert names(directory / "latest") == sorted(FILES)

    def test_a_directory_in_the_place_of_the_link_is_not_replaced(self, directory: Path) -> None:
        (directory / "latest").mkdir(parents=True)
        with pytest.raises(MediaOpsError, match=r"cannot point .*/latest to 20261124T060000Z"):
            write(directory)
        assert names(directory) == [RUN, "latest"]
        assert not (directory / "latest").is_symlink()

    def test_a_reader_never_sees_half_a_report(self, directory: Path) -> None:
        """Whoever looks through the link finds all files of one and the same run."""
        names_of = [f"{number}.txt" for number in range(4)]
        stop = threading.Event()
        torn: list[str] = []
        looks = 0

        def look() -> None:
            nonlocal looks
            while not stop.is_set():
                opened = os.open(directory / "latest", os.O_DIRECTORY)
                found = {read_in(opened, name) for name in names_of}
                os.close(opened)
                looks += 1
                if len(found) != 1:
                    torn.append(str(found))

        write(directory, files=dict.fromkeys(names_of, "first"))
        reader = threading.Thread(target=look)
        reader.start()
        for minute in range(40):
            write(directory, f"20261125T06{minute:02}00Z", files=dict.fromkeys(names_of, str(minute)))
        stop.set()
        reader.join()
        assert torn == []
        assert looks > 0, "a reader that found no link has died"


class TestMisuse:
    @pytest.mark.parametrize(
        "run", ["", "latest", "../20261124T060000Z", "20261124T060000Z/x", "20261124", f"{RUN}-2", f"{RUN}\n"]
    )
    def test_a_run_must_be_a_time(self, tmp_path: Path, directory: Path, run: str) -> None:
        with pytest.raises(OptionError, match="option 'run'"):
            write(directory, run)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("name", ["", "a/b", "/etc/passwd", "..", ".", ".hidden", "a\n", "x" * 101, "a b", 7])
    def test_a_file_must_have_a_plain_name(self, tmp_path: Path, directory: Path, name: object) -> None:
        with pytest.raises(OptionError, match="option 'files'"):
            write(directory, files={"good.txt": "", name: ""})
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("link", ["", "../latest", "a/b", ".x", "20260101T000000Z"])
    def test_a_link_must_have_a_plain_name(self, tmp_path: Path, directory: Path, link: str) -> None:
        with pytest.raises(OptionError, match="option 'link'"):
            write(directory, link=link)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"files": {}}, "option 'files'"),
            ({"files": {"result.json": {"state": "ok"}}}, "result.json: dict"),
            ({"keep": 0}, "option 'keep'"),
            ({"directory": "/"}, "option 'directory'"),
        ],
    )
    def test_what_cannot_be_is_refused(self, tmp_path: Path, directory: Path, options: Any, said: str) -> None:
        with pytest.raises(OptionError, match=said):
            write(**{"directory": directory, **options})
        assert list(tmp_path.iterdir()) == []

    def test_a_directory_that_is_a_link_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "real").mkdir()
        (tmp_path / "link").symlink_to(tmp_path / "real")
        with pytest.raises(OptionError, match=r"option 'directory' is .* is a symbolic link"):
            write(tmp_path / "link")
        assert names(tmp_path / "real") == []

    def test_a_directory_where_everybody_may_write_is_refused(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o777)
        with pytest.raises(OptionError, match="everybody may write there"):
            write(tmp_path)
        assert names(tmp_path) == []
