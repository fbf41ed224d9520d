# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run owes when it ends, and what of it its tasks have not done: a verdict for each host, a report, an alert.

A task that fails for all hosts, or a worker that is killed, ends a run before its report. The callback, which is in
ansible-playbook itself and comes last, then does what the tasks would have done, by their own arguments.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...module_utils.errors import MediaOpsError
from ...module_utils.shapes import STATES, Json, mapping, one_line, worst_state
from ...module_utils.times import utc_now
from ..host_action import checked_arguments, plain, redactor_for
from ..judging.checked import broken_off
from ..report.report_files import place_of
from ..report.result import SCHEMA_VERSION
from ..report.telling import Findings, tell_all, way_of
from .written import shown, written_report

NAMESPACE = "media_ops.runbook."
BEGIN, CHECK_SETUP, REPORT, TELL, GATE = (
    f"{NAMESPACE}{name}" for name in ("begin", "check_setup", "report", "tell", "gate")
)
RESULT = "healthcheck_result"
_SAID_MAX = 10
# What core puts before the reason: the task is named anyway.
_OF_CORE = re.compile(r"^(?:(?:Task|Action) failed: |Finalization of task args for '[^']{1,100}' failed: )+")
_NOT_REACHED = "before it was judged"


@dataclass
class Seen:
    """What was seen of a run while it went on.

    Attributes:
        hosts: that the run is for, in order.
        found: by host, what was registered last as ``healthcheck_result``.
        broken: by host, the task that failed on it or could not reach it, and why.
        under_way: by host, the task that was begun on it and has not ended.
        done: the actions that ended well, once for the run.
        through: by host, the actions that ended well on it, or that a condition left out.
        reported: what ``broken`` was when the report was made.
    """

    hosts: dict[str, None] = field(default_factory=dict)
    found: dict[str, dict[str, Any]] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)
    under_way: dict[str, str] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)
    through: dict[str, set[str]] = field(default_factory=dict)
    reported: dict[str, str] = field(default_factory=dict)

    def ok(self, host: str, action: str, register: str, result: Mapping[str, Any]) -> None:
        """A task ended well on a host."""
        self.skipped(host, action)
        if register == RESULT and "verdicts" in result:
            self.found[host] = plain(result)
        if action == REPORT:
            self.reported = dict(self.broken)
        self.done.add(action)

    def skipped(self, host: str, action: str) -> None:
        """A task is over on a host, which it did not fail."""
        self.under_way.pop(host, None)
        self.through.setdefault(host, set()).add(action)

    def failed(self, host: str, action: str, task: str, result: Mapping[str, Any]) -> None:
        """A task failed on a host, or could not reach it. That a host is not well is no failure of the run."""
        self.under_way.pop(host, None)
        if action == GATE and "state" in result:
            if result.get("not_kept"):
                self.broken[host] = "; ".join(one_line(text, 300) for text in result["not_kept"])
            return
        reason = result.get("msg") or result.get("exception") or "no reason given"
        said = _OF_CORE.sub("", one_line(reason, 1000), count=1)
        self.broken[host] = f"in task '{task}': {one_line(said, 300)}"

    def left(self, whether: Callable[[str], bool]) -> dict[str, str]:
        """The hosts that broke off, and why, of those for which ``whether`` says that they did."""
        return {host: why for host, why in self.broken.items() if whether(host)}

    def cut_off(self) -> dict[str, str]:
        """The hosts that broke off where the run itself did: also those with a task that has not ended."""
        cut = {host: f"in task '{task}', which had not ended when the run did" for host, task in self.under_way.items()}
        return {**cut, **self.broken}


