# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Times, levels and names of files as other writers have them, the same on every Python."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.logs import log_digest_info, writers
from ansible_collections.media_ops.runbook.plugins.module_utils.rotated import may_be_of, rotated, rotated_of
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.log_errors import observe_log

ROOT = Path(__file__).resolve().parents[5]
PYTHONS = sorted({*Path("/usr/bin").glob("python3.*[0-9]"), *Path.home().glob(".pyenv/versions/3.*/bin/python3")})
DEFAULTS = {name: option.get("default") for name, option in log_digest_info.argument_spec().items()}
ERRORS = [{"field": "level", "op": "in", "value": ["ERROR", "CRITICAL"]}]
AT = datetime(2026, 11, 28, 14, 42, 29, 749905)  # noqa: DTZ001
SECOND, MILLI = AT.replace(microsecond=0), AT.replace(microsecond=749000)

TIMES: list[tuple[Any, datetime]] = [
    ("2026-11-28T14:42:29", SECOND),
    ("2026-11-28T14:42:29.749905", AT),
    ("2026-11-28 14:42:29.749", MILLI),
    ("2026-11-28 14:42:29,749", MILLI),
    ("2026-11-28T14:42:29.7", AT.replace(microsecond=700000)),
    ("2026-11-28T14:42:29.74", AT.replace(microsecond=740000)),
    ("2026-11-28T14:42:29.7499", AT.replace(microsecond=749900)),
    ("2026-11-28T14:42:29.7499051Z", AT),
    ("2026-11-28T14:42:29.749905123Z", AT),
    ("2026-11-28T14:42:29.749+0000", MILLI),
    ("2026-11-28T14:42:29.749-0000", MILLI),
    ("2026-11-28T14:42:29.749905123+00:00", AT),
    ("2026-11-28T16:42:29.749905+02", AT),
    ("2026-11-28T09:12:29.749905-05:30", AT),
    ("2026-11-28T14:42:29z", SECOND),
    ("2026-11-28 14:42:29.749905 UTC", AT),
    ("2026-11-28 15:42:29.749905 +0100", AT),
    ("2026-11-28T14:42:29.749905Z[UTC]", AT),
    ("20261128T144229Z", SECOND),
    ("20261128T144229.749905+0000", AT),
    ("20261128T144229,749", MILLI),
    ("20261128144229", SECOND),
    ("20261128144229749", MILLI),
    ("2026/11/28 14:42:29.749905", AT),
    ("2026.11.28 14:42:29", SECOND),
    ("28/Nov/2026:14:42:29 +0000", SECOND),
    ("[28/Nov/2026:15:42:29 +0100]", SECOND),
    ("28-Nov-2026 14:42:29.749", MILLI),
    ("Sat, 28 Nov 2026 14:42:29 GMT", SECOND),
    ("Sat, 28 Nov 2026 14:42:29 +0000", SECOND),
    ("Sat Nov 28 14:42:29 2026", SECOND),
    ("Sat Nov 28 14:42:29 UTC 2026", SECOND),
    (1795876949, SECOND),
    (1795876949.749, MILLI),
    (1795876949749, MILLI),
    (1795876949749905, AT),
    (1795876949749905123, AT),
    (1.795876949749e12, MILLI),
    ("1795876949", SECOND),
    ("1795876949.749905", AT),
    ("1795876949749", MILLI),
    ("1795876949749905", AT),
    ("1795876949749905123", AT),
    ({"epochSecond": 1795876949, "nanoOfSecond": 749905123}, AT),
    ({"seconds": "1795876949", "nanos": 749905000}, AT),
    ({"$date": "2026-11-28T14:42:29.749Z"}, MILLI),
    ({"repr": "2026-11-28 14:42:29.749905+00:00", "timestamp": 1795876949.749905}, AT),
    ("2026-11-28T24:00:00Z", datetime(2026, 11, 29)),  # noqa: DTZ001
    ("2026-11-28T23:59:60Z", datetime(2026, 11, 29)),  # noqa: DTZ001
]
NO_TIMES: list[Any] = [
    *("", "now", "14:42:29", "Nov 28 14:42:29", "2026-W48-6T14:42:29", "2026-13-28T14:42:29", "2026-11-31T00:00:00"),
    *("2026-11-28T25:00:00", "2026-11-28T14:61:00", "2026-11-28T14:42:29+99:00", "x" * 100, True, None, 0, -1, 12.5),
    *(7, 10**30, float("nan"), float("inf"), [], {}, {"seconds": None}, "12345", "2026-11-28T14:42:29.749+"),
    *("2026-1128T14:42:29", "٢٠٢٦-11-28T14:42:29"),
]  # fmt: skip


