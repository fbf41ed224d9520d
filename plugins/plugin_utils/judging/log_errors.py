# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The errors that a log names, and why a log tells nothing. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from ...module_utils.shapes import SAID_NOT_OFFERED, Json, mapping, number, one_line
from .shapes import Observation, observation


def unread(answer: Json) -> str:
    """Why a log tells nothing, "" where it does: not all was read, or most of it has no time or level or is no entry.

    Args:
        answer: of log_digest_info.
    """
    if answer.get("failed") or answer.get("unreachable") or "state" not in answer:
        return f"no answer: {answer.get('msg') or 'the log was not read'}"
    if answer["state"] != "ok":
        return str(answer.get("reason") or f"the log is {answer['state']}")
    lines, bad, matched, undated, unlevelled = (
        number(answer.get(key)) or 0 for key in ("lines", "bad_lines", "matched", "undated", "unlevelled")
    )
    left_out = answer.get("left_out")
    neighbours = left_out if isinstance(left_out, list) else []
    reasons = (
        (neighbours, f"{', '.join(map(str, neighbours[:3]))}: may be of this log, and cannot be read"),
        (answer.get("complete") is False, "not all of the log was read"),
        (bad > lines - bad, f"{bad:g} of {lines:g} lines are no entries that could be read"),
        (undated > matched, f"{undated:g} of {matched + undated:g} entries have no time that could be read"),
        (
            unlevelled > lines - bad - unlevelled,
            f"{unlevelled:g} of {lines - bad:g} entries have no level that is known",
        ),
    )
    return next((reason for holds, reason in reasons if holds), "")


def no_log() -> Observation:
    """The number of errors where the site says that its service has no log that could be read."""
    return observation(None, "count", applicable=False, note=SAID_NOT_OFFERED)


def observe_log(result: object, errors: object = None) -> Observation:
    """The number of matching log entries, with the most frequent codes as a note.

    Args:
        result: what log_digest_info answered.
        errors: the same of the log of errors, where that is another. What stands in both is one error, so that the log
            with more of them counts. One that is not there has none: many writers make it with their first error.
    """
    found = _observe_log(result)
    other = mapping(errors)
    if found["fault"] or not other or other.get("state") == "missing":
        return found
    also = _observe_log(other)
    if also["fault"]:
        return {**also, "reason": one_line(f"the log of errors: {also['reason']}")}
    if (number(also["value"]) or 0) <= (number(found["value"]) or 0):
        return found
    said = f"{also['value']} in the log of errors, {found['value']} in the other"
    return {**also, "note": "; ".join(filter(None, [said, also["note"]]))}


def _observe_log(result: object) -> Observation:
    raw = mapping(result)
    state = raw.get("state")
    matched = number(raw.get("matched"))
    if raw.get("unreachable") or state is None:
        reason = one_line(raw.get("msg") or "the log was not read")
        return observation(
            None, "count", fault="host_unreachable" if raw.get("unreachable") else "module_failed", reason=reason
        )
    if why := unread(raw):
        return observation(None, "count", fault="missing", reason=one_line(why))
    if matched is None:
        return observation(None, "count", fault="missing", reason="the log was read, and its entries were not counted")
    counts = mapping(raw.get("counts"))
    rows = [row for rows in counts.values() if isinstance(rows, list) for row in rows[:5] if isinstance(row, Mapping)]
    codes = ", ".join(f"{one_line(row.get('value'), 40)} {row.get('count')}" for row in rows)
    said = (("bad_lines", "lines could not be read"), ("undated", "have no time"), ("unlevelled", "have no level"))
    notes = [codes] if codes else []
    notes += [f"{count:g} {what}" for key, what in said if (count := number(raw.get(key)))]
    return observation(int(matched), "count", note="; ".join(notes))