def found_at_the_end(seen: Seen, left: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """By host, what is known of it, for a run that ended before its report."""
    known, said = {}, next(iter(left.values()), "")
    for host in seen.hosts:
        found = seen.found.get(host, {})
        why = left.get(host) or ("" if found else f"{_NOT_REACHED}, {said}" if said else _NOT_REACHED)
        known[host] = broken_off(found, why) if why else found
    return known


def unfinished(seen: Seen, last: str, left: Mapping[str, str], title: str) -> dict[str, Any] | None:
    """The summary of a run without a report that has not come to its end on each host; None where it has.

    Args:
        seen: of the run.
        last: the action that ends it on each host.
        left: the hosts that broke off, and why.
        title: of the run.
    """
    said = next(iter(left.values()), "")
    found = {
        host: broken_off({}, left.get(host) or f"before it was through{f', {said}' if said else ''}")
        for host in seen.hosts
        if host in left or last not in seen.through.get(host, ())
    }
    return summary_without(found, title, "the run broke off before it was through on each host") if found else None


def late_report(found: Mapping[str, Any], arguments: Json, facts: Json, call: Json) -> dict[str, Any]:
    """What action ``report`` would have given.

    Args:
        found: by host, what is known of it.
        arguments: of the task, templated.
        facts: ``playbook``, ``check_mode``, ``ansible_version`` of the run.
        call: how the run was called.

    Raises:
        MediaOpsError: the arguments cannot be used.
    """
    redactor = redactor_for(arguments)
    return written_report(shown(found, redactor), checked_arguments("report", arguments), facts, call, utc_now())


def late_message(
    found: Mapping[str, Any], arguments: Json, lost: str, inventory: str, prefix: str
) -> tuple[str, list[str]]:
    """Tell what action ``tell`` would have told.

    Args:
        found: by host, what is known of it.
        arguments: of the task, templated.
        lost: why the run ended before it.
        inventory: its name, as :class:`Findings` wants it.
        prefix: how the reader calls a playbook.

    Returns:
        The name that was taken for the report, and what could not be told.
    """
    redactor = redactor_for(arguments)
    given = checked_arguments("tell", arguments)
    place, page = place_of(given["report_directory"], utc_now())
    way, wrong = way_of({**given, "report": page, "command_prefix": prefix})
    verdicts = {host: redactor.data(list(mapping(one).get("verdicts") or [])) for host, one in found.items()}
    told = tell_all(Findings(verdicts=verdicts, answers=None, lost=lost, inventory=inventory), way)
    return place, [redactor.text(text) for text in (*wrong, told["problem"]) if text]


def summary_without(found: Mapping[str, Any], title: str, problem: str) -> dict[str, Any]:
    """The summary of a run whose report cannot be made: each host is unknown, or worse where that was found."""
    hosts = []
    for host, one in found.items():
        verdicts = mapping(one).get("verdicts") or []
        worst: Json = max(verdicts, key=lambda row: STATES.index(row["state"]), default={})
        hosts.append(
            {
                "host": host,
                "state": worst.get("state", "unknown"),
                "check": worst.get("check", "run"),
                "message": worst.get("message", "not judged"),
            }
        )
    return {
        "schema_version": SCHEMA_VERSION,
        "title": title,
        "state": worst_state(row["state"] for row in hosts),
        "failed": True,
        "hosts": hosts,
        "next": [],
        "reports": [],
        "problems": [problem],
    }


def amended(summary: Json, left: Mapping[str, str]) -> dict[str, Any]:
    """The summary of a report that was made before hosts broke off."""
    if not left:
        return dict(summary)
    rows, said = [dict(row) for row in summary.get("hosts") or []], []
    for row in rows:
        # Who is unknown or worse already is so for a reason of more weight.
        if row["host"] in left and STATES.index(row["state"]) < STATES.index("unknown"):
            row.update(state="unknown", check="run", message=f"Run on the host, after the report: {left[row['host']]}")
            said.append(f"on {row['host']}, after the report: {left[row['host']]}")
    problems = [*(summary.get("problems") or []), *said[:_SAID_MAX]]
    if len(said) > _SAID_MAX:
        problems.append(f"and on {len(said) - _SAID_MAX} more hosts")
    return {**summary, "hosts": rows, "failed": True, "problems": problems}


def problem_of(error: Exception) -> str:
    """An error as a sentence."""
    known = isinstance(error, MediaOpsError)
    return one_line(error if known else f"{type(error).__name__}: {error}", 300)
