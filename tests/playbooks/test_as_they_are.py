"""Services as they really are, by the playbooks: other ids for one session, and one that is well and ill in turn."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from media_pipeline.supervised import SupervisedPipeline, supervised_pipeline

from tests.hung_probe import hung_probe
from tests.playbooks.conftest import REACHED, Play

pytestmark = pytest.mark.playbook
SECONDS = {
    "policy_session_look_minutes": 0.01,
    "policy_session_investigate_minutes": 0.02,
    "policy_session_end_minutes": 0.03,
    "policy_session_quiet_seconds": 1,
    "policy_session_interval": 1,
    "policy_session_look_max": 3,
    "policy_verify_samples": 1,
    "policy_verify_good": 1,
    "policy_verify_interval": 0,
}


def on(pipeline: SupervisedPipeline, **more: Any) -> dict[str, Any]:
    return {
        **REACHED,
        "media_ops_api_url": pipeline.api_url,
        "media_ops_api_token": pipeline.token(),
        "policy_base_dir": str(pipeline.base_dir),
        "policy_service_path": str(pipeline.bin_dir),
        "policy_service_interval": 0.2,
        **pipeline.site,
        **more,
    }


# runbook: P2S-2A, P2S-2B, P2S-2C
def test_an_ffprobe_that_hangs_under_the_id_of_an_upload_is_ended(play: Play, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o750)
    with supervised_pipeline(tmp_path / "joined", {"PIPELINE_UPLOAD_IDS": "joined"}) as pipeline:
        session, probe = hung_probe(pipeline)
        (beside,) = pipeline.feed(1, fault="slow")
        only = {"incident_only": ["stuck_session"], "incident_mode": "apply", **SECONDS}
        run = play("playbooks/incident_stuck_session.yml", {"media1": on(pipeline)}, **only)
        (host,) = run.result("incident_response")["hosts"]
        (rung,) = host["response"]["acted"]
        ended = {one["stable"]["pid"]: one for one in rung["actions"] if one["action"] == "terminate"}
        assert {(one["stable"]["session"], one["result"]) for one in ended.values()} == {(session, "done")}, run.output
        assert "upload_sessions.json assigns to it" in str(ended[probe.pid]["proof"])
        assert not probe.is_running()
        assert pipeline.listed(str(beside["session_id"])), "the one beside it goes on"


class InTurn(http.server.ThreadingHTTPServer):
    """Hands on to a service, whose detailed health is told as critical every other time."""

    def __init__(self, pipeline: SupervisedPipeline) -> None:
        super().__init__(("127.0.0.1", 0), _Handed)
        self.pipeline, self.asked, self.is_in_turn = pipeline, 0, False


class _Handed(http.server.BaseHTTPRequestHandler):
    server: InTurn

    def do_GET(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.pipeline.port, timeout=20)
        try:
            connection.request("GET", self.path, headers={"Authorization": self.headers.get("Authorization", "")})
            answer = connection.getresponse()
            status, body = answer.status, answer.read()
        except OSError:
            status, body = 502, b"{}"
        finally:
            connection.close()
        if self.server.is_in_turn and self.path.endswith("/health/detailed") and status == 200:
            self.server.asked += 1
            if self.server.asked % 2 == 0:
                body = json.dumps({**json.loads(body), "overall_status": "critical"}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: Any) -> None:
        """Say nothing."""


@contextlib.contextmanager
def in_turn(pipeline: SupervisedPipeline) -> Iterator[InTurn]:
    with InTurn(pipeline) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield server
        finally:
            server.shutdown()
            serving.join()


# runbook: EM-R3
def test_a_service_that_flaps_after_its_restart_has_not_recovered(play: Play, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o750)
    with supervised_pipeline(tmp_path / "flaps") as pipeline, in_turn(pipeline) as server:
        server.is_in_turn = True
        host = on(pipeline, media_ops_api_url=f"http://127.0.0.1:{server.server_port}{pipeline.api_path}")
        rung = {"rung": "Restart", "act": "service_control", "steps": ["EM-R1"], "args": {"state": "restarted"}}
        watch = {"samples": 8, "good": 5, "interval": 0}
        restart = {"title": "Graceful restart", "evidence": False, "verify": watch, "rungs": [rung]}
        procedures = {"emergency_restart_graceful": restart}
        run = play("playbooks/emergency_service_restart.yml", {"media1": host}, policy_procedures=procedures)
        assert run.code == 2, run.output
        (told,) = run.result("emergency_service_restart")["hosts"]
        assert told["response"]["recovered"] is False, run.output
        assert told["response"]["page"] is True
        assert "a service that flaps has not recovered" in run.output
