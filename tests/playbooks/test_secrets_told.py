"""A service that tells secrets in its answers and its log: none is shown, kept, reported or sent."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import pwd
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from media_pipeline.launcher import Pipeline, running_pipeline

from tests.playbooks.conftest import REACHED, Play
from tests.receiver import receiver

pytestmark = pytest.mark.playbook

PASSWORD = "c4n4ry-Of-The-Database"
TOLD = (
    f"postgres://media:{PASSWORD}@db/jobs refused, token=c4n4ryAbc12345, Authorization: Bearer c4n4ryBearer12345, "
    "https://hooks.slack.com/services/T0/B0/c4n4ryHook and https://s3/b/k?X-Amz-Signature=c4n4rySigned&X-Amz-Date=1"
)
# What is read by people, in each of the service's documents
SPEAKING = {"message", "title", "error_message", "details", "description", "current_stage"}


def talkative(document: Any, token: str) -> Any:
    """The document, of which every text for people tells secrets, the token of who asks among them."""
    said = f" {TOLD} {token} {token.encode().hex()} {base64.b64encode(token.encode()).decode()}"
    if isinstance(document, dict):
        return {
            key: f"{value}{said}" if key in SPEAKING and isinstance(value, str) else talkative(value, token)
            for key, value in document.items()
        }
    return [talkative(entry, token) for entry in document] if isinstance(document, list) else document


@contextlib.contextmanager
def talking(pipeline: Pipeline, token: str) -> Iterator[str]:
    """A service that answers as the pipeline does, and tells secrets."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            headers = {name: value for name, value in self.headers.items() if name in ("Authorization", "Accept")}
            request = urllib.request.Request(
                pipeline.api_url.removesuffix("/api/v1/monitoring") + self.path, headers=headers
            )
            try:
                with urllib.request.urlopen(request, timeout=10) as answer:
                    status, body = answer.status, answer.read()
            except urllib.error.HTTPError as error:
                status, body = error.code, error.read()
            body = json.dumps(talkative(json.loads(body), token)).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/api/v1/monitoring"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


@pytest.fixture(scope="module")
def sick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    with running_pipeline(tmp_path_factory.mktemp("sick")) as pipeline:
        pipeline.feed(2)
        pipeline.break_ffmpeg()
        entry = {"timestamp": "2026-11-29T07:00:00", "level": "ERROR", "message": TOLD, "extra": {"error_code": TOLD}}
        for log in (pipeline.base_dir / "logs").glob("*.log"):
            with log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry) + "\n")
        yield pipeline


@pytest.mark.parametrize("playbook", ["quick_reference", "watch_health", "incident_response"])
def test_no_secret_is_passed_on(playbook: str, play: Play, tmp_path: Path, sick: Pipeline) -> None:
    token = sick.token()
    for part in ("state", "archive"):
        (tmp_path / part).mkdir(mode=0o750)
    with talking(sick, token) as url, receiver() as server:
        host = {
            **REACHED, "media_ops_api_url": url, "policy_base_dir": str(sick.base_dir),
            "policy_archive_dir": str(tmp_path / "archive"), "policy_become": False,
            "policy_service_unit": "media-ops-no-such-unit",
            "policy_service_user": pwd.getpwuid(os.geteuid()).pw_name,
        }  # fmt: skip
        channels = [{"name": "ours", "type": "webhook", "url": server.webhook_url}]
        options = ["-vvvv", "-e", "incident_mode=apply"] if playbook == "incident_response" else ["-vvvv"]
        run = play(
            f"playbooks/{playbook}.yml", {"media1": host}, *options, token=token, report_channels=channels,
            policy_verify_samples=2, policy_verify_good=1, policy_verify_interval=0.1, expected_warning="sessions",
        )  # fmt: skip
        told = json.dumps([server.bodies("webhook"), server.refusals])
    assert run.code == 2, run.output[-3000:]
    kept = {"the screen": run.output, "the channel": told}
    for root in (run.report_dir, run.artifacts, tmp_path / "state"):
        kept |= {
            str(path): path.read_text(encoding="utf-8", errors="replace") for path in root.rglob("*") if path.is_file()
        }
    assert len(kept) > 3
    # ansible-runner's own note of the environment, in which this test gives the token
    kept = {where: text for where, text in kept.items() if not where.endswith("/command")}
    forms = {token, token.encode().hex(), base64.b64encode(token.encode()).decode().rstrip("=")[:-1]}
    for where, text in kept.items():
        lines = [line[:300] for line in text.splitlines() if "c4n4ry" in line or any(form in line for form in forms)]
        assert lines == [], f"a secret in {where}"
