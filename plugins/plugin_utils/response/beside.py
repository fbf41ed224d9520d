# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a module that acts could not look at, and what it found beside its work. Pure.

A rung ends in one of three ways: it acted, it looked and there was nothing to do, or it could not look. The third is
never the second: where ``unseen_by`` gives a line, the host's verdict is unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from ansible.module_utils.parsing.convert_bool import boolean

from ...module_utils.shapes import NOT_OFFERED, Json, mapping, number, one_line

_LINES_MAX = 20
_TEXT_MAX = 300
# Files that stay by the rule itself, or that somebody else was faster with
_BENIGN = ("target_reached", "gone", "session", "active", "result")
# States of a session of which its age decides
_AGED = ("stuck", "stopped", "blocked_on_pipe", "uninterruptible", "unknown")
_UNSEEN_FILES = ("denied", "unproven", "unreadable", "time_over")


def unseen_by(act: str, args: Json, answer: Json) -> list[str]:
    """What a module could not look at, in lines; so there may be more to do than it knows of.

    Args:
        act: name of the module.
        args: of the rung.
        answer: of the module; one that failed is none.
    """
    reader = _UNSEEN.get(act)
    return _bounded(reader(args, answer))[0] if reader else []


def noted_by(act: str, answer: Json) -> tuple[list[str], int]:
    """What a module found beside its work, in lines, and how many of these are left out."""
    reader = _NOTED.get(act)
    return _bounded(reader(answer)) if reader else ([], 0)


def urgent_by(act: str, answer: Json) -> list[str]:
    """What of it cannot wait, in lines, by the bound that role policy gave the module."""
    held = mapping(mapping(answer.get("expired")).get("held")) if act == "log_archive" else {}
    return _bounded(_held(held))[0] if held.get("beyond") else []


def _bounded(lines: Iterable[str]) -> tuple[list[str], int]:
    known = list(dict.fromkeys(one_line(line, _TEXT_MAX) for line in lines))
    return known[:_LINES_MAX], max(0, len(known) - _LINES_MAX)


def _rows(value: object) -> list[Json]:
    return [row for row in value if isinstance(row, Mapping)] if isinstance(value, list) else []


# Sessions


def unjudged(answer: Json) -> list[Json]:
    """Sessions and orphans that are due, and of which nobody can say whether they go on.

    Args:
        answer: of session_info or session_terminate.
    """
    return [row for row in [*_rows(answer.get("sessions")), *_rows(answer.get("orphans"))] if _is_unjudged(row)]


def _is_unjudged(row: Json) -> bool:
    if row.get("may_end"):
        return False
    no_age = row.get("minutes") is None and row.get("state") in _AGED
    return no_age or (row.get("state") == "unknown" and row.get("attention") in ("investigate", "end"))


def _unseen_sessions(args: Json, answer: Json) -> Iterable[str]:
    service, api = mapping(answer.get("service")), mapping(answer.get("api"))
    if service.get("state") == "unknown":
        yield f"whose processes there are is not known: {service.get('reason') or 'no reason given'}"
    if api.get("state", "ok") not in ("ok", NOT_OFFERED) and boolean(args.get("api_required", True)):
        yield f"the API does not say which sessions there are: {api.get('reason') or api['state']}"
    for row in unjudged(answer):
        yield f"session {row.get('session_id')}: {row.get('why') or row.get('state')}"
    listed = [*_rows(answer.get("sessions")), *_rows(answer.get("orphans"))]
    told = sum(row.get("state") == "unknown" for row in listed)
    left = (number(mapping(answer.get("counts")).get("unknown")) or 0) - told
    if left > 0:
        yield f"{left:g} more sessions of which nobody can say what they do"


def _noted_sessions(answer: Json) -> Iterable[str]:
    known = {row.get("session_id") for row in unjudged(answer)}
    for row in _rows(answer.get("refused")):
        yield f"session {row.get('session_id')} is not ended: {row.get('why')}"
    for row in _rows(answer.get("sessions")):
        if row.get("attention") == "end" and not row.get("may_end") and row.get("session_id") not in known:
            yield f"session {row.get('session_id')} is not ended: {row.get('why')}"
    lines = answer.get("escalate")
    yield from (str(line) for line in (lines if isinstance(lines, list) else []))
    strangers = _rows(answer.get("unproved"))
    for row in strangers:
        yield f"pid {row.get('pid')} ({row.get('command')}) looks like a session's: {row.get('why')}"
    left = (number(answer.get("unproved_count")) or 0) - len(strangers)
    if left > 0:
        yield f"{left:g} more processes look like a session's, and are not proved to be"


