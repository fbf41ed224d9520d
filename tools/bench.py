"""Measure the morning check against the runbook's own shell lines, on one machine with one sandbox pipeline.

usage: bench.py [--hosts 1,5,20] [--repeat 3] [--files 1000000] [--log-bytes 1000000000]

Each "host" is a local connection to the same pipeline, so this shows the cost of the work itself: start-up, modules,
judging, reports. What ssh adds is measured on lab hosts. Figures are medians: wall time, and CPU time of all processes
of the run, the pipeline's own left out. They go to build/bench.json, too.

Then disk_cleanup is measured on many files, half of them due: time and largest memory (tests/bench/bench_cleanup.py);
and log_digest_info against the runbook's line of grep and jq on a large log (tests/bench/bench_logs.py).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "sandbox"))

from media_pipeline.launcher import Pipeline, running_pipeline

Run = Callable[[int], None]

# The morning checklist as the runbook has it, with the addresses quoted.
CHECKLIST = """
set -euo pipefail
curl -fsS "$API/health" | jq -e .overall_status
curl -fsS -H "Authorization: Bearer $TOKEN" "$API/stats?hours=24" | jq '{error_rate, success_rate, total_operations}'
curl -fsS -H "Authorization: Bearer $TOKEN" "$API/alerts?level=critical&limit=5" | jq '.alerts | length'
curl -fsS -H "Authorization: Bearer $TOKEN" "$API/sessions/active" | jq .total_active
"""


def call(command: list[str], env: dict[str, str]) -> None:
    """Run a command quietly; a failed one has measured nothing."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, **env}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=600)
    if done.returncode:
        said = f"{done.stdout[-2000:]}{done.stderr[-2000:]}"
        raise SystemExit(f"error: {command[0]} ended with {done.returncode}:\n{said}")


def ways(pipeline: Pipeline, work: Path) -> dict[str, Run]:
    """What is compared, by name: each runs the morning check for so many hosts."""
    token = pipeline.token()
    shell = {"API": pipeline.api_url, "TOKEN": token}
    script = work / "checklist.sh"
    script.write_text(CHECKLIST, encoding="utf-8")

    def playbook(hosts: int) -> None:
        variables = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "media_ops_api_url": pipeline.api_url,
            "media_ops_api_token": "{{ lookup('ansible.builtin.env', 'MEDIA_OPS_API_TOKEN') }}",
            "policy_state_dir": str(work / "state"),
            "report_dir": str(work / "reports"),
        }
        names: dict[str, dict[str, str]] = {f"host{number}": {} for number in range(hosts)}
        inventory = work / "hosts.json"
        inventory.write_text(json.dumps({"media_hosts": {"hosts": names, "vars": variables}}), encoding="utf-8")
        env = {"MEDIA_OPS_API_TOKEN": token, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
        call(["ansible-playbook", "-i", str(inventory), "playbooks/daily_morning_health_check.yml"], env)

    def one_by_one(hosts: int) -> None:
        call(["bash", "-c", f"seq {hosts} | xargs -n 1 bash {script}"], shell)

    def all_at_once(hosts: int) -> None:
        call(["bash", "-c", f"seq {hosts} | xargs -n 1 -P {hosts} bash {script}"], shell)

    found: dict[str, Run] = {"playbook daily_morning_health_check": playbook}
    if shutil.which("curl") and shutil.which("jq"):
        found["the runbook's curl and jq lines, host by host"] = one_by_one
        found["the runbook's curl and jq lines, all hosts at once"] = all_at_once
    else:
        print("left out: the runbook's shell lines, which need curl and jq: sudo apt-get install curl jq")
    return found


def measure(run: Run, hosts: int, repeat: int) -> dict[str, float]:
    """Medians of wall and CPU seconds. The pipeline is a child that still runs, so its CPU time does not count."""
    walls, cpus = [], []
    for _number in range(repeat):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        started = time.monotonic()
        run(hosts)
        walls.append(time.monotonic() - started)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpus.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return {"wall_s": round(statistics.median(walls), 2), "cpu_s": round(statistics.median(cpus), 2)}


def main() -> int:
    """Measure every way with every number of hosts."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--hosts", default="1,5,20", help="numbers of hosts, comma separated (default %(default)s)")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each (default %(default)s)")
    parser.add_argument("--files", type=int, default=10**6, help="for disk_cleanup (default %(default)s); 0: none")
    parser.add_argument("--log-bytes", type=int, default=10**9, help="size of the log (default %(default)s); 0: none")
    args = parser.parse_args()
    numbers = [int(number) for number in args.hosts.split(",")]
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="media-ops-bench-") as scratch:
        work = Path(scratch)
        with running_pipeline(work / "pipeline") as pipeline:
            pipeline.feed(2)
            print(f"{'hosts':>5} {'wall s':>8} {'CPU s':>8}  what")
            for name, run in ways(pipeline, work).items():
                run(1)  # warm: the first one reads everything from disk
                for hosts in numbers:
                    row = {"what": name, "hosts": hosts, **measure(run, hosts, args.repeat)}
                    rows.append(row)
                    print(f"{hosts:5} {row['wall_s']:8.2f} {row['cpu_s']:8.2f}  {name}", flush=True)
    target = ROOT / "build" / "bench.json"
    target.parent.mkdir(exist_ok=True)
    machine = {"cpus": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()}
    target.write_text(
        json.dumps({"machine": machine, "repeat": args.repeat, "rows": rows}, indent=2) + "\n", encoding="utf-8"
    )
    print(f"written to {target.relative_to(ROOT)}", flush=True)
    if args.files:
        cleanup = [sys.executable, "-m", "tests.bench.bench_cleanup", "--files", str(args.files)]
        if code := subprocess.run(cleanup, cwd=ROOT, check=False).returncode:
            return code
    if not args.log_bytes or not shutil.which("jq"):
        print(
            "left out: the log of log_digest_info"
            + (", which needs jq: sudo apt-get install jq" if args.log_bytes else "")
        )
        return 0
    command = [sys.executable, "-m", "tests.bench.bench_logs"]
    command += ["--bytes", str(args.log_bytes), "--repeat", str(args.repeat)]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
