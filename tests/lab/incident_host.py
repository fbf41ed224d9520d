# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One lab host to break, and runs of playbooks on it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from .conftest import ROOT, Fleet

SCHEMA = json.loads((ROOT / "roles/report/files/result.schema.json").read_text(encoding="utf-8"))
RESPONSE = "playbooks/incident_response.yml"
_ASK = "python3 -c 'import urllib.request as u; u.urlopen(\"http://127.0.0.1:8000/api/v1/monitoring/{}\", timeout=5)'"
HEALTH = _ASK.format("health")
ANSWER = _ASK.format("none") + " 2>&1 | grep -q 'HTTP Error 404'"
UNIT = "media-processing-service"
SERVICE_ENV = "/etc/media-processing/service.env"
QUICK = {
    "policy_verify_samples": 5,
    "policy_verify_interval": 1,
    "policy_verify_good": 3,
    "policy_service_interval": 0.5,
    "policy_service_health_timeout": 3,
    "policy_restart_drain": 20,
    "policy_session_interval": 1,
    "policy_session_look_max": 2,
    # An emergency's deletions stop once so much is free: not before all of it went that may.
    "policy_emergency_free_percent": 100,
    # The hosts share two processors with other tests: their load is no finding.
    "policy_cpu_critical": 101,
    "report_contacts": [{"area": "System administrator", "name": "Operations on call", "contact": "+00 000"}],
}


class Incident:
    """One host to break, and runs of playbooks on it."""

    def __init__(self, fleet: Fleet, host: str) -> None:
        self.fleet = fleet
        self.host = host
        self.sh("[ -e /root/ffmpeg.kept ] || cp /usr/bin/ffmpeg /root/ffmpeg.kept")

    def sh(self, command: str, *, check: bool = True) -> str:
        """Run a command as root on the host, without ssh."""
        return str(self.fleet.lab.exec(self.host, ["sh", "-c", command], check=check, timeout=120).stdout)

    def command(self, playbook: str, *options: str, limit: str = "", **variables: Any) -> list[str]:
        extra = json.dumps({**QUICK, **variables})
        ansible = str(Path(sys.executable).with_name("ansible-playbook"))
        base = [ansible, "-i", str(self.fleet.inventory), playbook, "-e", extra]
        return [*base, "--limit", limit or self.host, *options]

    def environment(self) -> dict[str, str]:
        return {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "NO_COLOR": "1"}

    def run(
        self, playbook: str, *options: str, limit: str = "", expected_warning: str = "", **variables: Any
    ) -> tuple[int, str]:
        done = subprocess.run(
            self.command(playbook, *options, limit=limit, **variables),
            cwd=ROOT, env=self.environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
            timeout=420,
        )  # fmt: skip
        output = done.stdout + done.stderr
        assert "Traceback" not in output, output
        warned = [line for line in output.splitlines() if line.startswith(("[WARNING]", "[DEPRECATION"))]
        assert not [line for line in warned if not expected_warning or expected_warning not in line], output
        return done.returncode, output

    def response(self, check: str = "incident_response") -> dict[str, Any]:
        """The response of the last run, from the result document, which is valid."""
        reports = json.loads(self.fleet.inventory.read_text())["all"]["children"]["media_hosts"]["vars"]["report_dir"]
        result = json.loads((Path(reports) / check / "latest" / "result.json").read_text(encoding="utf-8"))
        jsonschema.validate(result, SCHEMA)
        host = next(entry for entry in result["hosts"] if entry["host"] == self.host)
        return {**host["response"], "verdicts": host["verdicts"], "incidents": host["incidents"]}

    def response_page(self, check: str = "incident_response") -> str:
        """Everything that the last run left on the controller."""
        reports = json.loads(self.fleet.inventory.read_text())["all"]["children"]["media_hosts"]["vars"]["report_dir"]
        return "".join(path.read_text(encoding="utf-8") for path in (Path(reports) / check / "latest").iterdir())

    def ledger(self) -> list[dict[str, Any]]:
        lines = self.sh("cat /var/lib/media-ops/ledger.jsonl 2>/dev/null || true").splitlines()
        return [json.loads(line) for line in lines]

    def checked(self, playbook: str, **variables: Any) -> tuple[int, str, str]:
        """A run with --check, which must leave the host as it was: its exit code, the plan's hash, and its output."""
        before = self.listing()
        code, output = self.run(playbook, "--check", **variables)
        assert self.listing() == before, f"--check of {playbook} changed the host"
        hashes = re.findall(r"Plan ([0-9a-f]{12}):", output)
        return code, hashes[-1] if hashes else "", output

    @contextlib.contextmanager
    def settings(self, **values: str) -> Iterator[None]:
        """The service runs with other settings for a while."""
        lines = "".join(f"{name}={value}\\n" for name, value in values.items())
        self.sh(f"cp -p {SERVICE_ENV} /root/service.env; printf '{lines}' >> {SERVICE_ENV}; systemctl restart {UNIT}")
        # It may answer that it is critical, which is what some settings are for.
        self.wait_until(ANSWER)
        try:
            yield
        finally:
            self.sh(f"mv /root/service.env {SERVICE_ENV}; systemctl restart {UNIT}")

    def main_pid(self) -> int:
        return int(self.sh(f"systemctl show -p MainPID --value {UNIT}"))

    def listing(self) -> str:
        """What a run in check mode must leave as it is: files, units, processes of the service."""
        return self.sh(
            # The service writes a file of its own into temp at each look at its health.
            "find /srv /srv/media-processing/temp /etc /usr/bin /var/lib/media-ops /backup -xdev"
            " \\( -type d -printf '%p %m %u\\n' -o -printf '%p %s %m %u %T@\\n' \\) 2>/dev/null"
            " | grep -v -e /temp/logs/ -e __pycache__ | sort;"
            f" systemctl show -p ActiveState,MainPID,NRestarts {UNIT}; pgrep -u media -a | sort",
            check=False,
        )

    def wait_healthy(self) -> None:
        self.wait_until(HEALTH)

    def wait_until(self, command: str) -> None:
        """Wait until a command succeeds on the host."""
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            if self.sh(f"({command}) >/dev/null 2>&1 && echo yes || true").strip():
                return
            time.sleep(0.3)
        pytest.fail(f"{self.host}: in vain waited for {command}")
