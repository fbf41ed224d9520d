# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The demonstration: a real service on this machine, real clips, and the playbooks run against it.

Usage: make demo [SERVICE=pipeline|plain|other] [FAULT=NAME]

Where the check leads to an incident, its playbook shows the plan. What automation can mend is mended: the plan is
carried out by its hash, recovery is watched, and the check is run again; else it is said why a person must look.
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
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import psutil
from demo_services import SECONDS, SERVICES, Broken, Fault

ROOT = Path(__file__).resolve().parent.parent
REPORTS = ROOT / "build" / "demo" / "reports"
MORNING = "daily_morning_health_check"
CLIPS = 3
GRACE_S = 15


def _say(text: str) -> None:
    print(text, flush=True)


@dataclass
class Site:
    """The inventory of the demonstration, and what runs of playbooks against it left."""

    path: Path
    reports: Path
    token: str = ""
    seen: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """What earlier demonstrations left stays, and is not taken for this one's."""
        self.seen |= {found["run"]["id"] for found, _directory in self._results()}

    def write(self, variables: dict[str, Any], state_dir: Path) -> None:
        """Write the inventory of one host."""
        host = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            # The service runs as whoever runs the demo, so nobody need become anybody.
            "ansible_become": False,
            "policy_become": False,
            "policy_service_user": getpass.getuser(),
            "media_ops_api_token": "{{ lookup('ansible.builtin.env', 'MEDIA_OPS_API_TOKEN') }}",
            "policy_state_dir": str(state_dir),
            "report_dir": str(self.reports),
            "report_contacts": [
                {"area": "System administrator", "name": "Operations on call", "contact": "+00 000 000000"},
                {"area": "Development team", "name": "Media pipeline team", "contact": "#media-pipeline"},
            ],
            **SECONDS,
            **variables,
        }
        self.path.write_text(json.dumps({"media_hosts": {"hosts": {"sandbox": host}}}), encoding="utf-8")

    def play(self, playbook: str, *options: str) -> tuple[int, dict[str, Any] | None, Path]:
        """Run a playbook as a user would: its exit code, the result that it left, and the directory of that."""
        command = ["ansible-playbook", "-i", str(self.path), f"playbooks/{playbook}.yml", *options]
        _say(f"\n$ {shlex.join(command)}")
        environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "MEDIA_OPS_API_TOKEN": self.token,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        }
        with subprocess.Popen(command, cwd=ROOT, env=environment) as process:
            try:
                code = process.wait()
            finally:
                if process.poll() is None:
                    _end_all(process)
        return code, *self._left()

    def _left(self) -> tuple[dict[str, Any] | None, Path]:
        """The result of a run that was not seen before."""
        for found, directory in self._results():
            if found["run"]["id"] not in self.seen:
                self.seen.add(found["run"]["id"])
                return found, directory
        return None, self.reports

    def _results(self) -> Iterator[tuple[dict[str, Any], Path]]:
        """The newest result of each playbook, with its directory."""
        for path in self.reports.glob("*/latest/result.json"):
            yield json.loads(path.read_text(encoding="utf-8")), path.parent.resolve()


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


def _response(result: dict[str, Any] | None) -> dict[str, Any]:
    found: dict[str, Any] = ((result or {}).get("hosts") or [{}])[0].get("response") or {}
    return found


def _answer(site: Site, fault: Fault, result: dict[str, Any]) -> tuple[list[str], str, bool]:
    """Show the plan for what the check found, and carry it out where that mends it.

    Returns:
        The reports, for people; what is wrong with how it went, "" where nothing is; and whether anything was done.
    """
    playbook = fault.playbook or next((incident["playbook"] for incident in result["incidents"]), "")
    if not playbook or not (ROOT / "playbooks" / f"{playbook}.yml").exists():
        return [], "", False
    if fault.playbook:
        _say(f"\nThe emergency is {playbook}. With --check it shows its plan, and changes nothing:")
        _code, planned, _left = site.play(playbook, "--check")
        options: tuple[str, ...] = ()
    else:
        _say(f"\nThe check leads to {playbook}. It shows its plan, and changes nothing unless it is told to:")
        _code, planned, left = site.play(playbook)
        options = ("-e", "incident_mode=apply", "-e", f"incident_plan={_response(planned).get('hash', '')}")
        if not fault.after:
            return [f"Read the plan:     {left / 'report.html'}"], "", False
        if not _response(planned).get("plan"):
            return [f"Read the plan:     {left / 'report.html'}"], "there was no plan", False
    _say("\nThat is what it would do. Now it does it:")
    code, acted, left = site.play(playbook, *options)
    _say(f"\nIt ended with exit code {code}. The morning check again:")
    done = [rung for rung in _response(acted).get("acted") or [] if rung["changed"] and not rung["failed"]]
    return [f"What was done:     {left / 'report.html'}"], "" if done else "nothing was done", bool(done)


