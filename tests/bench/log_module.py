# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run log_digest_info in a process of its own, as on a host: its options on stdin, its result on stdout.

The last line of stderr is the largest memory of the process in KiB.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def run(options: dict[str, Any], *, python: str = sys.executable) -> tuple[dict[str, Any], int]:
    """Return the result of the module, and its largest memory in KiB."""
    done = subprocess.run(
        [python, __file__], input=json.dumps(options), capture_output=True, text=True, check=False, timeout=600
    )
    if done.returncode:
        raise AssertionError(f"the module failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return json.loads(done.stdout), int(done.stderr.split()[-1])


def main() -> None:
    """Be the process."""
    sys.path.insert(0, str(ROOT / "playbooks" / "collections"))
    from ansible.module_utils import basic
    from ansible_collections.media_ops.runbook.plugins.modules import log_digest_info

    try:
        # As the wrapper does on a host; ansible.module_utils.testing imports much that no host does.
        basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": json.load(sys.stdin)}).encode()
        basic._ANSIBLE_PROFILE = "legacy"
        log_digest_info.main()
    finally:
        # Not ru_maxrss, in which the memory of the process that forked this one counts.
        status = Path("/proc/self/status").read_text(encoding="ascii")
        print(re.findall(r"VmHWM:\s*(\d+) kB", status)[0], file=sys.stderr)


if __name__ == "__main__":
    main()
