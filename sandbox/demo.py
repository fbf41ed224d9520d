# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The demonstration: a real pipeline on this machine, real clips merged, and the morning check run against it.

Usage: make demo [FAULT=ffmpeg|clips|stuck|token|down]

Where the check leads to an incident, the playbook of the incident shows its plan while the pipeline still runs.
Whatever ends the demonstration, Ctrl-C and a closed terminal included, nothing is left running.
"""

from __future__ import annotations

import argparse
import contextlib
import getpass
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import psutil
from media_pipeline.launcher import Pipeline, running_pipeline

ROOT = Path(__file__).resolve().parent.parent
REPORTS = ROOT / "build" / "demo" / "reports"
CLIPS = 3
GRACE_S = 15


def _break_ffmpeg(pipeline: Pipeline) -> str:
    pipeline.break_ffmpeg()
    return pipeline.token()


def _broken_clips(pipeline: Pipeline) -> str:
    pipeline.feed(CLIPS, fault="broken")
    return pipeline.token()


def _stuck_sessions(pipeline: Pipeline) -> str:
    # A FIFO that nobody writes to: ffmpeg waits for it for ever, as it does for a dead network mount.
    pipeline.feed(12, fault="fifo")
    return pipeline.token()


def _expired_token(pipeline: Pipeline) -> str:
    return pipeline.token(ttl=-60)


def _down(pipeline: Pipeline) -> str:
    token = pipeline.token()
    pipeline.stop()
    return token


FAULTS: dict[str, tuple[str, Callable[[Pipeline], str], str]] = {
    "": ("nothing is broken", Pipeline.token, "ok"),
    "ffmpeg": ("ffmpeg is replaced by a file that cannot run", _break_ffmpeg, "critical"),
    "clips": ("broken clips are sent, so that jobs fail", _broken_clips, "critical"),
    "stuck": ("twelve jobs are sent whose input never comes", _stuck_sessions, "critical"),
    "token": ("the API token has expired", _expired_token, "unknown"),
    "down": ("the service is stopped", _down, "unknown"),
}


def _say(text: str) -> None:
    print(text, flush=True)


def _inventory(path: Path, pipeline: Pipeline, state_dir: Path, report_dir: Path) -> None:
    host = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        # The sandbox runs as whoever runs the demo, so nobody need become anybody.
        "ansible_become": False,
        "policy_service_user": getpass.getuser(),
        "media_ops_api_url": pipeline.api_url,
        "media_ops_api_token": "{{ lookup('ansible.builtin.env', 'MEDIA_OPS_API_TOKEN') }}",
        "policy_service_path": str(pipeline.bin_dir),
        "policy_base_dir": str(pipeline.base_dir),
        "policy_state_dir": str(state_dir),
        "report_dir": str(report_dir),
        "report_contacts": [
            {"area": "System administrator", "name": "Operations on call", "contact": "+00 000 000000"},
            {"area": "Development team", "name": "Media pipeline team", "contact": "#media-pipeline"},
        ],
    }
    path.write_text(json.dumps({"media_hosts": {"hosts": {"sandbox": host}}}), encoding="utf-8")


def _play(playbook: str, inventory: Path, token: str) -> int:
    """Run a playbook as a user would and return its exit code."""
    command = ["ansible-playbook", "-i", str(inventory), f"playbooks/{playbook}.yml"]
    _say(f"\n$ {shlex.join(command)}")
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "MEDIA_OPS_API_TOKEN": token,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
    }
    with subprocess.Popen(command, cwd=ROOT, env=environment) as process:
        try:
            return process.wait()
        finally:
            if process.poll() is None:
                _end_all(process)


def _end_all(process: subprocess.Popen[bytes]) -> None:
    """End ansible-playbook, and the workers that it leaves behind where it is ended while it forks one."""
    workers = psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    try:
        process.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
    for worker in psutil.wait_procs(workers, GRACE_S)[1]:
        with contextlib.suppress(psutil.NoSuchProcess):
            worker.kill()


def _result(reports: Path) -> dict[str, Any] | None:
    path = reports / "daily_morning" / "latest" / "result.json"
    if not path.exists():
        return None
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _show_plan(result: dict[str, Any], inventory: Path, token: str) -> bool:
    """Let the playbook of the most urgent incident show what it would do; whether there is one."""
    playbook = next((incident["playbook"] for incident in result["incidents"]), "")
    known = (ROOT / "playbooks" / f"{playbook}.yml").exists()
    if known:
        _say(f"\nThe check leads to {playbook}. It shows its plan, and changes nothing unless it is told to:")
        _play(playbook, inventory, token)
    return known


def demonstrate(fault: str, work: Path, reports: Path) -> int:
    """Run the demonstration with its files in `work`; 0 when the check found what there was to find."""
    story, break_it, expected = FAULTS[fault]
    state_dir = work / "state"
    state_dir.mkdir(mode=0o750)
    _say("Starting the sandbox pipeline (a real service with real ffmpeg, on 127.0.0.1 only) ...")
    with running_pipeline(work / "pipeline", {"MAX_CONCURRENT_SESSIONS": "16"}) as pipeline:
        _say(f"  it listens on {pipeline.base_url}")
        _say(f"Merging {CLIPS} real clips ...")
        merged = pipeline.feed(CLIPS)
        _say(f"  {sum(1 for job in merged if job['status'] == 'completed')} of {len(merged)} jobs done")
        _say(f"FAULT={fault or 'none'}: {story}.")
        token = break_it(pipeline)
        inventory = work / "hosts.json"
        _inventory(inventory, pipeline, state_dir, reports)
        before = _result(reports)
        code = _play("daily_morning_health_check", inventory, token)
        result = _result(reports)
        if result is None or (before and before["run"]["id"] == result["run"]["id"]):
            _say(f"\nerror: the playbook ended with exit code {code} and made no report; its output above says why")
            return 1
        report = (reports / "daily_morning" / "latest").resolve() / "report.html"
        planned = _show_plan(result, inventory, token)
    _say(f"\nThe verdict is {result['state'].upper()}; the check ended with exit code {code}. The sandbox is stopped.")
    _say(f"Read the report:   {report}")
    if planned:
        _say("Carry a plan out:  on hosts of your own, the playbook's command with -e incident_mode=apply")
    if fault == "":
        _say("Break something:   make demo FAULT=ffmpeg    (or clips, stuck, token, down)")
        _say("Your own hosts:    copy inventory/ to my_inventory/, edit the names, then")
        _say("                   ansible-playbook -i my_inventory/hosts.yml playbooks/daily_morning_health_check.yml")
        _say(f"                   (ansible-playbook is in {Path(sys.executable).parent})")
    if result["state"] != expected:
        _say(f"error: with FAULT={fault or 'none'} the verdict should have been {expected}")
        return 1
    return 0


def _end(number: int, _frame: object) -> NoReturn:
    raise SystemExit(128 + number)


def main() -> int:
    """Read the fault from the command line and demonstrate it."""
    parser = argparse.ArgumentParser(description="The demonstration of media_ops.runbook.")
    parser.add_argument("fault", nargs="?", default="FAULT=", metavar="FAULT=NAME", help=f"one of {', '.join(FAULTS)}")
    parser.add_argument("--reports", type=Path, default=REPORTS, help="where reports are kept (default %(default)s)")
    arguments = parser.parse_args()
    fault = arguments.fault.removeprefix("FAULT=")
    if fault not in FAULTS:
        parser.error(f"FAULT is {fault!r}; it can be {', '.join(name for name in FAULTS if name)}, or nothing")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    try:
        with tempfile.TemporaryDirectory(prefix="media-ops-demo-") as work:
            return demonstrate(fault, Path(work), arguments.reports)
    except KeyboardInterrupt:
        _say("\nInterrupted. The sandbox is stopped.")
        return 128 + signal.SIGINT


if __name__ == "__main__":
    raise SystemExit(main())
