# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write docs/frame.md from what a run of the frame tests left.

usage: frame_table.py FILE (make test STAGES=frame leaves it in build/frame/result.json, make docs calls this)
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FAULTS = {
    "failure": "the task, or the module that it asks, fails",
    "unreachable": "the host cannot be reached from this task on",
    "exception": "the action raises what nobody expected",
    "killed": "the worker of the task gets SIGKILL",
    "disk_full": "the file system of the controller's reports, home and temporary files is full from this task on",
}
HEAD = """# A fault in every task, and what came of it

Written by tools/frame_table.py from a run of `make test STAGES=frame`. Do not edit.

A fleet of a host that is well, one that is critical and one that is down. A point is a task of a playbook and a fault
in it, on one host or on all that run it, before its work or after it. Held means: the exit code is not 0, each host has
a verdict that is not better than it is, people are told of what is critical, no lease is left behind but a lost host's,
nothing is done that was not planned, and no traceback is on the screen (`tests/frame/judge.py`).

"""


def lines(document: Mapping[str, Any]) -> Iterator[str]:
    """The lines of the page below its head."""
    rows: Sequence[Mapping[str, Any]] = document["rows"]
    points = [row for row in rows if row["fault"] in FAULTS]
    settings = [row for row in rows if row["fault"] == "setting"]
    held = sum(row["held"] for row in points)
    kept = sum(row["held"] for row in settings)
    yield f"{len(points):,} points in {document['seconds']:,} s with seed {document['seed']}, of which {held:,} held;"
    yield f"{len(settings):,} settings of a site, of which {kept:,} held."
    if again := sum(row.get("again", False) for row in rows):
        yield f"Of these, {again} did not hold at first, and were run again once what broke them was mended."
    yield "\n## Faults\n"
    yield from (f"* {fault}: {text}." for fault, text in FAULTS.items())
    yield f"\n| playbook | tasks | {' | '.join(FAULTS)} | points | held |"
    yield f"| --- | ---: | {' | '.join('---:' for _ in FAULTS)} | ---: | ---: |"
    for playbook in sorted({row["playbook"] for row in points}):
        of = [row for row in points if row["playbook"] == playbook]
        yield f"| {playbook} | {len({row['k'] for row in of})} | {_counted(of)} |"
    yield f"| all | {len({(row['playbook'], row['k']) for row in points})} | {_counted(points)} |"
    yield "\n## Settings of a site\n"
    yield "A run goes as it does without the setting, or refuses with an exit code not 0 and a line that names it.\n"
    playbooks = sorted({row["playbook"] for row in settings})
    yield f"| setting | {' | '.join(playbooks)} |"
    yield f"| --- | {' | '.join('---' for _ in playbooks)} |"
    found = {(row["task"], row["playbook"]): row["held"] for row in settings}
    for name in dict.fromkeys(row["task"] for row in settings):
        cells = [{True: "held", False: "broken", None: ""}[found.get((name, playbook))] for playbook in playbooks]
        yield f"| {name} | {' | '.join(cells)} |"


def _counted(rows: Sequence[Mapping[str, Any]]) -> str:
    """Cells: of each fault how many held of how many, then all."""
    tried = Counter(row["fault"] for row in rows)
    held = Counter(row["fault"] for row in rows if row["held"])
    cells = [f"{held[fault]}/{tried[fault]}" if tried[fault] else "" for fault in FAULTS]
    return " | ".join([*cells, str(tried.total()), str(held.total())])


def main() -> int:
    """Write the page; 2 where there is nothing to write."""
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    document = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    (ROOT / "docs" / "frame.md").write_text(HEAD + "\n".join(lines(document)) + "\n", encoding="utf-8")
    print(f"docs/frame.md: {len(document['rows'])} runs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