@pytest.mark.parametrize(("written", "at"), TIMES, ids=lambda value: str(value)[:40])
def test_a_time_is_read_whoever_wrote_it(written: Any, at: datetime) -> None:
    found = writers.moment(written)
    assert found is not None
    assert abs(found - at) <= timedelta(microseconds=1)  # a float of seconds holds no more


@pytest.mark.parametrize("written", NO_TIMES, ids=lambda value: str(value)[:40])
def test_what_is_no_time_is_none(written: Any) -> None:
    assert writers.moment(written) is None


LEVELS: list[tuple[dict[str, Any], str | None]] = [
    ({"level": "ERROR"}, "ERROR"),  # Python, slog
    ({"level": "error"}, "ERROR"),  # winston, zap, zerolog, structlog
    ({"level": "\x1b[31merror\x1b[39m"}, "ERROR"),  # winston in colours
    ({"level": "err"}, "ERROR"),
    ({"level": "[ERROR]"}, "ERROR"),
    ({"level": "ERROR+2"}, "ERROR"),
    ({"level": "fatal"}, "CRITICAL"),  # logrus, pino by name
    ({"level": "panic"}, "CRITICAL"),
    ({"level": "dpanic"}, "CRITICAL"),
    ({"level": "SEVERE"}, "ERROR"),  # java.util.logging
    ({"level": "warn"}, "WARNING"),
    ({"level": "notice"}, "INFO"),
    ({"level": "trace"}, "DEBUG"),
    ({"level": "silly"}, "DEBUG"),
    ({"levelname": "ERROR"}, "ERROR"),  # python-json-logger
    ({"levelno": 40}, "ERROR"),
    ({"levelno": 50}, "CRITICAL"),
    ({"level_number": 40}, "ERROR"),  # structlog
    ({"level_name": "ERROR", "level": 400}, "ERROR"),  # monolog
    ({"level": 400}, "ERROR"),
    ({"level": 300}, "WARNING"),
    ({"level": "ERROR", "level_value": 40000}, "ERROR"),  # logback
    ({"level_value": 40000}, "ERROR"),
    ({"level": 50}, "ERROR"),  # pino, bunyan
    ({"level": 60}, "CRITICAL"),
    ({"level": 40}, "WARNING"),
    ({"level": 30}, "INFO"),
    ({"level": "50"}, "ERROR"),
    ({"level": 3}, "ERROR"),  # syslog, GELF
    ({"level": 2}, "CRITICAL"),
    ({"level": 6}, "INFO"),
    ({"PRIORITY": "3"}, "ERROR"),  # journal
    ({"PRIORITY": "err"}, "ERROR"),  # syslog-ng
    ({"severity": "ERROR"}, "ERROR"),
    ({"severity": "err"}, "ERROR"),
    ({"severity": 3}, "ERROR"),
    ({"severity": 500}, "ERROR"),
    ({"severityNumber": 17}, "ERROR"),
    ({"severityText": "Error", "severityNumber": 17}, "ERROR"),
    ({"log.level": "ERROR"}, "ERROR"),  # Elastic
    ({"log": {"level": "error"}}, "ERROR"),
    ({"record": {"level": {"name": "ERROR", "no": 40}}}, "ERROR"),  # loguru
    ({"@t": "2026-11-28T14:42:29Z", "@l": "Error"}, "ERROR"),  # Serilog
    ({"@t": "2026-11-28T14:42:29Z", "@m": "x"}, "INFO"),
    ({"L": "E"}, "ERROR"),
    ({"lvl": "eror"}, "ERROR"),
    ({"Level": "Error"}, "ERROR"),
    ({"LogLevel": "Critical"}, "CRITICAL"),
    ({"level": None, "message": "ERROR"}, None),
    ({"level": "blue"}, None),
    ({"level": True}, None),
    ({"level": -1}, None),
    ({"status": "error"}, None),
    ({}, None),
]


