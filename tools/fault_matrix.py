# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write docs/fault_matrix.md from what the tests on real faults recorded.

usage: fault_matrix.py DIRECTORY (make test leaves the results in build/faults, make docs calls this)
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TITLES = {
    "ffmpeg": "ffmpeg",
    "sessions": "Sessions",
    "service": "The service and overrides",
    "incident_faults": "Whole incidents, by the playbooks",
    "incident_guards": "What must hold before a host is acted upon",
    "host_faults": "Hosts and storage, by the playbooks",
    "deletion": "Deletion",
}
KEYS = ("fault", "verdict", "done", "recovered", "neighbours")


def cell(value: object) -> str:
    """Text of a table's cell: yes and no for booleans, nothing for what was not looked at."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else " ".join(str(value).split()).replace("|", "\\|")


def table(path: Path) -> Iterator[str]:
    """The lines of one file's table."""
    yield f"\n## {TITLES.get(path.stem, path.stem)}\n"
    yield "| fault | verdict | what was done | recovered after | neighbours alive |"
    yield "| --- | --- | --- | --- | --- |"
    for row in json.loads(path.read_text(encoding="utf-8")):
        yield "| " + " | ".join(cell(row.get(key)) for key in KEYS) + " |"


def main() -> int:
    """Write the page; 2 where there is nothing to write."""
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    order = list(TITLES)
    paths = sorted(Path(sys.argv[1]).glob("*.json"), key=lambda path: (order.index(path.stem), path.stem))
    if not paths:
        print(f"error: {sys.argv[1]} holds no results")
        return 2
    head = (
        "# Faults, and what comes of them\n\n"
        "Written by tools/fault_matrix.py from the results of tests in which each fault was real: ffmpeg taken away,\n"
        "a service stopped by a signal, a directory swapped for a link. Do not edit.\n"
    )
    lines = [line for path in paths for line in table(path)]
    (ROOT / "docs" / "fault_matrix.md").write_text(head + "\n".join(lines) + "\n", encoding="utf-8")
    print(f"docs/fault_matrix.md: {sum(1 for line in lines if line.startswith('| ')) - 2 * len(paths)} faults")
    return 0


if __name__ == "__main__":
    sys.exit(main())
