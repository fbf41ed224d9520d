# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Retention rules carried out: what is due is found by a walk, planned, and deleted file by file after a last look."""

from __future__ import annotations

import os
import pwd
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Callable

from ..clock import require_clock
from ..deadline import deadline_of
from ..errors import OptionError
from ..options import check_range
from ..plan import plan_hash, require_hash
from ..shapes import one_line
from .kept import Results, configured, work_of
from .known import Known
from .retention import Findings, lacking, limit_to, make_plan, parse_rules, totals
from .roots import Look, Roots, with_mounts
from .survey import Archived, Protected, Survey
from .sweep import SAID, Listed, Sweep

_SESSIONS_SHOWN = 50
_MILLI = 10**6  # nanoseconds


@dataclass(frozen=True)
class Mode:
    """How Ansible wants it: ``check`` to plan only, ``diff`` to list the files that go."""

    check: bool = False
    diff: bool = False


def disk_cleanup(
    params: Mapping[str, Any], mode: Mode, ask: Callable[[], Protected], archived: Archived
) -> dict[str, Any]:
    """The result of module disk_cleanup.

    Args:
        params: its options.
        mode: whether to plan only, and to list what goes.
        ask: tells whose files stay; asked once the rules are known to be right, and again before each rule deletes.
        archived: tells which logs an archive holds, for rules that go by that.
    """
    deadline = deadline_of("disk_cleanup", params)
    require_clock(params)
    homes = [entry.pw_dir for entry in pwd.getpwall()]
    rules = with_mounts(parse_rules(params["rules"], homes, resolve=params["resolve_roots"]), params["roots"])
    now_ns = _moment(params["as_of"])
    if params["target_free_percent"] is not None:
        check_range(params, "target_free_percent", 0, 100)
    check_range(params, "max_listed", 0, 1000)
    results, work = Results(params["kept_dirs"]), work_of(params)
    roots = Roots(rules, homes)
    try:
        listed = Listed(ask, params["overall_timeout"] if params["sessions_dir"] else 0.0)
        look = Look.now(roots)
        known = Known(roots, look.mounts, _with_sessions(params))
        survey = Survey(
            roots,
            listed.now,
            look,
            now_ns,
            deadline,
            results=results,
            work=work,
            named=configured(params, (rule.root for rule in rules)),
            known=known,
            archived=archived,
        )
        if params["target_free_percent"] is not None:
            for root, found in roots.by_file_system(survey.findings):
                limit_to(found, lacking(root.statvfs(), params["target_free_percent"]))
        counted = [(found, totals(found)) for found in survey.findings]
        plan = make_plan(counted)
        require_hash(plan, params["plan_hash"], _since(survey.findings, params["as_of"]))
        diff = _diff(survey.findings, params["max_listed"]) if mode.diff else {}
        before = roots.figures()
        sweep = Sweep(roots, listed, look, params["target_free_percent"], deadline, work=work, known=known)
        if not mode.check:
            for action in plan:
                sweep.carry_out(action, survey.of(action["stable"]["rule"]))
        sessions = listed.now
        result = {
            "changed": bool(plan) if mode.check else any(action["result"] == "done" for action in plan),
            "plan": plan,
            "hash": plan_hash(plan),
            "as_of": now_ns // _MILLI / 1000,
            "rules": [sweep.result(found, total) for found, total in counted],
            "skipped_files": _samples(survey.findings, params["max_listed"]),
            "free": _free(before, roots.figures()),
            "held_open": look.open_files.held(),
            "mount_namespaces": {
                "seen": look.mounts.namespaces,
                "unseen_processes": look.mounts.unseen_processes,
            },
            "protected_sessions": sorted(sessions.ids)[:_SESSIONS_SHOWN],
            "protected_all": sessions.all_of,
            "api": {"state": sessions.state, "reason": sessions.reason},
        }
        return {**result, "diff": diff} if mode.diff else result
    finally:
        roots.close()


def _since(findings: Iterable[Findings], as_of: float | None) -> list[str]:
    """What is known to have changed since a plan was made, a line for each rule."""
    if as_of is None:
        return ["what has become due since counts too, as as_of was not given"]
    return [
        f"{found.newer} files that fit rule {found.rule.name} are new or changed since as_of, and are not due: "
        + ", ".join(found.newer_sample)
        + (" ..." if found.newer > len(found.newer_sample) else "")
        for found in findings
        if found.newer
    ]


def _with_sessions(params: Mapping[str, Any]) -> list[str]:
    """The directories below which files stay by the sessions that there are."""
    maps = [path for one in params["id_maps"] for path in one["directories"]]
    return [path for path in (params["sessions_dir"], *params["work_dirs"], *maps) if path]


def _moment(as_of: float | None) -> int:
    """The moment that ages are counted to, to the millisecond, so that it survives being written down.

    It is not ahead of us: nothing gets old by it.
    """
    now = time.time_ns()
    if as_of is None:
        return now // _MILLI * _MILLI
    if not 0 <= as_of * 10**9 <= now:
        raise OptionError("as_of", as_of, "must be the as_of of a plan made before, in seconds since 1970, not ahead")
    return round(as_of * 1000) * _MILLI


# What is shown


def _samples(findings: Iterable[Findings], limit: int) -> list[dict[str, str]]:
    shown = [
        {"rule": found.rule.name, "reason": reason, "path": path, "msg": said or SAID.get(reason, reason)}
        for found in findings
        for reason, stays in sorted(found.samples.items())
        for path, said in stays
    ]
    return shown[:limit]


def _free(
    before: Mapping[int, tuple[list[str], os.statvfs_result]], after: Mapping[int, tuple[list[str], os.statvfs_result]]
) -> list[dict[str, Any]]:
    return [
        {
            "roots": roots,
            "before_percent": _percent_free(old.f_bavail, old.f_blocks - old.f_bfree),
            "after_percent": _percent_free(after[device][1].f_bavail, old.f_blocks - after[device][1].f_bfree),
            "before_bytes": old.f_bavail * old.f_frsize,
            "after_bytes": after[device][1].f_bavail * old.f_frsize,
            "inodes": {
                "before_percent": _percent_free(old.f_favail, old.f_files - old.f_ffree),
                "after_percent": _percent_free(after[device][1].f_favail, old.f_files - after[device][1].f_ffree),
            },
        }
        for device, (roots, old) in before.items()
    ]


def _percent_free(free: int, used: int) -> float | None:
    """Per cent that is free, as df counts: what is kept for root is neither. None where there is no such limit."""
    return round(100 * free / (free + used), 2) if free + used > 0 else None


def _diff(findings: Iterable[Findings], limit: int) -> dict[str, str]:
    lines: list[str] = []
    more = 0
    for found in findings:
        for directory, slash in ((False, ""), (True, "/")):
            chosen = found.due_directories.oldest_first() if directory else found.chosen()
            for file in chosen:
                if len(lines) < limit:
                    lines.append(one_line(f"{found.rule.root}/{file.path}{slash}", 300) + f" ({file.size} bytes)\n")
                else:
                    more += 1
    lines += [f"... and {more} more\n"] if more else []
    return {"before_header": "files that are due", "after_header": "after", "before": "".join(lines), "after": ""}
