"""What is read of a journal, line by line as systemd 252 writes it. That a real one is read is proved in tests/lab."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.system import journal
from ansible_collections.media_ops.runbook.plugins.module_utils.system.journal import Told, missing_files, why_it_ended
from ansible_collections.media_ops.runbook.plugins.module_utils.system.privilege import Ran

UNIT = "media-processing-service"
FAILED = {"ActiveState": "failed", "Result": "exit-code", "InvocationID": "now"}


def told(monkeypatch: pytest.MonkeyPatch, *entries: dict[str, Any], **properties: str) -> Told | None:
    lines = [json.dumps({"INVOCATION_ID": "now", **entry}) for entry in reversed(entries)]
    ran = Ran(("journalctl",), 0, "\n".join(["{torn", "7", *lines]), "", 0.1)
    monkeypatch.setattr(journal, "run", lambda _command, timeout_s: ran)
    return why_it_ended(UNIT, {**FAILED, **properties})


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ({"MESSAGE": f"{UNIT}.service: start-pre operation timed out. Terminating."}, "ExecStartPre= hung"),
        ({"MESSAGE": "x", "COMMAND": "ExecStartPre", "EXIT_CODE": "exited", "EXIT_STATUS": "3"}, "exit code 3"),
        ({"MESSAGE": f"{UNIT}.service: Failed to load environment files: Permission denied"}, "could not be read"),
        ({"MESSAGE": "OSError: [Errno 28] No space left on device: '/srv'"}, "no space left"),
        ({"MESSAGE": "bind: Address already in use"}, "taken by another process"),
    ],
)
def test_what_systemds_result_hides(monkeypatch: pytest.MonkeyPatch, entry: dict[str, Any], text: str) -> None:
    found = told(monkeypatch, {"MESSAGE": "Starting"}, entry, {"MESSAGE": ["bytes"]}, {"MESSAGE": "Failed to start"})
    assert found is not None
    assert text in found.text
    assert not found.stands


def test_the_last_run_counts_and_no_run_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {"MESSAGE": "bind: Address already in use", "INVOCATION_ID": "before"}
    assert told(monkeypatch, before, {"MESSAGE": "Main process exited"}) is None
    # One that is started again and again runs anew by now.
    assert told(monkeypatch, before, {"MESSAGE": "Started"}, ActiveState="active") is not None
    own = {"MESSAGE": "bind: Address already in use", "INVOCATION_ID": None, "_SYSTEMD_INVOCATION_ID": "now"}
    assert told(monkeypatch, own) is not None


def test_secrets_of_a_line_are_not_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    found = told(monkeypatch, {"MESSAGE": "token=CANARY: No space left on device"})
    assert found is not None
    assert "CANARY" not in found.text


@pytest.mark.parametrize(
    "line",
    [
        "[Errno 98] error while attempting to bind on address ('0.0.0.0', {port}): address already in use",
        "nginx: [emerg] bind() to 0.0.0.0:{port} failed (98: Address already in use)",
        "Error: listen EADDRINUSE: address already in use :::{port}",
    ],
)
def test_a_port_is_taken_for_as_long_as_somebody_listens_on_it(monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        entry = {"MESSAGE": line.format(port=listener.getsockname()[1])}
        found = told(monkeypatch, entry)
        assert found is not None
        assert found.stands
        assert "which is none of this unit" in found.text
        monkeypatch.setattr(journal, "unit_pids", lambda _properties: {1})
        mine = told(monkeypatch, entry)
        assert mine is not None
        assert not mine.stands, "what it left behind itself, a restart may end"
    later = told(monkeypatch, entry)
    assert later is not None
    assert (later.stands, "is free now" in later.text) == (False, True)
    monkeypatch.setattr(journal, "users_on", lambda _port: None)
    unseen = told(monkeypatch, entry)
    assert unseen is not None
    assert (unseen.stands, unseen.text.endswith("was taken by another process")) == (False, True)


def test_only_a_file_that_it_cannot_do_without_stands_in_its_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "there.env").touch()
    rows = ["optional.env (ignore_errors=yes)", "there.env (ignore_errors=no)", "no*.env (ignore_errors=yes)"]
    files = "\n".join(f"{tmp_path}/{row}" for row in rows)
    assert missing_files({"EnvironmentFiles": files}) == []
    gone = f"{files}\n{tmp_path}/gone.env (ignore_errors=no)"
    assert missing_files({"EnvironmentFiles": gone}) == [f"{tmp_path}/gone.env"]
    assert missing_files({"EnvironmentFiles": f"{tmp_path}/no*.env (ignore_errors=no)"}) == [f"{tmp_path}/no*.env"]
    found = told(monkeypatch, Result="resources", EnvironmentFiles=gone)
    assert found == Told(f"its environment file {tmp_path}/gone.env is not there, and it cannot start without", True)
    assert told(monkeypatch, EnvironmentFiles=gone) is None, "it ended by something else"
