# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host has, seen on real files, processes and sockets."""

from __future__ import annotations

import base64
import getpass
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.errors import OptionError
from ansible_collections.media_ops.runbook.plugins.module_utils.setup.log_files import log_files
from ansible_collections.media_ops.runbook.plugins.module_utils.setup.places import User, directories, user_of
from ansible_collections.media_ops.runbook.plugins.module_utils.setup.setup_info import setup_info
from ansible_collections.media_ops.runbook.plugins.modules import setup_info as module

ME = getpass.getuser()
# A service: it stands in its directory, logs, and answers each request with the health that its first argument is.
SERVICE = """
import http.server, json, sys
log = open("temp/logs/application.log", "a")
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        known = self.path == "/api/health"
        body = json.dumps({"overall_status": "healthy"} if known else {}).encode()
        self.send_response(200 if known else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *given):
        pass
server = http.server.HTTPServer(("127.0.0.1", 0), Answer)
print(server.server_port, flush=True)
server.serve_forever()
"""


def asked(base: Path, **more: Any) -> dict[str, Any]:
    return {
        "unit": "media-ops-no-such-unit",
        "process": None,
        "restart_command": [],
        "restart_as_root": False,
        "service_user": ME,
        "service_become": False,
        "base_dir": str(base),
        "log_dir": str(base / "temp/logs"),
        "state_dir": str(base / "state"),
        "directories": [str(base / "temp")],
        "disk_paths": ["/", str(base / "not/there/yet")],
        "libraries": ["json", "media_ops_no_such_library"],
        "api_url": "http://localhost:9/api",
        "health_path": "/health",
        "token_file": None,
        "controller_time": None,
        **more,
    }


@contextmanager
def running(base: Path) -> Iterator[int]:
    (base / "temp/logs").mkdir(parents=True)
    command = [sys.executable, "-c", SERVICE]
    with subprocess.Popen(command, cwd=base, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


def test_the_service_is_found_by_who_works_in_its_directory_and_where_it_answers(tmp_path: Path) -> None:
    with running(tmp_path) as port:
        found = setup_info(asked(tmp_path, log_dir=str(tmp_path / "elsewhere")))
        service = found["service"]
        assert (service["user"], service["found_by"], service["directory"]) == (ME, "files", str(tmp_path))
        assert service["log_dirs"] == [str(tmp_path / "temp/logs")]
        assert [row["port"] for row in service["listens"]] == [port]
        assert (found["api"]["status"], found["api"]["answer"]) == (0, "")
        answer = {"host": "127.0.0.1", "port": port, "path": "/api", "status": 200, "answer": "health"}
        assert found["api"]["elsewhere"] == [answer]
        right = setup_info(asked(tmp_path, api_url=f"http://localhost:{port}/api"))["api"]
        assert (right["answer"], right["elsewhere"]) == ("health", [])
        told = setup_info(asked(tmp_path, unit="", process={"user": ME, "port": port}))
        assert (told["unit"]["state"], told["unit"]["active"], told["service"]["found_by"]) == (
            "none",
            "running",
            "process",
        )
        assert told["service"]["pid"] == service["pid"]
        by_port = setup_info(asked(Path("/nonexistent"), api_url=f"http://localhost:{port}/api"))
        assert by_port["service"]["found_by"] == "port"
        assert str(tmp_path) in [row["path"] for row in by_port["service_directories"]]


def test_what_is_not_there_is_a_value(tmp_path: Path) -> None:
    found = setup_info(asked(tmp_path))
    assert found["service"]["pid"] is None
    assert found["libraries"] == {"json": "of unknown version" if not hasattr(json, "__version__") else
                                  json.__version__, "media_ops_no_such_library": ""}  # fmt: skip
    assert found["state_dir"]["state"] == "missing"
    assert found["logs"]["state"] == "missing"
    assert [row["state"] for row in found["directories"]] == ["there", "missing"]
    assert {row["path"] for row in found["disks"]} >= {"/"}
    (tmp_path / "state").mkdir(mode=0o750)
    assert setup_info(asked(tmp_path))["state_dir"] == {"state": "ok", "reason": ""}


def test_a_service_without_a_unit_of_which_nothing_is_told_is_a_value(tmp_path: Path) -> None:
    found = setup_info(asked(tmp_path, unit="", process={"user": ME}))
    assert (found["unit"]["active"], found["service"]["pid"]) == ("unset", None)
    assert "policy_service_restart is empty" in found["sudo"]["restart"]


def test_all_that_it_gives_is_documented(tmp_path: Path) -> None:
    import yaml

    assert set(setup_info(asked(tmp_path))) - {"changed"} == set(yaml.safe_load(module.RETURN))


@pytest.mark.parametrize(
    "wrong", [{"base_dir": "srv"}, {"unit": "a b"}, {"service_user": "-x"}, {"libraries": ["os.path; x"]}]
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        setup_info(asked(tmp_path, **wrong))


def test_logs_say_which_fields_and_dates_their_lines_have(tmp_path: Path) -> None:
    lines = [json.dumps({"when": f"2026-11-30T00:00:0{second}Z", "severity": "error"}) for second in range(3)]
    (tmp_path / "a.log").write_text("\n".join(["cut {", *lines, ""]), encoding="utf-8")
    (tmp_path / "b.log").write_text("plain text\n", encoding="utf-8")
    os.mkfifo(tmp_path / "c.log")
    (tmp_path / "d.txt").write_text("x", encoding="utf-8")
    rows = {row["name"]: row for row in log_files(str(tmp_path))["files"]}
    assert set(rows) == {"a.log", "b.log", "c.log"}
    first = rows["a.log"]
    assert (first["lines"], first["json_lines"], first["dated_lines"], first["leveled_lines"]) == (4, 3, 3, 3)
    assert (first["time_field"], first["last_at"]) == ("when", "2026-11-30T00:00:02Z")
    assert first["fields"] == ["when", "severity"]
    assert rows["b.log"]["json_lines"] == 0
    assert (rows["c.log"]["state"], "FIFO" in rows["c.log"]["reason"]) == ("unreadable", True)


def test_who_may_delete_is_told_by_the_mode(tmp_path: Path) -> None:
    other = User("other", tmp_path.stat().st_uid + 1, frozenset())
    for mode, deletes in ((0o755, False), (0o777, True), (0o1777, False)):
        tmp_path.chmod(mode)
        (row,) = directories([str(tmp_path)], other)
        assert (row["deletes"], row["mode"]) == (deletes, f"{mode:04o}")
    assert directories([str(tmp_path)], None)[0]["deletes"] is None
    assert user_of("media-ops-nobody-of-this-name") is None


def test_a_token_in_a_file_says_until_when_it_is_valid(tmp_path: Path) -> None:
    claims = base64.urlsafe_b64encode(b'{"exp": 1800000000}').decode().rstrip("=")
    (tmp_path / "token").write_text(f"h.{claims}.s", encoding="ascii")
    told = setup_info(asked(tmp_path, token_file=str(tmp_path / "token")))["access"]
    assert told == {"state": "there", "reason": "", "ends_at": "2027-01-15T08:00:00Z"}
    (tmp_path / "token").write_text("opaque", encoding="ascii")
    assert setup_info(asked(tmp_path, token_file=str(tmp_path / "token")))["access"]["ends_at"] is None
    assert setup_info(asked(tmp_path, token_file="/nonexistent"))["access"]["state"] == "unreadable"
