# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What automation did, from the ledger of a host: each action once, by what came of it. Pure.

An action has two lines in the ledger: one when it begins, and one when its result is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

from ..shapes import Json, one_line

DIED = "a run died in the middle of it"
_ATTEMPTED = ("done", "failed", "interrupted")
_ROWS_MAX = 100
_INTERRUPTED_MAX = 20


def actions_of(entries: Iterable[Json], running: str = "") -> dict[str, Any]:
    """One row for each action, cause and target, repeated ones first.

    A run counts once, however many lines it wrote of one target; what was only planned, skipped or refused is counted
    aside. An action without a result was interrupted: its run died, or lost the host, and what it did is not known.

    Args:
        entries: the ledger, oldest first.
        running: the run that holds the host now, which has not said all yet.
    """
    rows: dict[tuple[str, str, str], dict[str, Any]] = {}
    by_action: dict[str, set[str]] = {}
    interrupted: list[dict[str, Any]] = []
    attempts = aside = 0
    for entry in _ended(list(entries), running):
        result, run = entry.get("result"), str(entry.get("run_id"))
        if result not in _ATTEMPTED:
            # Of the decisions of a run (recovered, paged), a refusal alone tells of something that was not done.
            aside += result != "decided" or entry.get("action") == "refused"
            continue
        attempts += 1
        what = _what(entry)
        died = result == "interrupted"
        row = rows.setdefault(what, {"runs": set(), **dict.fromkeys(_ATTEMPTED, 0), "last_at": "", "last_said": ""})
        row["runs"].add(run)
        by_action.setdefault(what[0], set()).add(run)
        row[result] += 1
        at = one_line(entry.get("at"), 40)
        if at >= row["last_at"]:
            row["last_at"], row["last_said"] = at, DIED if died else one_line(entry.get("msg") or "", 160)
        if died:
            who = one_line(entry.get("controller") or "", 100)
            interrupted.append({"at": at, **_named(what), "run_id": one_line(run, 60), "controller": who})
    listed = [{**_named(what), **row, "runs": len(row["runs"])} for what, row in rows.items()]
    put_in_order(listed, interrupted)
    return {
        "attempts": attempts,
        "not_attempted": aside,
        "runs": {action: len(runs) for action, runs in sorted(by_action.items())},
        "rows": listed[:_ROWS_MAX],
        "rows_left": max(0, len(listed) - _ROWS_MAX),
        "interrupted": interrupted[:_INTERRUPTED_MAX],
        "interrupted_left": max(0, len(interrupted) - _INTERRUPTED_MAX),
    }


def put_in_order(rows: list[dict[str, Any]], interrupted: list[dict[str, Any]]) -> None:
    """Newest first, and of rows repeated fixes before all that helped at once.

    Args:
        rows: each with ``last_at``, ``runs``, ``failed`` and ``interrupted``.
        interrupted: each with ``at``.
    """
    rows.sort(key=lambda row: str(row["last_at"]), reverse=True)
    rows.sort(key=lambda row: (-row["runs"], -row["failed"] - row["interrupted"]))
    interrupted.sort(key=lambda row: str(row["at"]), reverse=True)


def _ended(entries: Sequence[Json], running: str) -> Iterator[Json]:
    """Each action once, with its result; those without one at the end."""
    begun: dict[tuple[str, tuple[str, str, str]], list[tuple[int, Json]]] = {}
    last_word: dict[str, int] = {}
    for number, entry in enumerate(entries):
        run = str(entry.get("run_id"))
        waiting = begun.setdefault((run, _what(entry)), [])
        if entry.get("result") == "started":
            waiting.append((number, entry))
            continue
        del waiting[:1]
        last_word[run] = number
        yield entry
    for number, entry in chain.from_iterable(begun.values()):
        run = str(entry.get("run_id"))
        if run != running:
            # A run that went on found nothing to do there any more: its module makes the plan anew.
            went_on = last_word.get(run, -1) > number
            yield {**entry, "result": "skipped" if went_on else "interrupted"}


def _what(entry: Json) -> tuple[str, str, str]:
    limits = {"action": 40, "cause": 60, "target": 120}
    action, cause, target = (one_line(entry.get(key) or "", limit) for key, limit in limits.items())
    return action, cause, target


def _named(what: tuple[str, str, str]) -> dict[str, str]:
    action, cause, target = what
    return {"action": action, "cause": cause, "target": target}