@pytest.mark.parametrize(("entry", "level"), LEVELS, ids=lambda value: str(value)[:60])
def test_a_level_is_known_by_any_name(entry: dict[str, Any], level: str | None) -> None:
    assert writers.level_of(entry) == level


@pytest.mark.parametrize(
    ("entry", "failed"),
    [
        ({"extra": {"success": False}}, True),
        ({"level": "ERROR", "extra": {"success": True, "session_id": "a"}}, False),
        ({"success": False}, True),
        ({"extra": {"status": "failed"}}, True),
        ({"extra": {"status": "completed"}, "level": "INFO"}, False),
        ({"level": "ERROR", "extra": {"session_id": "a", "error_code": "MERGE_ERROR"}}, True),
        ({"level": 50, "sessionId": "a"}, True),
        ({"level": "ERROR", "extra": {"session_id": None}}, False),
        ({"level": "INFO", "extra": {"session_id": "a"}}, False),
        ({"level": "ERROR", "message": "shutting down"}, False),
    ],
)
def test_an_operation_that_failed_is_known_without_a_word_for_it(entry: dict[str, Any], failed: bool) -> None:
    assert writers.has_failed(entry) is failed


def stamped(seconds_ago: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds_ago)


def shapes(number: int) -> dict[str, str]:
    """One line of each writer, every second one an error."""
    at = stamped(3600 - number)
    bad = number % 2 == 1
    iso, word = f"{at:%Y-%m-%dT%H:%M:%S}", "error" if bad else "info"
    own = {"timestamp": f"{iso}.014366", "level": word.upper(), "message": "stage merging"}
    bare = {"level": word, "msg": 'say {"level": "ERROR"}'}
    rows: dict[str, dict[str, Any]] = {
        "service": own,
        "service_z": {**own, "timestamp": iso + ".014Z"},
        "asctime": {"asctime": f"{at:%Y-%m-%d %H:%M:%S},749", "levelname": word.upper()},
        "pino": {"level": 50 if bad else 30, "time": int(at.timestamp() * 1000), "msg": "x", "pid": 1},
        "zap": {"level": word, "ts": at.timestamp(), "caller": "main.go:1", "msg": "x"},
        "winston": {"level": word, "message": "x", "timestamp": iso + ".749Z"},
        "logrus": {"level": word, "msg": "x", "time": iso + "Z"},
        "slog": {"time": iso + ".749905123Z", "level": word.upper(), "msg": "x"},
        "structlog": {"event": "x", "level": word, "timestamp": iso + ".749905Z"},
        "loguru": {
            "text": "x",
            "record": {"level": {"name": word.upper(), "no": 40 if bad else 20}, "time": {"timestamp": at.timestamp()}},
        },
        "log4j": {"instant": {"epochSecond": int(at.timestamp()), "nanoOfSecond": 5}, "level": word.upper()},
        "log4j_millis": {"timeMillis": int(at.timestamp() * 1000), "level": word.upper()},
        "elastic": {"@timestamp": iso + ".749Z", "log.level": word.upper()},
        "gelf": {"version": "1.1", "timestamp": at.timestamp(), "level": 3 if bad else 6, "short_message": "x"},
        "journal": {
            "__REALTIME_TIMESTAMP": str(int(at.timestamp() * 1e6)),
            "PRIORITY": "3" if bad else "6",
            "MESSAGE": "x",
        },
        "journal_of_json": {
            "__REALTIME_TIMESTAMP": str(int(at.timestamp() * 1e6)),
            "PRIORITY": "6",
            "MESSAGE": json.dumps(bare),
        },
        "google": {"severity": word.upper(), "timestamp": {"seconds": int(at.timestamp()), "nanos": 5}, "message": "x"},
        "serilog": {"@t": iso + ".7499051Z", "@m": "x", **({"@l": "Error"} if bad else {})},
        "docker": {"log": json.dumps(own) + "\n", "stream": "stdout", "time": iso + ".749905123Z"},
        "docker_bare": {"log": json.dumps(bare) + "\n", "stream": "stdout", "time": iso + ".749905123Z"},
    }
    lines = {name: json.dumps(row) for name, row in rows.items()}
    lines["kubernetes"] = f"{iso}.014366123Z stdout F {json.dumps(own)}"
    lines["kubernetes_bare"] = f"{iso}.014366123Z stderr F {json.dumps(bare)}"
    lines["syslog"] = f"{at:%b %d %H:%M:%S} host media[12]: {json.dumps(own)}"
    lines["compose"] = f"media-1  | {json.dumps(own)}"
    return lines


