# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Measure log_digest_info against the runbook's own line of grep and jq, on a log of 1 GB with 5 % errors.

usage: python -m tests.bench.bench_logs [--bytes N] [--repeat N]

Prints CPU times (user and system, of all processes, start of Python and imports included), the smallest of the
repetitions, and their ratio; the largest memory; and what a second run with a cursor reads. jq ends at the first line
that is not JSON. So on the log with broken lines the module is compared with a line of jq that survives them.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.bench import log_module
from tests.bench.log_file import lines, write_log

RUNBOOK = """grep '"level":"ERROR"' "$0" | jq -r '.extra.error_code // "UNKNOWN"' | sort | uniq -c | sort -nr"""
CAREFUL = (
    """LC_ALL=C grep -a '"level":"ERROR"' "$0" | jq -R -r 'fromjson? | objects | select(.level == "ERROR")"""
    """ | .extra.error_code // "UNKNOWN"' | sort | uniq -c | sort -nr"""
)
DE_2: dict[str, Any] = {"where": [{"field": "level", "value": "ERROR"}], "count_by": ["extra.error_code"]}


def by_shell(command: str, path: Path) -> dict[str, int]:
    """Counts by code, of a line of shell."""
    done = subprocess.run(["bash", "-c", command, path], capture_output=True, text=True, check=True, timeout=900)
    rows = (line.split() for line in done.stdout.splitlines())
    return {code: int(count) for count, code in rows}


def by_module(options: dict[str, Any]) -> tuple[dict[str, int], dict[str, Any], int]:
    """Counts by code, the whole result, and the largest memory in KiB, of the module."""
    result, memory = log_module.run({**DE_2, **options})
    return {row["value"]: row["count"] for row in result["counts"]["extra.error_code"]}, result, memory


def cpu_of(work: Callable[[], object], repeat: int) -> float:
    """The smallest CPU time of the processes that a piece of work starts and waits for."""
    best = float("inf")
    for _repetition in range(repeat):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        work()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        best = min(best, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    return best


def compare(path: Path, command: str, repeat: int) -> None:
    """Counts must be the same; print the times."""
    expected = by_shell(command, path)
    counts, result, memory = by_module({"path": str(path)})
    if counts != expected:
        raise SystemExit(f"error: counts differ on {path}\n  shell:  {expected}\n  module: {counts}")
    theirs = cpu_of(lambda: by_shell(command, path), repeat)
    ours = cpu_of(lambda: by_module({"path": str(path)}), repeat)
    print(
        f"{path.name}: {result['lines']} lines, {result['bad_lines']} bad, {result['matched']} errors, same counts\n"
        f"  grep and jq {theirs:.2f} s, module {ours:.2f} s, ratio {ours / theirs:.2f}, memory {memory / 1024:.1f} MiB",
        flush=True,
    )


def incremental(path: Path, state_dir: Path) -> None:
    """A first run with a cursor, 1 MB more, a second run."""
    options = {"path": str(path), "cursor": "bench", "state_dir": str(state_dir)}
    by_module(options)
    more = lines(2500, spaced=True, broken=False, seed=2)
    with path.open("ab") as file:
        file.write(more)
    results: list[dict[str, Any]] = []
    seconds = cpu_of(lambda: results.append(by_module(options)[1]), 1)
    print(f"second run after {len(more)} bytes more: {results[0]['bytes_read']} bytes read, {seconds:.2f} s")


def main() -> None:
    """Make the logs, and measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bytes", type=int, default=10**9)
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    print(f"Python {platform.python_version()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory(prefix="bench_logs.") as name:
        work = Path(name)
        for log, broken, command in (("whole.log", False, RUNBOOK), ("broken.log", True, CAREFUL)):
            path = work / log
            write_log(path, arguments.bytes, broken=broken)
            compare(path, command, arguments.repeat)
            if broken:
                incremental(path, work)
            path.unlink()


if __name__ == "__main__":
    main()
