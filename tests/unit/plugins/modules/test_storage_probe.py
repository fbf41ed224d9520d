# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""storage_probe as Ansible runs it, and nothing of the secrets to be seen of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.media_ops.runbook.plugins.modules import storage_probe

from tests.s3_proxy import s3_proxy

ROOT = Path(__file__).resolve().parents[4]
CANARY = "canary/Secret+of/the-service0123456789"
TOKEN = "canarySessionToken" + "y" * 60


def run(capsys: pytest.CaptureFixture[str], **options: Any) -> dict[str, Any]:
    with patch_module_args(options), pytest.raises(SystemExit):
        storage_probe.main()
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.fixture
def environment_file(tmp_path: Path) -> Path:
    path = tmp_path / "service.env"
    path.write_text(
        "AWS_S3_BUCKET_NAME=media\nAWS_S3_ENDPOINT_URL=http://127.0.0.1:1\nAWS_ACCESS_KEY_ID=AKIACANARYCANARY0001\n"
        f"AWS_SECRET_ACCESS_KEY={CANARY}\nAWS_SESSION_TOKEN={TOKEN}\n"
    )
    return path


# runbook: P0-3I
def test_down_is_a_value(capsys: pytest.CaptureFixture[str], environment_file: Path) -> None:
    found = run(capsys, environment_file=str(environment_file), _ansible_check_mode=True)
    assert (found["state"], found["changed"]) == ("refused", False)
    assert "failed" not in found
    assert found["environment"]["AWS_SECRET_ACCESS_KEY"] == "set"
    assert found["environment"]["AWS_ENDPOINT_URL"] == "not set"
    assert found["credentials"]["access_key"] == "AKIA… (20 characters)"


def test_misuse_fails_and_names_the_option(capsys: pytest.CaptureFixture[str], environment_file: Path) -> None:
    found = run(capsys, environment_file=str(environment_file), retries=5)
    assert found["failed"] is True
    assert found["msg"] == "option 'retries' is 5: must be 0 to 1"
    assert "one of the following is required" in run(capsys)["msg"]
    assert "mutually exclusive" in run(capsys, unit="a", environment_file=str(environment_file))["msg"]


def test_a_login_in_the_endpoint_is_refused_and_hidden(
    capsys: pytest.CaptureFixture[str], environment_file: Path
) -> None:
    url = "http://user:canary-in-url@127.0.0.1:1"
    found = run(capsys, environment_file=str(environment_file), endpoint_url=url)
    assert "must have no credentials" in found["msg"]
    assert "canary-in-url" not in json.dumps(found)


def test_a_unit_that_cannot_be_asked_about_is_unknown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # no systemctl there
    found = run(capsys, unit="media-processing-service")
    assert (found["state"], found["environment_source"]) == ("unknown", "")
    assert "systemd cannot be asked" in found["reason"]


def test_no_secret_in_the_output_and_the_process_list(tmp_path: Path, environment_file: Path) -> None:
    """With the most verbose output, kept remote files, and the process list watched as long as it runs."""
    done, seen = threading.Event(), set[bytes]()

    def watch() -> None:
        while not done.wait(0.02):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.add(path.read_bytes())
                except OSError:
                    continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    temporary = tmp_path / "ansible"
    try:
        with s3_proxy("", {"list": "echo_secrets", "identity": "echo_secrets"}) as proxy:
            options = {"environment_file": str(environment_file), "endpoint_url": proxy.url}
            command = ["ansible", "localhost", "-i", "localhost,", "-c", "local", "-vvvvv"]
            command += ["-e", f"ansible_python_interpreter={sys.executable}", "-m", "media_ops.runbook.storage_probe"]
            ran = subprocess.run(
                [*command, "-a", json.dumps(options)],
                cwd=ROOT,
                env={
                    **os.environ,
                    "ANSIBLE_DEBUG": "1",
                    "ANSIBLE_KEEP_REMOTE_FILES": "1",
                    "ANSIBLE_LOCAL_TEMP": str(temporary),
                    "ANSIBLE_REMOTE_TEMP": str(temporary),
                    "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                },
                capture_output=True,
                text=True,
                timeout=120,
                check=True,
            )
    finally:
        done.set()
        watcher.join()
    output = ran.stdout + ran.stderr
    assert '"state": "invalid"' in output
    assert any(b"storage_probe" in argv for argv in seen)
    kept = "".join(path.read_text("latin-1") for path in temporary.rglob("*") if path.is_file())
    assert "AnsiballZ_storage_probe" in "".join(path.name for path in temporary.rglob("*"))
    for secret in (CANARY, TOKEN, TOKEN[:24], "AKIACANARYCANARY0001"):
        assert secret not in output
        assert secret not in kept
        assert not any(secret.encode() in argv for argv in seen)