SHAPES = sorted(shapes(0))
COUNTS = {"lines": 40, "matched": 20, "undated": 0, "unlevelled": 0, "bad_lines": 0}


def written(directory: Path) -> None:
    rows = [shapes(number) for number in range(40)]
    for name in SHAPES:
        (directory / f"{name}.log").write_text("\n".join(row[name] for row in rows) + "\n", encoding="utf-8")


def digest(path: Path | str, **options: Any) -> dict[str, Any]:
    where = [{"op": "eq", "value": None, **one} for one in options.pop("where", [])]
    return log_digest_info.log_digest({**DEFAULTS, "path": str(path), "where": where, **options})


@pytest.mark.parametrize("name", SHAPES)
def test_each_writer_s_errors_are_counted(tmp_path: Path, name: str) -> None:
    written(tmp_path)
    found = digest(tmp_path / f"{name}.log", where=ERRORS, hours=24, count_by=["level"])
    assert {key: found[key] for key in COUNTS} == COUNTS
    assert found["counts"] == {"level": [{"value": "ERROR", "count": 20}]}
    assert observe_log(found)["value"] == 20
    for op, value in (("ge", "error"), ("eq", 50), ("eq", "ERROR"), ("not_in", ["info", "DEBUG"]), ("gt", "WARN")):
        alike = digest(tmp_path / f"{name}.log", where=[{"field": "level", "op": op, "value": value}], hours=24)
        assert alike["matched"] == 20, (op, value)


_SAME = """
import json, sys
sys.path[:0] = [sys.argv[1]]
from ansible_collections.media_ops.runbook.plugins.module_utils.logs import log_digest_info as m, writers
given = json.load(sys.stdin)
defaults = {name: option.get("default") for name, option in m.argument_spec().items()}
found = {}
for path in given["paths"]:
    found[path] = m.log_digest({**defaults, "path": path, "where": given["where"], "hours": 24})
print(json.dumps({"logs": found, "times": [str(writers.moment(one)) for one in given["times"]]}))
"""


