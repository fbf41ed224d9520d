# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Logs of JSON lines: what matches, what is counted, and that each line is read exactly once."""

from __future__ import annotations

import gzip
import json
import math
import os
import shutil
import stat
import subprocess
import sys
import threading
import tracemalloc
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils import deadline
from ansible_collections.media_ops.runbook.plugins.module_utils.errors import OptionError
from ansible_collections.media_ops.runbook.plugins.module_utils.logs import digest as digesting
from ansible_collections.media_ops.runbook.plugins.module_utils.logs import files, log_digest_info, scan
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.bench import log_module
from tests.bench.log_file import lines as bench_lines
from tests.bench.log_file import write_log

ERROR = {"field": "level", "op": "eq", "value": "ERROR"}
DEFAULTS = {name: option.get("default") for name, option in log_digest_info.argument_spec().items()}


def digest(path: Path | str, *, check_mode: bool = False, **options: Any) -> dict[str, Any]:
    where = [{"op": "eq", "value": None, **condition} for condition in options.pop("where", [])]
    return log_digest_info.log_digest({**DEFAULTS, "path": str(path), "where": where, **options}, check_mode=check_mode)


def write(path: Path, *entries: Any, spaced: bool = True) -> Path:
    separators = (", ", ": ") if spaced else (",", ":")
    with path.open("ab") as file:
        for entry in entries:
            line = entry if isinstance(entry, bytes) else json.dumps(entry, separators=separators).encode()
            file.write(line + b"\n")
    return path


def error(code: str | None = "FFMPEG_FAILED", **more: Any) -> dict[str, Any]:
    return {"timestamp": "2026-11-24T05:00:00.000001", "level": "ERROR", "extra": {"error_code": code, **more}}


INFO = {"timestamp": "2026-11-24T05:00:00.000001", "level": "INFO", "message": "ERROR is not my level", "extra": {}}


def counted(result: dict[str, Any], field: str = "extra.error_code") -> list[tuple[str, int]]:
    return [(row["value"], row["count"]) for row in result["counts"][field]]


