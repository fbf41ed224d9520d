# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A small client of the service, for the feeder, the launcher and the tests."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from . import tokens
from .config import JOBS, MONITORING

HEADERS = {"Content-Type": "application/json"}


class ClientError(Exception):
    """An answer that was not hoped for."""


def wait_for(what: str, condition: Callable[[], Any], deadline: float = 60.0, interval: float = 0.05) -> Any:
    """Return the first true answer of `condition`; raise TimeoutError when none comes within `deadline` seconds."""
    end = time.monotonic() + deadline
    while not (answer := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {deadline:g} s")
        time.sleep(interval)
    return answer


class Client:
    """Requests to one service, each with a token of its own."""

    jobs_path = JOBS

    def __init__(self, host: str, port: int, secret: str) -> None:
        self.host = host
        self.port = port
        self.secret = secret

    def token(self, ttl: float = 3600) -> str:
        """Return a token that holds for `ttl` seconds."""
        return tokens.make(self.secret, ttl)

    def credential(self, token: str) -> dict[str, str]:
        """Return the header that carries a token."""
        return {"Authorization": f"Bearer {token}"}

    def request(
        self, method: str, path: str, body: Any = None, token: str | None = None, timeout: float = 30.0
    ) -> tuple[int, Any]:
        """Return the status and the document. `token` "" sends none."""
        headers = dict(HEADERS)
        if token != "":
            headers |= self.credential(token or self.token())
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def get(self, endpoint: str) -> Any:
        """Return the document of a monitoring endpoint that answers 200."""
        status, document = self.request("GET", MONITORING + endpoint)
        if status != 200:
            raise ClientError(f"GET {endpoint}: {status} {document}")
        return document

    def submit(self, inputs: Sequence[Path | str], user_id: str = "feeder", **options: Any) -> str:
        """Post a job; return its session id."""
        body = {"inputs": [str(path) for path in inputs], "user_id": user_id, **options}
        status, document = self.request("POST", self.jobs_path, body)
        if status != 202:
            raise ClientError(f"POST {self.jobs_path}: {status} {document}")
        return str(document["session_id"])

    def job(self, session_id: str) -> dict[str, Any]:
        """Return a job's state."""
        status, document = self.request("GET", f"{self.jobs_path}/{session_id}")
        if status != 200:
            raise ClientError(f"GET {self.jobs_path}/{session_id}: {status} {document}")
        return dict(document)

    def wait(self, session_id: str, deadline: float = 60.0) -> dict[str, Any]:
        """Return a job's state once it has ended."""

        def ended() -> dict[str, Any] | None:
            job = self.job(session_id)
            return job if job["status"] in ("completed", "failed") else None

        return dict(wait_for(f"end of session {session_id}", ended, deadline))

    def listed(self, session_id: str) -> list[dict[str, Any]]:
        """Return the session's entries in the list of active sessions."""
        return [entry for entry in self.get("/sessions/active")["active_sessions"] if entry["session_id"] == session_id]