@pytest.mark.parametrize("python", PYTHONS, ids=lambda path: path.parent.parent.name + path.name)
def test_the_same_on_every_python_of_this_machine(tmp_path: Path, python: Path) -> None:
    version = subprocess.run(
        [python, "-c", "import sys; print(sys.version_info >= (3, 9))"], capture_output=True, text=True, check=False
    ).stdout.strip()
    if version != "True":
        pytest.skip("older than any that the modules run on")
    written(tmp_path)
    paths = [str(tmp_path / f"{name}.log") for name in SHAPES]
    times = [one for one, _at in TIMES] + [one for one in NO_TIMES if str(one) != "nan"]
    given = {"paths": paths, "where": [{"op": "eq", **ERRORS[0]}], "times": times}
    done = subprocess.run(
        [python, "-I", "-c", _SAME, str(ROOT / "playbooks" / "collections")],
        input=json.dumps(given), capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = json.loads(done.stdout)
    for path in paths:
        assert {key: found["logs"][path][key] for key in COUNTS} == COUNTS, path
    assert found["times"] == [str(writers.moment(one)) for one in times]


@pytest.mark.parametrize(
    "line",
    [
        '{"message": "no time and no level"}',
        '{"level": "ERROR", "time": "today"}',
        '{"lev": "ERROR", "time": 1795876949749}',
        "ERROR plain text",
        '2026-11-28T14:48:52.014366123Z stdout P {"timestamp": "2026',
        '{"log":"ERROR plain\\n","stream":"stderr","time":"2026-11-28T14:48:52.014366123Z"}',
    ],
)
def test_what_cannot_be_dated_read_or_levelled_is_unknown_not_none(tmp_path: Path, line: str) -> None:
    path = tmp_path / "media.log"
    path.write_text((line + "\n") * 40, encoding="utf-8")
    seen = observe_log(digest(path, where=ERRORS, hours=24))
    assert (seen["value"], seen["fault"]) == (None, "missing"), seen


def test_one_writer_among_others_is_not_lost(tmp_path: Path) -> None:
    """The levels of a log are learned from its first lines, and another writer's come late and seldom."""
    usual = json.dumps({"timestamp": f"{stamped(60):%Y-%m-%dT%H:%M:%S}", "level": "INFO", "message": "x" * 100})
    lines = [usual] * 5000
    odd = [
        {"time": int(time.time() * 1000), "level": 50},
        {"ts": time.time(), "level": "fatal"},
        {"timestamp": f"{stamped(9):%Y-%m-%dT%H:%M:%S}", "level": "CRITICAL"},
        {"log": json.dumps({"level": "error"}), "stream": "stderr", "time": f"{stamped(9):%Y-%m-%dT%H:%M:%SZ}"},
        {"timestamp": f"{stamped(9):%Y-%m-%dT%H:%M:%S}", "severity": "ERROR"},
    ]
    for number, row in enumerate(odd):
        lines[1500 + 700 * number] = json.dumps(row)
    (tmp_path / "a.log").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for parse_all in (False, True):
        found = digest(tmp_path / "a.log", where=ERRORS, hours=24, parse_all=parse_all)
        assert (found["matched"], found["lines"]) == (len(odd), 5000)


M = "media_processing"
LOG = f"{M}.log"
ROTATED = [
    *(f"{M}.log.1", f"{M}.log.0", f"{M}.log.12.gz", f"{M}.log.2.zst"),
    *(f"{M}.log.3.xz", f"{M}.log.4.bz2", f"{M}.log-20261128"),
    *(f"{M}.log-20261128.gz", f"{M}.log-20261128-1795876949", f"{M}.log.2026-11-28"),
    *(f"{M}.log.2026-11-28_14-42-29", f"{M}.log.2026-11-28_14", f"{M}.log.20261128"),
    *(f"{M}.log_20261128", f"{M}.log.2026-11", f"{M}.log.2026-W48"),
    *(f"{M}.log-1795876949", f"{M}.log.old", f"{M}.1.log", f"{M}.2.log.gz"),
    *(f"{M}-2026-11-28.log", f"{M}.2026-11-28.log", f"{M}_20261128.log"),
    *(f"{M}.2026-11-28_14-42-29_749905.log", f"{M}-2026-11-28-1.log.gz"),
    *(f"{M}-2026-11-28T14-42-29.749.log", f"{M}.2026-11-28.1.log"),
]  # fmt: skip
OTHERS = [
    *(LOG, "errors.log", "errors.log.1", f"{M}-worker.log", f"{M}.log.lock"),
    *(f"{M}.log.offset", f"{M}2.log", f"{M}-worker-1.log", "xmedia_processing.log.1"),
    *(f"{M}-worker.log.1", f"{M}.json"),
]  # fmt: skip


@pytest.mark.parametrize("name", ROTATED)
def test_names_of_rotated_files(name: str) -> None:
    seen, of = rotated(name), rotated_of(LOG, name)
    assert seen is not None
    assert seen == of
    assert seen.log == LOG


@pytest.mark.parametrize("name", OTHERS)
def test_names_of_other_files(name: str) -> None:
    assert rotated_of(LOG, name) is None
    assert name == LOG or not may_be_of(LOG, name)


@pytest.mark.parametrize("name", ["media_processing.log.1.lz4", "media_processing.log.1.br", "media_processing.log~7x"])
def test_a_neighbour_that_cannot_be_read_is_left_out_and_said(tmp_path: Path, name: str) -> None:
    (tmp_path / LOG).write_text(shapes(1)["service"] + "\n", encoding="utf-8")
    (tmp_path / name).write_bytes(b"?" * 100)
    found = digest(tmp_path / LOG, where=ERRORS, hours=24, include_rotated=True)
    assert (found["complete"], found["left_out"]) == (False, [str(tmp_path / name)])
    assert observe_log(found)["fault"] == "missing"
    os.utime(tmp_path / name, (1, 1))  # it holds nothing of the window
    assert digest(tmp_path / LOG, where=ERRORS, hours=24, include_rotated=True)["complete"]


def test_all_that_was_rotated_is_read_oldest_first(tmp_path: Path) -> None:
    pack: dict[str, Callable[[bytes], bytes]] = {
        "": bytes,
        ".gz": gzip.compress,
        ".bz2": bz2.compress,
        ".xz": lzma.compress,
    }
    names = [
        *(f"{M}-2026-11-26.log", f"{M}.log-20261127.gz", f"{M}.log.20261128"),
        *(f"{M}.log.10.bz2", f"{M}.log.9.xz", f"{M}.log.2", f"{M}.1.log"),
        *(f"{M}.log.0", LOG),
    ]  # fmt: skip
    for number, name in enumerate(names):
        ending = next((one for one in pack if one and name.endswith(one)), "")
        (tmp_path / name).write_bytes(pack[ending](json.dumps({"n": number}).encode() + b"\n"))
    found = digest(tmp_path / LOG, include_rotated=True, last=20)
    assert [entry["n"] for entry in found["last"]] == list(range(len(names)))
    assert found["complete"]


@pytest.mark.skipif(not any(Path(one, "zstd").exists() for one in os.environ["PATH"].split(":")), reason="no zstd")
def test_zstd_is_read_by_its_command_and_a_damaged_file_is_told(tmp_path: Path) -> None:
    (tmp_path / LOG).write_text('{"n": 1}\n', encoding="utf-8")
    plain = tmp_path / "media_processing.log.1"
    plain.write_text('{"n": 0}\n' * 9000, encoding="utf-8")
    subprocess.run(["zstd", "-q", "--rm", plain], check=True)
    found = digest(tmp_path / LOG, include_rotated=True)
    assert (found["lines"], found["complete"]) == (9001, True)
    packed = tmp_path / "media_processing.log.1.zst"
    packed.write_bytes(packed.read_bytes()[:-9])
    found = digest(tmp_path / LOG, include_rotated=True)
    assert (found["state"], found["complete"]) == ("invalid", False)


def test_holes_are_skipped(tmp_path: Path) -> None:
    """copytruncate under a writer that does not append: 90 GB by its size, some kB on the disk."""
    path = tmp_path / LOG
    size = 90 << 30
    with path.open("wb") as file:
        file.write(b'{"n": 0}\n{"n": 1')
        file.seek(size)
        file.write(b'\n{"n": 2}\n{"n": 3}\n')
        file.truncate(size + (1 << 30))
    began = time.monotonic()
    found = digest(path, last=9)
    assert time.monotonic() - began < 20
    assert [entry["n"] for entry in found["last"]] == [0, 2, 3]
    assert found["bytes_read"] < 1 << 20
    assert (found["state"], found["complete"]) == ("ok", True)
    bounded = digest(path, last=9, max_bytes=1 << 20)
    assert [entry["n"] for entry in bounded["last"]] == [0, 2, 3]
    state = tmp_path / "state"
    state.mkdir()
    assert digest(path, cursor="a", state_dir=str(state))["matched"] == 3
    with path.open("r+b") as file:
        file.seek(size + 40)
        file.write(b'\n{"n": 4}\n')
    again = digest(path, cursor="a", state_dir=str(state), last=9)
    assert not again["cursor_reset"]


@pytest.mark.parametrize(
    "odd",
    [
        '"level": "ERROR", "timestamp": {"seconds": "²"}',
        '"level": "ERROR", "timestamp": {"sec": 1764288000, "nsec": -1}',
        '"level": "ERROR", "timestamp": ' + '{"timestamp": ' * 600 + "1" + "}" * 600,
        '"levelno": 40, "level": "²"',
    ],
)
def test_no_line_breaks_the_look_at_the_others(tmp_path: Path, odd: str) -> None:
    (tmp_path / LOG).write_text("{" + odd + '}\n{"level": "ERROR"}\n', encoding="utf-8")
    assert digest(tmp_path / LOG, where=[{"field": "level", "op": "eq", "value": "ERROR"}])["matched"] == 2