class TestCounting:
    # runbook: DE-2
    @pytest.mark.parametrize("spaced", [True, False])
    def test_codes_most_first_and_unknown_where_there_is_none(self, tmp_path: Path, spaced: bool) -> None:
        no_code = {**error(), "extra": {}}
        path = write(
            tmp_path / "a.log", error(), INFO, error("B"), error(), error(None), no_code, error("A"), spaced=spaced
        )
        result = digest(path, where=[ERROR], count_by=["extra.error_code"])
        assert counted(result) == [("FFMPEG_FAILED", 2), ("UNKNOWN", 2), ("A", 1), ("B", 1)]
        assert (result["matched"], result["lines"], result["bad_lines"]) == (6, 7, 0)
        assert (result["state"], result["complete"], result["changed"]) == ("ok", True, False)

    def test_a_level_written_with_escapes_is_found(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.log", *[INFO] * 50, rb'{"level":"\u0045RR\u004fR"}', rb'{"\u006cevel" : "ERROR"}')
        assert digest(path, where=[ERROR])["matched"] == 2

    def test_too_many_values_are_counted_together_and_said(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.log", *[error(f"C{number % 7}") for number in range(70)])
        result = digest(path, count_by=["extra.error_code", "level"], max_values=3)
        assert counted(result) == [("C0", 10), ("C1", 10), ("C2", 10), ("OTHER", 40)]
        assert result["counts_capped"] == ["extra.error_code"]

    def test_values_that_are_no_texts(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.log", *[{"v": value} for value in (True, 1, 1.5, [1, "a"], {"a": None}, "x" * 300)])
        expected = {"true", "1", "1.5", '[1,"a"]', '{"a":null}', "x" * 200 + "… (100 more characters)"}
        assert {value for value, _count in counted(digest(path, count_by=["v"]), "v")} == expected

    # runbook: P1-1B, P1-2B
    def test_counts_over_the_last_ones_only(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.log", *[error("OLD")] * 9, INFO, error("X", n=1), error("Y", n=2), INFO)
        result = digest(
            path, where=[ERROR], last=3, count_scope="last", count_by=["extra.error_code"], numeric=["extra.n"]
        )
        assert counted(result) == [("OLD", 1), ("X", 1), ("Y", 1)]
        assert result["numeric"]["extra.n"]["sum"] == 3
        assert result["matched"] == 11


class TestConditions:
    ENTRIES = (
        {"id": 0, "extra": {"success": False, "d": 300}},
        {"id": 1, "extra": {"success": "false", "d": 300.5}},
        {"id": 2, "extra": {"success": 0, "d": "301"}, "message": "session abc: done"},
        {"id": 3, "extra": {"session_id": "abc", "d": True}},
        {"id": 4, "extra": {"session_id": "abc-2", "d": 1}, "message": "abc2 xabc abc_1"},
        {"id": 5, "extra": None, "paths": [["/temp/abc/merged.mp4"]]},
        {"id": 6, "extra": {"success": True, "d": None, "é": "ü"}},
        {"id": 7, "extra": {"session_id": 4711}},
    )

    # runbook: P1-1C, P1-2G, P1-2H, P2P-2C, P2S-1B
    @pytest.mark.parametrize(
        ("field", "op", "value", "ids"),
        [
            ("extra.success", "eq", False, [0]),
            ("extra.success", "eq", 0, [2]),
            ("extra.success", "ne", False, [1, 2, 3, 4, 5, 6, 7]),
            ("extra.d", "gt", 300, [1]),
            ("extra.d", "ge", 300, [0, 1]),
            ("extra.d", "lt", 300, [4]),
            ("extra.d", "le", 300, [0, 4]),
            ("extra.d", "eq", 300.0, [0]),
            ("extra.d", "exists", None, [0, 1, 2, 3, 4]),
            ("extra.d", "exists", False, [5, 6, 7]),
            ("extra.session_id", "in", ["abc", "zzz"], [3]),
            ("extra.session_id", "not_in", ["abc", 4711], [0, 1, 2, 4, 5, 6]),
            ("extra.session_id", "contains", "abc", [3, 4]),
            ("*", "contains_token", "abc", [2, 3, 5]),
            ("*", "contains_token", "4711", [7]),
            ("message", "contains_token", "abc2", [4]),
            ("*", "contains", "bc_", [4]),
            ("extra.é", "eq", "ü", [6]),
            ("extra.é", "contains", "ü", [6]),
        ],
    )
    @pytest.mark.parametrize("ascii_only", [True, False])
    def test_operators(self, tmp_path: Path, field: str, op: str, value: Any, ids: list[int], ascii_only: bool) -> None:
        path = write(tmp_path / "a.log", *[json.dumps(e, ensure_ascii=ascii_only).encode() for e in self.ENTRIES])
        for parse_all in (False, True):
            result = digest(
                path,
                where=[{"field": field, "op": op, "value": value}],
                last=10,
                fields=["id"],
                parse_all=parse_all,
            )
            assert [entry["id"] for entry in result["last"]] == ids

    def test_all_conditions_must_hold(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.log", error("A"), error("B"), {**error("A"), "level": "INFO"})
        assert digest(path, where=[ERROR, {"field": "extra.error_code", "value": "A"}])["matched"] == 1

    @pytest.mark.parametrize(
        ("options", "says"),
        [
            ({"path": "a.log"}, "option 'path' is 'a.log': must be an absolute path"),
            ({"last": 501}, "option 'last' is 501: must be 0 to 500"),
            ({"hours": math.nan}, "option 'hours' is nan"),
            ({"max_line_bytes": 10}, "option 'max_line_bytes' is 10"),
            ({"count_scope": "last"}, "option 'count_scope' is 'last': needs last"),
            ({"fields": ["a"]}, "option 'fields' is ['a']: needs last"),
            ({"count_by": ["a..b"]}, "option 'count_by' is 'a..b'"),
            ({"cursor": "x"}, "option 'cursor' is 'x': needs state_dir"),
            ({"cursor": "../x", "state_dir": "/tmp"}, "option 'cursor' is '../x'"),
            ({"where": [{"field": "a", "op": "gt", "value": "5"}]}, "gt needs as value a number"),
            ({"where": [{"field": "a", "op": "eq", "value": None}]}, "for null, use exists"),
            ({"where": [{"field": "a", "op": "in", "value": "x"}]}, "in needs as value a list"),
            ({"where": [{"field": "a", "op": "exists", "value": "no"}]}, "exists needs as value true"),
            ({"where": [{"field": "*", "op": "contains_token", "value": " "}]}, "a text that is not empty"),
            ({"where": [{"field": "*", "op": "eq", "value": "a"}]}, "goes with contains and contains_token only"),
        ],
    )
    def test_misuse_names_option_and_value(self, options: dict[str, Any], says: str) -> None:
        with pytest.raises(OptionError) as caught:
            digest(**{"path": "/nonexistent.log", **options})
        assert says in str(caught.value)


class TestBadLines:
    BROKEN = (b"plain text", b'{"level": "ER', b"", b"[1]", b"\0\0" + b'{"a": 1}', b"\xff\xfe", b'"x"', b"{not json}")

    @pytest.mark.parametrize("where", [[], [ERROR]])
    def test_are_counted_and_skipped(self, tmp_path: Path, where: list[Any]) -> None:
        path = tmp_path / "a.log"
        for broken in self.BROKEN:
            write(path, INFO, broken, error(), *[INFO] * 5)
        result = digest(path, where=where, count_by=["level"])
        assert (result["lines"], result["bad_lines"]) == (64, 8)
        assert dict(counted(result, "level"))["ERROR"] == 8
        assert result["parsed"] == ("matching" if where else "all")

    def test_invalid_utf8_control_characters_and_nan_do_not_hide_an_error(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.log", b'{"level": "ERROR", "message": "\xff\x00\x1b", "n": NaN, "i": -Infinity}\r')
        result = digest(path, where=[ERROR], last=1, numeric=["n", "i"])
        assert (result["matched"], result["bad_lines"]) == (1, 0)
        assert result["last"] == [{"level": "ERROR", "message": "�\0\x1b", "n": None, "i": None}]
        json.dumps(result, allow_nan=False)

    @pytest.mark.parametrize(
        "hidden",
        [
            [{**error(), "extra": {"level": "INFO"}}],
            [error(), {**INFO, "extra": {"level": "INFO"}}],
            [{"timestamp": INFO["timestamp"], "severity": "ERROR"}, {**INFO, "extra": {"level": "INFO"}}],
        ],
    )
    def test_an_error_unlike_all_before_is_not_hidden_by_the_text_of_a_level_further_in(
        self, tmp_path: Path, hidden: list[Any]
    ) -> None:
        path = write(tmp_path / "a.log", *[INFO] * 5000, *hidden, *[INFO] * 5000)
        found = digest(path, where=[{"field": "level", "op": "ge", "value": "ERROR"}])
        assert (found["matched"], found["lines"]) == (1, 10_000 + len(hidden))

    def test_whole_object_without_line_end_counts_and_half_a_line_is_told(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.log", error())
        with path.open("ab") as file:
            file.write(json.dumps(error()).encode())
        assert (digest(path)["lines"], digest(path)["partial_last_line"]) == (2, 0)
        with path.open("ab") as file:
            file.write(b'\n{"level": "ERR')
        result = digest(path)
        assert (result["lines"], result["bad_lines"], result["partial_last_line"]) == (2, 0, 1)

    def test_nesting_beyond_recursion_is_a_bad_line(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.log", b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", error())
        assert (digest(path)["bad_lines"], digest(path)["matched"]) == (1, 1)

    @pytest.mark.parametrize("where", [[], [ERROR]])
    @pytest.mark.parametrize("length", [131_072, 131_073])
    def test_border_of_a_line_too_long(self, tmp_path: Path, length: int, where: list[Any]) -> None:
        line = b'{"level": "ERROR", "message": "' + b"x" * (length - 33) + b'"}'
        assert len(line) == length
        for before in (0, 1, 300, 131_000):
            path = tmp_path / f"{before}.log"
            write(path, *([b'{"a":"' + b"y" * before + b'"}'] if before else []), line, error())
            result = digest(path, where=where, max_line_bytes=131_072)
            too_long = int(length > 131_072)
            assert (result["too_long_lines"], result["bad_lines"]) == (too_long, too_long)
            assert result["matched"] == 2 - too_long + (before > 0 and not where)

    def test_a_giant_line_is_not_held(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.log", error())
        with path.open("ab") as file:
            for _piece in range(200):
                file.write(b"x" * (1 << 20))
            file.write(b"\n")
        write(path, error())
        result, memory = log_module.run({"path": str(path), "where": [{"field": "level", "value": "ERROR"}]})
        assert (result["matched"], result["too_long_lines"], result["bad_lines"], result["lines"]) == (2, 1, 1, 3)
        assert result["bytes_read"] > 200 << 20
        assert memory < 48 << 10

    @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        st.lists(
            st.one_of(
                st.sampled_from([json.dumps(INFO).encode(), json.dumps(error()).encode(), *BROKEN, b"{}", b"}", b"{"]),
                st.binary(max_size=40).map(lambda raw: raw.replace(b"\n", b"")),
            ),
            max_size=60,
        ),
        st.booleans(),
    )
    def test_splitting_against_a_plain_reckoning(self, tmp_path: Path, rows: list[bytes], ended: bool) -> None:
        path = tmp_path / "any.log"
        path.write_bytes(b"\n".join(rows) + (b"\n" if ended else b""))
        complete = path.read_bytes().split(b"\n")
        tail = complete.pop()
        entries = [digesting.parse(line) for line in complete]
        if digesting.parse(tail) is not None:
            entries.append(digesting.parse(tail))
        errors = sum(entry is not None and entry.get("level") == "ERROR" for entry in entries)
        exact = digest(path, where=[ERROR], parse_all=True)
        fast = digest(path, where=[ERROR])
        assert (exact["lines"], exact["bad_lines"]) == (len(entries), entries.count(None))
        assert exact["matched"] == fast["matched"] == errors
        assert fast["lines"] == exact["lines"]
        assert fast["bad_lines"] <= exact["bad_lines"]

    def test_many_small_reads_give_the_same(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "a.log"
        path.write_bytes(bench_lines(3000, spaced=True, broken=True) + b'{"x": 1}')
        options: dict[str, Any] = {"where": [ERROR], "count_by": ["extra.error_code"], "last": 3}
        expected = digest(path, **options)
        monkeypatch.setattr(scan, "BLOCK", 701)
        assert digest(path, **options) == expected


class TestLast:
    # runbook: P0-1C, TQ-4, P2P-1C
    def test_the_last_ones_oldest_first(self, tmp_path: Path) -> None:
        path = write(tmp_path / "errors.log", *[error(n=number) for number in range(120)])
        result = digest(path, last=50)
        assert [entry["extra"]["n"] for entry in result["last"]] == list(range(70, 120))
        assert result["last"][-1] == error(n=119)

    def test_long_texts_and_large_entries_are_bounded(self, tmp_path: Path) -> None:
        deep: Any = "end"
        for _level in range(60):
            deep = [deep]
        many = {f"key{number}": "y" * 500 for number in range(1000)}
        path = write(tmp_path / "a.log", {"a": "x" * 5000, "deep": deep}, {"many": many}, {"big": 10**400, "\ud800": 1})
        first, second, third = digest(path, last=3, max_text=100)["last"]
        assert first["a"] == "x" * 100 + "… (4900 more characters)"
        assert len(json.dumps(second)) < 30_000
        assert third == {"big": None, "?": 1}

    # runbook: P2P-2C
    def test_only_some_fields(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.log", error(memory_usage_mb=5))
        fields = ["extra.memory_usage_mb", "extra.none"]
        assert digest(path, last=1, fields=fields)["last"] == [{"extra.memory_usage_mb": 5, "extra.none": None}]


class TestFigures:
    def test_exact_by_nearest_rank(self, tmp_path: Path) -> None:
        values: list[Any] = [*range(1, 101), "x", None, True]
        path = write(tmp_path / "a.log", *[{"v": value} for value in values], b'{"v": 1e999}')
        found = digest(path, numeric=["v", "none"])["numeric"]
        expected: dict[str, Any] = {"count": 100, "ignored": 3, "min": 1, "max": 100, "mean": 50.5, "sum": 5050}
        expected |= {"p50": 50, "p95": 95, "p99": 99, "percentiles": "exact", "relative_error": 0}
        assert found["v"] == expected
        nothing = dict.fromkeys(["min", "max", "mean", "p50", "p95", "p99"])
        assert found["none"] == expected | nothing | {"count": 0, "ignored": 0, "sum": 0}

    @settings(max_examples=100, deadline=None)
    @given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=300))
    def test_approximate_within_the_error_that_is_told(self, values: list[float]) -> None:
        exact = digesting.Figures()
        for value in values:
            exact.add(value)
        rough = digesting.Figures()
        rough.buckets = {}
        for value in values:
            rough.add(value)
        told, found = exact.row(), rough.row()
        assert (found["percentiles"], found["relative_error"]) == ("approximate", 0.01)
        for name in ("p50", "p95", "p99"):
            assert found[name] == pytest.approx(told[name], rel=0.0101, abs=1e-300)
        assert {**found, **told} == told

    def test_beyond_the_limit_the_result_says_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(digesting, "EXACT_MAX", 10)
        figures = digesting.Figures()
        for value in range(10):
            figures.add(value)
        assert figures.row()["percentiles"] == "exact"
        figures.add(10)
        assert figures.row()["percentiles"] == "approximate"
        assert figures.row()["p50"] == pytest.approx(5, rel=0.01)
        assert (figures.row()["count"], figures.row()["max"]) == (11, 10)


class TestTime:
    def test_only_the_window(self, tmp_path: Path) -> None:
        now = datetime.now(UTC).replace(tzinfo=None)
        stamps = [
            (now - timedelta(hours=30)).isoformat(),
            (now - timedelta(hours=2)).isoformat(),
            (now - timedelta(hours=1)).isoformat(timespec="seconds") + "Z",
            (now + timedelta(hours=1)).isoformat(timespec="seconds") + "+02:00",
        ]
        path = write(tmp_path / "a.log", *[{"timestamp": stamp} for stamp in stamps], {"timestamp": "soon"}, {})
        result = digest(path, hours=24)
        assert (result["matched"], result["undated"], result["lines"]) == (3, 2, 6)
        assert result["first_at"] == stamps[1][:19] + "Z"
        assert result["last_at"] == stamps[2]
        everything = digest(path)
        assert (everything["matched"], everything["undated"]) == (6, 2)
        assert everything["first_at"] == stamps[0][:19] + "Z"

    def test_files_changed_before_the_window_are_not_read(self, tmp_path: Path) -> None:
        for name in ("a.log", "a.log.1", "a.log.2"):
            write(tmp_path / name, {"timestamp": datetime.now(UTC).isoformat()})
        long_ago = datetime.now(UTC).timestamp() - 26 * 3600
        os.utime(tmp_path / "a.log.2", (long_ago, long_ago))
        result = digest(tmp_path / "a.log", include_rotated=True, hours=24)
        assert [Path(file["path"]).name for file in result["files"]] == ["a.log.1", "a.log"]


class TestFiles:
    def test_rotated_ones_oldest_first_and_ten_after_nine(self, tmp_path: Path) -> None:
        for number in range(1, 12):
            write(tmp_path / f"a.log.{number}", {"n": number})
        (tmp_path / "a.log.3.gz").write_bytes(gzip.compress((tmp_path / "a.log.3").read_bytes()))
        (tmp_path / "a.log.3").unlink()
        # Compression under way: both are there, and the copy is not complete.
        (tmp_path / "a.log.5.gz").write_bytes(gzip.compress(b"x" * 1000)[:20])
        write(tmp_path / "a.log", {"n": 0})
        for other in ("a.log.lock", "b.log.1", "a-b.log.1", "a.log."):
            write(tmp_path / other, {"n": 99})
        result = digest(tmp_path / "a.log", include_rotated=True, last=20, fields=["n"])
        assert [entry["n"] for entry in result["last"]] == [*range(11, 0, -1), 0]
        assert result["state"] == "ok"
        assert digest(tmp_path / "a.log")["matched"] == 1

    def test_files_of_one_age_are_all_read_and_a_packed_copy_is_not(self, tmp_path: Path) -> None:
        for number, name in enumerate(("a.log", "a.log.1", "a.log.old", "a.log.bak", "a.1.log")):
            write(tmp_path / name, {"n": number})
        (tmp_path / "a.log.1.gz").write_bytes(gzip.compress(b'{"n": 1}\n'))
        result = digest(tmp_path / "a.log", include_rotated=True, last=20, fields=["n"])
        assert sorted(entry["n"] for entry in result["last"]) == [0, 1, 2, 3, 4]

    def test_a_damaged_archive_is_told_and_the_rest_is_read(self, tmp_path: Path) -> None:
        whole = gzip.compress(bench_lines(5000, spaced=True, broken=False))
        (tmp_path / "a.log.1.gz").write_bytes(whole[: len(whole) // 2])
        write(tmp_path / "a.log", error("LIVE"))
        result = digest(tmp_path / "a.log", include_rotated=True, last=1)
        assert (result["state"], result["complete"]) == ("invalid", False)
        assert "a.log.1.gz" in result["reason"]
        assert result["last"] == [error("LIVE")]

    @pytest.mark.parametrize(("rotated", "lines"), [(False, 0), (True, 1)])
    def test_missing_is_a_value(self, tmp_path: Path, rotated: bool, lines: int) -> None:
        write(tmp_path / "a.log.1", error())
        os.utime(tmp_path / "a.log.1", (1, 1))
        result = digest(tmp_path / "a.log", include_rotated=rotated)
        assert (result["state"], result["lines"], result["complete"]) == ("missing", lines, False)
        assert result["reason"] == f"{tmp_path}/a.log: No such file or directory"

    def test_what_is_no_regular_file_does_not_block(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "fifo")
        (tmp_path / "directory").mkdir()
        (tmp_path / "loop").symlink_to("loop")
        for path in (tmp_path / "fifo", tmp_path / "directory", tmp_path / "loop", Path("/dev/zero")):
            result = digest(path)
            assert (result["state"], result["lines"]) == ("invalid", 0)
            assert str(path) in result["reason"]

    @pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero")])
    def test_a_rotated_log_that_is_none_does_not_block_and_the_rest_counts(self, tmp_path: Path, make: Any) -> None:
        path = write(tmp_path / "a.log", error())
        make(tmp_path / "a.log.1")
        result = digest(path, include_rotated=True)
        assert (result["state"], result["complete"], result["lines"]) == ("invalid", False, 1)
        assert result["reason"].startswith(f"{path}.1: it is a ")

    @pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a link of another user")
    def test_a_link_of_another_user_leads_nowhere(self, tmp_path: Path) -> None:
        path = write(tmp_path / "secret.log", error())
        theirs = tmp_path / "theirs.log"
        theirs.symlink_to(path)
        os.chown(theirs, 65534, 65534, follow_symlinks=False)
        result = digest(theirs, include_rotated=True)
        assert (result["state"], result["lines"]) == ("invalid", 0)
        assert "a symbolic link of uid 65534 is not followed" in result["reason"]

    def test_a_line_of_100_mb_takes_little_memory_and_is_bad(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.log", error())
        with path.open("ab") as file:
            for _piece in range(100):
                file.write(b"x" * (1 << 20))
            file.write(b"\n")
        write(path, error())
        tracemalloc.start()
        try:
            result = digest(path)
            assert tracemalloc.get_traced_memory()[1] < 8 << 20
        finally:
            tracemalloc.stop()
        assert (result["lines"], result["too_long_lines"], result["matched"]) == (3, 1, 2)

    @pytest.mark.parametrize("rotated", [False, True])
    def test_a_log_that_takes_too_long_is_not_told_as_read(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rotated: bool
    ) -> None:
        path = write(tmp_path / "a.log", error())
        shutil.copy(path, f"{path}.1")
        state: dict[str, Any] = {"cursor": "x", "state_dir": str(tmp_path)}
        monkeypatch.setitem(deadline._LONGEST, "log_digest_info", ({}, lambda _: 0))
        result = digest(path, include_rotated=rotated, **state)
        assert (result["state"], result["complete"], result["lines"]) == ("timeout", False, 0)
        assert result["reason"] == f"reading {path}: not done within 0 s"
        assert result["cursor"]["written"] is False
        monkeypatch.undo()
        assert digest(path, **state)["lines"] == 1, "nothing was passed over"

    def test_denied_is_a_value(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.log", error())
        path.chmod(0)
        if os.geteuid() != 0:
            assert digest(path)["state"] == "denied"
            return
        code = (
            "import json, os, sys; sys.path.insert(0, sys.argv[1]);"
            "from ansible_collections.media_ops.runbook.plugins.module_utils.logs import log_digest_info;"
            "os.setgid(65534); os.setuid(65534);"
            "given = {name: one.get('default') for name, one in log_digest_info.argument_spec().items()};"
            "print(json.dumps(log_digest_info.log_digest({**given, 'path': sys.argv[2]})))"
        )
        for directory in (tmp_path, *tmp_path.parents[:2]):
            directory.chmod(0o755)
        collections = str(log_module.ROOT / "playbooks" / "collections")
        done = subprocess.run(
            [sys.executable, "-c", code, collections, path], capture_output=True, text=True, check=True
        )
        result = json.loads(done.stdout)
        assert (result["state"], result["reason"]) == ("denied", f"{path}: Permission denied")

    def test_rotation_and_truncation_while_reading(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = write(tmp_path / "a.log", *[error(n=number) for number in range(9000)])
        (tmp_path / "b.log").write_bytes(path.read_bytes())
        read_rest = os.readv
        done: list[str] = []

        def rotate(handle: int, views: Any) -> int:
            if not done:
                path.rename(tmp_path / "a.log.1")
                write(path, INFO)
                done.append("rotated")
            return read_rest(handle, views)

        monkeypatch.setattr(os, "readv", rotate)
        assert (digest(path, include_rotated=True, where=[ERROR])["matched"], done) == (9000, ["rotated"])

        def truncate(handle: int, views: Any) -> int:
            count = read_rest(handle, views)
            (tmp_path / "b.log").write_bytes(b"")
            return count

        monkeypatch.setattr(os, "readv", truncate)
        result = digest(tmp_path / "b.log", where=[ERROR])
        assert result["state"] == "ok"
        assert 0 < result["matched"] < 9000
        assert (result["bad_lines"], result["partial_last_line"]) == (0, 1)

    def test_a_rotation_while_files_are_opened(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for number, name in enumerate(["a.log.2", "a.log.1", "a.log"]):
            write(tmp_path / name, {"n": number})
        open_one = files._open
        rotations = iter(range(2))

        def rotate(*arguments: Any) -> files.LogFile:
            file = open_one(*arguments)
            if next(rotations, None) is not None:
                names = sorted(tmp_path.iterdir(), key=lambda path: (len(path.name), path.name), reverse=True)
                for path in names:
                    number = int(path.suffix[1:]) if path.suffix != ".log" else 0
                    path.rename(tmp_path / f"a.log.{number + 1}")
                write(tmp_path / "a.log", {"n": 100})
            return file

        monkeypatch.setattr(files, "_open", rotate)
        result = digest(tmp_path / "a.log", include_rotated=True, last=10, fields=["n"])
        assert [entry["n"] for entry in result["last"]] == [0, 1, 2, 100, 100]

    def test_newest_bytes_only(self, tmp_path: Path) -> None:
        line = len(json.dumps({"n": 100_000})) + 1
        count = 3 * (1 << 20) // line
        write(tmp_path / "a.log", *[{"n": 100_000 + number} for number in range(count)])
        write(tmp_path / "a.log.1", INFO)
        result = digest(tmp_path / "a.log", include_rotated=True, max_bytes=1 << 20, last=1)
        assert result["last"] == [{"n": 100_000 + count - 1}]
        assert result["complete"] is False
        assert (result["lines"], result["bad_lines"]) == ((1 << 20) // line, 0)
        assert len(result["files"]) == 1
        assert digest(tmp_path / "a.log", include_rotated=True, max_bytes=1 << 30)["lines"] == count + 1


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    made = tmp_path / "state"
    made.mkdir(mode=0o750)
    return made


class Follower:
    """A log that is written, rotated and read with a cursor."""

    def __init__(self, directory: Path, state_dir: Path) -> None:
        self.path = directory / "a.log"
        self.state_dir = state_dir
        self.written = 0
        self.half = b""
        self.seen: list[int] = []

    def append(self, count: int = 1) -> None:
        write(self.path, *[{"n": self.written + number, "pad": "x" * 50} for number in range(count)])
        self.written += count

    def rotate(self, *, keep: int = 9) -> None:
        for number in range(keep, 0, -1):
            for suffix in ("", ".gz"):
                old = Path(f"{self.path}.{number}{suffix}")
                if old.exists():
                    old.rename(f"{self.path}.{number + 1}{suffix}")
        if self.path.exists():
            self.path.rename(f"{self.path}.1")

    def read(self, **options: Any) -> dict[str, Any]:
        given = {"cursor": "test", "state_dir": str(self.state_dir), "last": 500, "fields": ["n"]}
        result = digest(self.path, **{**given, **options})
        self.seen += [entry["n"] for entry in result["last"]]
        return result

    def step(self, name: str) -> None:
        """One of the things that happen to a log; a line is finished before anything follows it."""
        if name in ("append", "burst", "rotate"):
            self.finish()
        if name == "half" and not self.half:
            line = json.dumps({"n": self.written}).encode()
            self.half = line[4:]
            with self.path.open("ab") as file:
                file.write(line[:4])
        elif name == "rotate":
            self.rotate(keep=40)
            self.append()
        elif name == "zip" and Path(f"{self.path}.2").exists():
            old = Path(f"{self.path}.2")
            Path(f"{old}.gz").write_bytes(gzip.compress(old.read_bytes()))
            old.unlink()
        elif name == "read":
            assert self.read()["cursor_reset"] == ""
        elif name in ("append", "burst"):
            self.append(1 if name == "append" else 40)

    def finish(self) -> None:
        if self.half:
            with self.path.open("ab") as file:
                file.write(self.half + b"\n")
            self.written += 1
            self.half = b""

    def assert_each_once(self) -> None:
        assert self.seen == list(range(self.written))


@pytest.fixture
def log(tmp_path: Path, state_dir: Path) -> Follower:
    return Follower(tmp_path, state_dir)


class TestCursor:
    def test_only_what_is_new_is_read(self, log: Follower) -> None:
        log.append(100)
        first = log.read()
        assert first["cursor"] == {"path": f"{log.state_dir}/log_cursor_test.json", "found": False, "written": True}
        assert stat.S_IMODE(Path(first["cursor"]["path"]).stat().st_mode) == 0o600
        log.append(3)
        second = log.read()
        assert (second["lines"], second["cursor"]["found"], second["cursor_reset"]) == (3, True, "")
        assert second["bytes_read"] < 300
        assert (log.read()["lines"], log.read()["cursor"]["written"]) == (0, False)
        log.assert_each_once()

    def test_check_mode_writes_no_cursor(self, log: Follower) -> None:
        log.append(5)
        options = {"cursor": "test", "state_dir": str(log.state_dir)}
        assert digest(log.path, check_mode=True, **options)["cursor"]["written"] is False
        assert list(log.state_dir.iterdir()) == []
        assert log.read()["lines"] == 5

    def test_a_line_without_end_is_left_for_the_next_run(self, log: Follower) -> None:
        log.append(1)
        with log.path.open("ab") as file:
            file.write(b'{"n": 1')
        assert (log.read()["lines"], log.read()["partial_last_line"]) == (1, 1)
        with log.path.open("ab") as file:
            file.write(b"}\n")
        log.written = 2
        assert log.read()["lines"] == 1
        log.assert_each_once()

    def test_rest_of_the_rotated_file_first(self, log: Follower) -> None:
        log.append(10)
        log.read()
        log.append(5)
        log.rotate()
        log.append(2)
        log.rotate()
        log.append(1)
        result = log.read()
        assert [Path(file["path"]).name for file in result["files"]] == ["a.log.2", "a.log.1", "a.log"]
        assert result["cursor_reset"] == ""
        log.assert_each_once()

    def test_a_line_written_late_into_the_rotated_file(self, log: Follower) -> None:
        log.append(2)
        log.rotate()
        late = Path(f"{log.path}.1")
        log.path.touch()
        log.read(include_rotated=True)
        write(late, {"n": 2})
        log.written = 3
        log.append()
        log.read()
        log.assert_each_once()

    def test_compressed_meanwhile(self, log: Follower) -> None:
        log.append(10)
        log.read()
        log.append(5)
        log.rotate()
        old = Path(f"{log.path}.1")
        Path(f"{old}.gz").write_bytes(gzip.compress(old.read_bytes()))
        old.unlink()
        log.append(2)
        result = log.read()
        assert (result["lines"], result["cursor_reset"]) == (7, "")
        log.append(1)
        assert log.read()["lines"] == 1
        log.assert_each_once()

    def test_copied_and_emptied(self, log: Follower) -> None:
        log.append(10)
        log.read()
        log.append(5)
        shutil.copy(log.path, f"{log.path}.1")
        os.truncate(log.path, 0)
        log.append(2)
        result = log.read()
        assert (result["lines"], result["cursor_reset"]) == (7, "")
        log.assert_each_once()

    @pytest.mark.parametrize(
        ("again", "reason"), [(3, "was cut short"), (40, "has another content")], ids=["shorter", "longer"]
    )
    def test_emptied_starts_over_and_says_so(self, log: Follower, again: int, reason: str) -> None:
        log.append(10)
        log.read()
        os.truncate(log.path, 0)
        log.append(again)
        result = log.read()
        assert reason in result["cursor_reset"]
        assert result["lines"] == again
        assert log.read()["cursor_reset"] == ""
        log.assert_each_once()

    def test_rotated_away_is_said(self, log: Follower) -> None:
        log.append(10)
        log.read()
        replacement = write(log.path.with_name("new"), {"n": 10})
        replacement.rename(log.path)
        log.written = 11
        result = log.read()
        assert "is gone" in result["cursor_reset"]
        assert result["lines"] == 1

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"{",
            b"[]",
            b'"x"',
            b'{"log": 5, "places": []}',
            b"\xff",
            b"[" * 4000,
            b'{"log": "LOG", "places": [{}]}',
            b'{"log": "LOG", "places": [{"device": 1, "inode": 1, "offset": "9", "head_bytes": 0, "head_sha256": ""}]}',
        ],
    )
    def test_a_cursor_that_cannot_be_used_is_no_failure(self, log: Follower, content: bytes) -> None:
        log.append(3)
        (log.state_dir / "log_cursor_test.json").write_bytes(content.replace(b"LOG", os.fsencode(log.path)))
        result = log.read()
        assert result["cursor_reset"].startswith("the cursor")
        assert (result["lines"], result["cursor"]["written"]) == (3, True)
        assert log.read()["cursor_reset"] == ""

    def test_a_cursor_of_another_log(self, log: Follower, tmp_path: Path) -> None:
        log.append(1)
        log.read()
        other = write(tmp_path / "other.log", INFO)
        result = digest(other, cursor="test", state_dir=str(log.state_dir))
        assert result["cursor_reset"] == f"the cursor belongs to another log: {log.path}"
        assert result["lines"] == 1

    def test_a_missing_log_leaves_the_cursor(self, log: Follower) -> None:
        log.append(3)
        log.read()
        away = log.path.rename(log.path.with_name("away"))
        result = log.read()
        assert (result["state"], result["cursor"]["written"]) == ("missing", False)
        away.rename(log.path)
        log.append(1)
        assert (log.read()["lines"], log.read()["lines"]) == (1, 0)
        log.assert_each_once()

    def test_in_portions(self, log: Follower) -> None:
        log.append(40_000)
        total = []
        for _run in range(10):
            result = log.read(max_bytes=1 << 20)
            total.append(result["lines"])
            if result["complete"]:
                break
        assert sum(total) == log.written
        assert len(total) == -(-log.path.stat().st_size // (1 << 20))

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.lists(st.sampled_from(["append", "burst", "half", "rotate", "zip", "read", "read"]), max_size=30))
    def test_each_line_is_read_once_whatever_happens_between(
        self, tmp_path_factory: pytest.TempPathFactory, steps: list[str]
    ) -> None:
        directory = tmp_path_factory.mktemp("follow")
        (directory / "state").mkdir(mode=0o750)
        log = Follower(directory, directory / "state")
        log.append()
        log.read()
        for step in steps:
            log.step(step)
        log.finish()
        log.read()
        log.assert_each_once()
        shutil.rmtree(directory)

    def test_while_it_is_written_and_rotated(self, log: Follower) -> None:
        log.append()
        stop = threading.Event()

        def work() -> None:
            for burst in range(60):
                log.append(50)
                if burst % 7 == 0:
                    log.rotate(keep=50)
                    log.append()
            stop.set()

        results = [log.read()]
        writer = threading.Thread(target=work)
        writer.start()
        while not stop.is_set():
            results.append(log.read())
        writer.join()
        results.append(log.read())
        assert {result["cursor_reset"] for result in results} == {""}
        assert sum(result["bad_lines"] for result in results) == 0
        assert sum(result["lines"] for result in results) == log.written
        assert sorted(set(log.seen)) == log.seen


class TestLarge:
    @pytest.mark.slow
    @pytest.mark.parametrize("spaced", [False, True])
    def test_counts_of_64_mb_and_memory(self, tmp_path: Path, spaced: bool) -> None:
        path = tmp_path / "media_processing.log"
        write_log(path, 64 << 20, spaced=spaced)
        expected: Counter[str] = Counter()
        total = bad = 0
        with path.open("rb") as file:
            for line in file:
                total += 1
                try:
                    entry = json.loads(line.decode("utf-8", "replace"))
                except ValueError:
                    entry = None
                if not isinstance(entry, dict):
                    bad += 1
                elif entry["level"] == "ERROR":
                    expected[entry["extra"].get("error_code") or "UNKNOWN"] += 1
        where = [{"field": "level", "value": "ERROR"}]
        result, memory = log_module.run({"path": str(path), "where": where, "count_by": ["extra.error_code"]})
        assert dict(counted(result)) == expected
        assert (result["lines"], result["bad_lines"], result["parsed"]) == (total, bad, "matching")
        assert memory < 64 << 10
        if shutil.which("jq"):
            program = 'fromjson? | objects | select(.level == "ERROR") | .extra.error_code // "UNKNOWN"'
            done = subprocess.run(["jq", "-R", "-r", program, path], capture_output=True, text=True, check=True)
            assert Counter(done.stdout.split()) == expected