# Files


def _unseen_files(_args: Json, answer: Json) -> Iterable[str]:
    rules = _rows(answer.get("rules"))
    for row in rules:
        if row.get("state") not in ("ok", "missing"):
            yield f"{row.get('rule')}: {row.get('reason') or row.get('state')}"
        stays = _counts(row, _UNSEEN_FILES)
        if stays:
            yield f"{row.get('rule')}: below {row.get('root')} could not be looked at, or proved unused: {stays}"
    if rules and all(row.get("state") == "missing" for row in rules):
        yield f"nothing was looked at: {'; '.join(dict.fromkeys(str(row.get('reason')) for row in rules))}"
    if answer.get("protected_all") and any(number(mapping(row.get("skipped")).get("session")) for row in rules):
        api = mapping(answer.get("api"))
        why = api.get("reason") or api.get("state") or "no reason given"
        yield f"all of the sessions' files stay, as it is not known which sessions there are: {why}"


def _noted_files(answer: Json) -> Iterable[str]:
    rules = _rows(answer.get("rules"))
    for row in rules:
        if row.get("state") == "missing":
            yield f"{row.get('rule')}: {row.get('reason') or 'its root is missing'}"
        reasons = [name for name in mapping(row.get("skipped")) if name not in _UNSEEN_FILES]
        if stays := _counts(row, reasons):
            yield f"{row.get('rule')}: stays below {row.get('root')}: {stays}"
    for row in _rows(answer.get("skipped_files")):
        if row.get("reason") not in _BENIGN:
            yield f"{row.get('path')} stays: {row.get('msg') or row.get('reason')}"


def _counts(row: Json, reasons: Sequence[str]) -> str:
    skipped = mapping(row.get("skipped"))
    return ", ".join(f"{name.replace('_', ' ')} {skipped[name]}" for name in reasons if number(skipped.get(name)))


def _unseen_logs(_args: Json, answer: Json) -> Iterable[str]:
    for row in _rows(answer.get("skipped_files")):
        if row.get("reason") in ("denied", "unproven"):
            yield f"{row.get('file')} stays: {row.get('msg') or row.get('reason')}"


def _noted_logs(answer: Json) -> Iterable[str]:
    lines = answer.get("left")
    for line in lines if isinstance(lines, list) else []:
        yield f"a run before was cut off: {line}"
    expired = mapping(answer.get("expired"))
    yield from _held(mapping(expired.get("held")))
    for row in _rows(mapping(answer.get("rotation")).get("problems")):
        yield str(row.get("msg") or f"{row.get('log')}: {row.get('problem')}")
    disagreeing = expired.get("disagreeing")
    for name in disagreeing if isinstance(disagreeing, list) else []:
        yield f"archive {name} stays: it is old by its name or by its time alone"
    for row in _rows(expired.get("kept")):
        yield f"archive {row.get('archive')} stays: {row.get('msg') or row.get('reason')}"
    for row in _rows(answer.get("skipped_files")):
        if row.get("reason") not in ("denied", "unproven"):
            yield f"{row.get('file')} stays: {row.get('msg') or row.get('reason')}"


def _held(held: Json) -> Iterable[str]:
    if number(held.get("archives")):
        yield (
            f"{held['archives']} archives of {held.get('bytes')} bytes, {held.get('percent')} % of their file system, "
            f"are past their days and held: no copy of them in {held.get('copied_to')} is proved"
        )


def _unseen_ffmpeg(_args: Json, answer: Json) -> Iterable[str]:
    if answer.get("state") == "unknown" and not answer.get("plan"):
        yield f"ffmpeg: {answer.get('reason') or 'its state is not known'}"


def _unseen_copies(_args: Json, answer: Json) -> Iterable[str]:
    for row in _rows(answer.get("archives")):
        if row.get("state") == "unknown":
            yield f"the store could not be asked for {row.get('archive')}: {answer.get('msg') or answer.get('state')}"


_UNSEEN: dict[str, Callable[[Json, Json], Iterable[str]]] = {
    "archive_copy": _unseen_copies,
    "disk_cleanup": _unseen_files,
    "log_archive": _unseen_logs,
    "package_repair": _unseen_ffmpeg,
    "session_terminate": _unseen_sessions,
}
_NOTED: dict[str, Callable[[Json], Iterable[str]]] = {
    "disk_cleanup": _noted_files,
    "log_archive": _noted_logs,
    "session_terminate": _noted_sessions,
}
CALLS = frozenset({"log_archive", "session_terminate"})
"""Modules whose findings beside their work call for a person. That files in use stay is as it should be."""
