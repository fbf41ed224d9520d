# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write docs/hostile.md from what a run of the hostile tests left.

usage: hostile_table.py FILE ...

`make test STAGES=hostile` leaves FILE in build/hostile/result.json, and `make docs` calls this with it. The tries of
several are summed: a long run may be made in parts, each with its seed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
COUNTS = ("tries", "acted", "kept", "wrong", "missed", "said", "unsaid")
HALVES = {"kill": "Sessions: what is ended, and what is not", "delete": "Files: what is deleted, and what is not"}
HEAD = """# Hostile situations, and what came of them

Written by tools/hostile_table.py from a run of `make test STAGES=hostile`. Do not edit.

Random situations of real processes and real files, many side by side, and one run of `session_terminate` or
`disk_cleanup` over them; who made a situation knows what was right. *acted*: was to go, and went. *kept*: was to
stay, and did. *wrong*: was to stay, and did not. *missed*: was to go and did not, and nobody is told why. *said*: the
same, with the reason. *unsaid*: stayed, and the reason that a person needs is not told. Right is what the contract
says of it: `end` where acting is right and provable, `keep`, or `either`. Cause is the number of the cause that the
kind is drawn from, 0 for what always held.

"""


def summed(documents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The results of several runs as those of one.

    Raises:
        ValueError: two of them have the same seed, and so the same situations.
    """
    seeds = [document["seed"] for document in documents]
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds {', '.join(map(str, seeds))}: one twice is not counted twice")
    table: dict[str, dict[str, Any]] = {}
    for document in documents:
        for row in document["table"]:
            acted = row["share"] * row["provable"]
            kind = table.setdefault(row["kind"], {**row, **dict.fromkeys((*COUNTS, "provable", "acted_provable"), 0)})
            for key in (*COUNTS, "provable"):
                kind[key] += row[key]
            kind["acted_provable"] += acted
    return {
        "seeds": seeds,
        "tries": sum(document["tries"] for document in documents),
        "seconds": sum(document["seconds"] for document in documents),
        "table": [table[name] for name in sorted(table)],
    }


def lines(document: Mapping[str, Any]) -> Iterator[str]:
    """The lines of the page below its head."""
    table = document["table"]
    sums = {key: sum(row[key] for row in table) for key in COUNTS}
    provable = sum(row["provable"] for row in table)
    acted = 100 * sum(row["acted_provable"] for row in table) / max(provable, 1)
    seeds = document["seeds"]
    parts = f"in {len(seeds)} parts, with seeds" if len(seeds) > 1 else "with seed"
    yield f"{document['tries']:,} tries in {document['seconds']:,} s, {parts} {', '.join(map(str, seeds))}:"
    yield f"{sums['wrong']} wrong, {sums['missed']} missed without a word, {sums['unsaid']} kept without a reason."
    yield f"Of {provable:,} in which acting was right and provable, {acted:.2f} % were acted on."
    for half, title in HALVES.items():
        rows = [row for row in table if row["half"] == half]
        yield f"\n## {title}\n"
        yield f"| kind | what it is | right | cause | {' | '.join(COUNTS)} |"
        yield f"| --- | --- | --- | ---: | {' | '.join('---:' for _ in COUNTS)} |"
        for row in rows:
            counts = " | ".join(str(row[key]) for key in COUNTS)
            name = row["kind"].partition(".")[2].replace("_", " ")
            yield f"| {name} | {row['text']} | {row['right']} | {row['cause']} | {counts} |"


def main() -> int:
    """Write the page; 2 where there is nothing to write."""
    if len(sys.argv) < 2:
        print(__doc__)
        return 2
    document = summed([json.loads(Path(name).read_text(encoding="utf-8")) for name in sys.argv[1:]])
    text = HEAD + "\n".join(lines(document)) + "\n"
    (ROOT / "docs" / "hostile.md").write_text(text, encoding="utf-8")
    print(f"docs/hostile.md: {len(document['table'])} kinds, {document['tries']} tries")
    return 0


if __name__ == "__main__":
    sys.exit(main())