def _demonstrate(form: str, name: str, work: Path, reports: Path) -> int:
    """Run the demonstration with its files in `work`; 0 when all was found and mended that there was."""
    service, fault = SERVICES[form], SERVICES[form].faults[name]
    site, state_dir = Site(work / "hosts.json", reports), work / "state"
    state_dir.mkdir(mode=0o750)
    (work / "service").mkdir()
    wrong = []
    _say(f"Starting {service.story} (with real ffmpeg, on this machine only) ...")
    with service.run(work / "service") as running:
        _say(f"Having it work on {CLIPS} real clips ...")
        _say(f"  {service.feed(running, CLIPS)} of {CLIPS} jobs done")
        _say(f"FAULT={name or 'none'}: {fault.story}.")
        broken = fault.break_it(running)
        site.token = broken.token
        site.write({**service.inventory(running), **broken.variables}, state_dir)
        code, result, left = site.play(MORNING)
        if result is None:
            _say(f"\nerror: the playbook ended with exit code {code} and made no report; its output above says why")
            return 1
        lines = [f"Read the report:   {left / 'report.html'}"]
        if result["state"] != fault.verdict:
            wrong.append(f"the verdict should have been {fault.verdict}")
        more, why, acted = _answer(site, fault, result)
        lines, wrong = [*lines, *more], [*wrong, *filter(None, [why])]
        if acted:
            wrong += _afterwards(site, fault, broken, lines)
    _end(form, fault, result["state"], code, lines)
    for line in wrong:
        _say(f"error: with FAULT={name or 'none'} {line}")
    return 1 if wrong else 0


def _afterwards(site: Site, fault: Fault, broken: Broken, lines: list[str]) -> list[str]:
    """What is wrong with the service and its neighbours after the mending, in lines; nothing where all is well."""
    code, after, left = site.play(MORNING)
    state = after["state"] if after else "none"
    lines.append(f"And afterwards:    {left / 'report.html'}")
    _say(f"\nMended: the verdict is {state.upper()} now, and the check ended with exit code {code}.")
    wrong = [] if state in fault.after else [f"the verdict afterwards is {state}"]
    for line, holds in broken.neighbours.items():
        is_so = holds()
        _say(f"  {'still so' if is_so else 'NO MORE SO'}: {line}")
        wrong += [] if is_so else [f"this is no more so: {line}"]
    return wrong


def _end(form: str, fault: Fault, state: str, code: int, lines: list[str]) -> None:
    """Say what there was to see, and what comes next."""
    _say(f"\nThe verdict was {state.upper()}; the check ended with exit code {code}. The service is stopped.")
    if fault.person:
        _say(f"Not mended here:   {fault.person}")
    for line in lines:
        _say(line)
    faults = SERVICES[form].faults
    if fault is faults[""]:
        names = ", ".join(name for name in faults if name)
        _say(f"Break something:   make demo {'' if form == 'pipeline' else f'SERVICE={form} '}FAULT=NAME, of {names}")
        _say("Other services:    make demo SERVICE=plain (without an API), SERVICE=other (an API of another shape)")
        _say("Your own hosts:    copy inventory/ to my_inventory/, edit the names, then")
        _say("                   ansible-playbook -i my_inventory/hosts.yml playbooks/check_setup.yml")
        _say(f"                   (ansible-playbook is in {Path(sys.executable).parent})")


def _ended(number: int, _frame: object) -> NoReturn:
    raise SystemExit(128 + number)


def main() -> int:
    """Read service and fault from the command line and demonstrate them."""
    parser = argparse.ArgumentParser(description="The demonstration of media_ops.runbook.")
    parser.add_argument("settings", nargs="*", metavar="NAME=VALUE", help="SERVICE=NAME, FAULT=NAME")
    parser.add_argument("--reports", type=Path, default=REPORTS, help="where reports are kept (default %(default)s)")
    arguments = parser.parse_args()
    given = {"SERVICE": "pipeline", "FAULT": ""}
    for setting in arguments.settings:
        name, _equals, value = setting.partition("=")
        if name not in given:
            parser.error(f"{setting!r}: only {' and '.join(given)} can be set")
        given[name] = value or given[name]
    if given["SERVICE"] not in SERVICES:
        parser.error(f"SERVICE is {given['SERVICE']!r}; it can be {', '.join(SERVICES)}")
    faults = SERVICES[given["SERVICE"]].faults
    if given["FAULT"] not in faults:
        names = ", ".join(name for name in faults if name)
        parser.error(f"FAULT is {given['FAULT']!r}; it can be {names}, or nothing")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _ended)
    try:
        with tempfile.TemporaryDirectory(prefix="media-ops-demo-") as work:
            return _demonstrate(given["SERVICE"], given["FAULT"], Path(work), arguments.reports)
    except KeyboardInterrupt:
        _say("\nInterrupted. The service is stopped.")
        return 128 + signal.SIGINT


if __name__ == "__main__":
    raise SystemExit(main())
