# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The demonstration: a real pipeline on this machine, real clips merged, and the morning check run against it.

Usage: make demo [FAULT=ffmpeg|clips|stuck|token|down]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from media_pipeline.launcher import Pipeline, running_pipeline

ROOT = Path(__file__).resolve().parent.parent
CLIPS = 3


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
        "media_ops_api_url": pipeline.api_url,
        "media_ops_api_token": "{{ lookup('ansible.builtin.env', 'MEDIA_OPS_API_TOKEN') }}",
        "policy_base_dir": str(pipeline.base_dir),
        "policy_state_dir": str(state_dir),
        "report_dir": str(report_dir),
        "report_contacts": [
            {"area": "System administrator", "name": "Operations on call", "contact": "+00 000 000000"},
            {"area": "Development team", "name": "Media pipeline team", "contact": "#media-pipeline"},
        ],
    }
    path.write_text(json.dumps({"media_hosts": {"hosts": {"sandbox": host}}}), encoding="utf-8")


def _check(playbook: str, inventory: Path, token: str) -> int:
    """Run a playbook as a user would and return its exit code."""
    command = ["ansible-playbook", "-i", str(inventory), f"playbooks/{playbook}.yml"]
    _say(f"\n$ {' '.join(command)}")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {
        **os.environ,
        "PATH": path,
        "MEDIA_OPS_API_TOKEN": token,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
    }
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def demonstrate(fault: str, work: Path) -> int:
    """Run the demonstration with its files in `work`; 0 when the check found what there was to find."""
    story, break_it, expected = FAULTS[fault]
    report_dir = ROOT / "build" / "demo" / "reports"
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
        _inventory(inventory, pipeline, state_dir, report_dir)
        code = _check("daily_morning_health_check", inventory, token)
    latest = report_dir / "daily_morning" / "latest"
    if not (latest / "result.json").exists():
        _say(f"\nerror: the playbook ended with exit code {code} and made no report; its output above says why")
        return 1
    state = json.loads((latest / "result.json").read_text(encoding="utf-8"))["state"]
    _say(f"\nThe verdict is {state.upper()}; the playbook ended with exit code {code}. The sandbox is stopped.")
    _say(f"Read the report:   {latest.resolve() / 'report.html'}")
    if fault == "":
        _say("Break something:   make demo FAULT=ffmpeg    (or clips, stuck, token, down)")
        _say("Your own hosts:    copy inventory/, edit the names, then")
        _say("                   ansible-playbook -i my_inventory/hosts.yml playbooks/daily_morning_health_check.yml")
    if state != expected:
        _say(f"error: with FAULT={fault or 'none'} the verdict should have been {expected}")
        return 1
    return 0


def main() -> int:
    """Read the fault from the command line and demonstrate it."""
    parser = argparse.ArgumentParser(description="The demonstration of media_ops.runbook.")
    parser.add_argument("fault", nargs="?", default="FAULT=", metavar="FAULT=NAME", help=f"one of {', '.join(FAULTS)}")
    fault = parser.parse_args().fault.removeprefix("FAULT=")
    if fault not in FAULTS:
        parser.error(f"FAULT is {fault!r}; it can be {', '.join(name for name in FAULTS if name)}, or nothing")
    with tempfile.TemporaryDirectory(prefix="media-ops-demo-") as work:
        return demonstrate(fault, Path(work))


if __name__ == "__main__":
    raise SystemExit(main())
