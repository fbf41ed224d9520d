# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Measure disk_cleanup on many files, half of them due, in a process of its own as on a host.

usage: python -m tests.bench.bench_cleanup [--files N] [--directories N] [--below DIRECTORY]

Files are as old as they are by a moved clock (tests/moved_clock.py), which the module sees: that costs some per cent.
Prints time and largest memory of check mode and of the deletion, and fails where other files went than were reckoned
beforehand, or memory reached 100 MB.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.moved_clock import MovedClock, missing_reason

ROOT = Path(__file__).resolve().parents[2]
MEMORY_MAX_KIB = 100_000
DAY = 86400


def be_the_module() -> None:
    """Options on stdin, the result on stdout, the largest memory in KiB as the last word on stderr."""
    sys.path.insert(0, str(ROOT / "playbooks" / "collections"))
    from ansible.module_utils import basic
    from ansible_collections.media_ops.runbook.plugins.modules import disk_cleanup

    try:
        # As the wrapper does on a host; ansible.module_utils.testing imports much that no host does.
        basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": json.load(sys.stdin)}).encode()
        basic._ANSIBLE_PROFILE = "legacy"
        disk_cleanup.main()
    finally:
        status = Path("/proc/self/status").read_text(encoding="ascii")
        print(re.findall(r"VmHWM:\s*(\d+) kB", status)[0], file=sys.stderr)


def run(options: dict[str, Any], clock: MovedClock | None = None) -> tuple[dict[str, Any], int, float]:
    """The result of the module, by that clock; its largest memory in KiB, and its time."""
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.bench_cleanup", "--module"],
        cwd=ROOT, env={**os.environ, **(clock.environment if clock else {})}, input=json.dumps(options),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"the module failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return json.loads(done.stdout), int(done.stderr.split()[-1]), time.monotonic() - started


def make(top: Path, files: int, directories: int, clock: MovedClock) -> set[tuple[int, int]]:
    """Files of which every other is due; the directory and number of those that are not."""
    now, young = time.time(), set()
    each = files // directories
    for is_young in (False, True):
        with clock.ago(timedelta(seconds=DAY / 2 if is_young else 2 * DAY)):
            for directory in range(directories):
                path = top / f"session-{directory:06d}"
                path.mkdir(exist_ok=True)
                fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
                for number in range(is_young, each, 2):
                    name = f"prepared_{number:08d}.mp4"
                    os.close(os.open(name, os.O_CREAT | os.O_WRONLY, dir_fd=fd))
                    # By their mtime all are due, and each is of another one.
                    age = 2 * DAY + (directory * each + number) % 1_000_000
                    os.utime(name, (now - age, now - age), dir_fd=fd)
                    if is_young:
                        young.add((directory, number))
                os.close(fd)
    return young


def main() -> None:
    """Make the files, run the module twice, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=1_000_000)
    parser.add_argument("--directories", type=int, default=500)
    parser.add_argument("--below", help="where the files are made, by default the directory for temporary files")
    parser.add_argument("--module", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.module:
        be_the_module()
        return
    if reason := missing_reason():
        raise SystemExit(f"error: {reason}")
    with tempfile.TemporaryDirectory(dir=options.below, prefix="bench-cleanup-") as directory:
        top = Path(directory, "video_merge")
        top.mkdir()
        clock = MovedClock(Path(directory, "clock"))
        young = make(top, options.files, options.directories, clock)
        rule = {"rule": "merged videos", "root": str(top), "patterns": ["*.mp4"], "min_age": DAY}
        planned, memory, seconds = run({"rules": [rule], "_ansible_check_mode": True}, clock)
        print(f"plan    {planned['rules'][0]['planned']['files']:8d} files {seconds:7.1f} s {memory / 1000:6.1f} MB")
        found, most, seconds = run({"rules": [rule], "plan_hash": planned["hash"], "as_of": planned["as_of"]}, clock)
        print(f"delete  {found['rules'][0]['removed']['files']:8d} files {seconds:7.1f} s {most / 1000:6.1f} MB")
        left = {
            (int(path.name.rpartition("-")[2]), int(entry.name[9:17]))
            for path in top.iterdir()
            for entry in os.scandir(path)
        }
        if left != young:
            raise SystemExit(f"{len(left ^ young)} files are not as reckoned")
        if max(memory, most) > MEMORY_MAX_KIB:
            raise SystemExit("memory went beyond 100 MB")


if __name__ == "__main__":
    main()
