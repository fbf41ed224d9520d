# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host says of itself beside the service's API: whether it was reached, its unit, and who acts there. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from ...module_utils.shapes import Json, mapping, one_line
from ...module_utils.state.guard import lease_said, pause_said
from ...module_utils.times import from_text, to_text
from .counting import Counting
from .dates import clock_offset
from .endpoint import LIST_MAX, Answer
from .shapes import Observation, observation


def observe_host(result: object) -> Observation:
    """Whether the host could be asked at all."""
    raw = mapping(result)
    message = one_line(raw.get("msg") or "")
    if raw.get("unreachable"):
        fault, reason = "host_unreachable", message or "no connection to the host"
    elif isinstance(raw.get("endpoints"), Mapping):
        return observation("reached", "state")
    elif raw.get("rc") in (126, 127):
        streams = f"{raw.get('module_stdout', '')} {raw.get('module_stderr', '')}"
        fault, reason = "no_python", f"no Python that runs on the host: {one_line(streams, 120)}"
    else:  # the task says failed_when: false, so the message is all that tells a failed module
        fault, reason = "module_failed", message or "the host gave no result"
    return observation(None, "state", fault=fault, reason=reason)


def observe_beside(result: Json, counting: Counting) -> dict[str, Observation]:
    """What is known of a host that was reached beside what its service says.

    Args:
        result: of pipeline_info.
        counting: how much counts of what the service says of itself.
    """
    return {
        **_overrides(result),
        **_mutes(result, counting),
        **_automation(result),
        **_unit(result),
        **clock_offset(result, counting),
        **_api_token(result),
    }


def _overrides(result: Json) -> dict[str, Observation]:
    """How many settings differ from the service's own for a time; all of them are named until they are taken back."""
    if "overrides" not in result:
        return {"overrides": observation(None, "count", applicable=False, note="not asked for")}
    answer = mapping(result["overrides"])
    rows = answer.get("overrides")
    if answer.get("state") != "ok" or not isinstance(rows, list):
        reason = one_line(answer.get("reason") or "the overrides cannot be read")
        return {"overrides": observation(None, "count", fault="missing", reason=reason)}
    named = [
        f"{one_line(row.get('name'), 40)}={one_line(row.get('value'), 40)} "
        + ("expired" if row.get("expired") else f"until {one_line(row.get('until'), 30)}")
        + ("" if row.get("taken_at") else ", not proved to have an effect")
        for row in map(mapping, rows[:LIST_MAX])
    ]
    return {"overrides": observation(len(rows), "count", note=", ".join(named))}


def _mutes(result: Json, counting: Counting) -> dict[str, Observation]:
    """How many mutes hold, all of them named. Those that the host keeps and nobody can read mute nothing."""
    if "mutes" not in result:
        return {"mutes": observation(None, "count", applicable=False, note="not asked for")}
    answer, held = mapping(result["mutes"]), counting.get("held") or []
    if answer.get("state") != "ok":
        reason = f"{one_line(answer.get('reason') or 'the mutes cannot be read')}; what they mute counts"
        return {"mutes": observation(None, "count", fault="missing", reason=reason)}
    return {"mutes": observation(len(held), "count", note="; ".join(held))}


def _automation(result: Json) -> dict[str, Observation]:
    """Whether automation may act on the host, and who keeps it off, with the end of that."""
    if "automation" not in result:
        return {"automation": observation(None, "state", applicable=False, note="not asked for")}
    answer = mapping(result["automation"])
    pause, lease = mapping(answer.get("pause")), mapping(answer.get("lease"))
    if answer.get("state") != "ok":
        reason = one_line(answer.get("reason") or "whether automation is paused cannot be read")
        return {"automation": observation(None, "state", fault="missing", reason=reason)}
    if pause:
        state = "paused" if pause.get("until") else "unreadable"
        return {"automation": observation(state, "state", note=one_line(pause_said(pause), 300))}
    if lease:
        said = one_line(lease_said(lease), 300)
        return {"automation": observation("acting" if lease.get("expires_at") else "unreadable", "state", note=said)}
    return {"automation": observation("free", "state")}


def _unit(result: Json) -> dict[str, Observation]:
    """How the service stands by its unit or main process, whatever it says of itself: one that is started anew all the
    time is well in between."""
    unit = mapping(result.get("unit"))
    state = one_line(unit.get("class") or "", 40)
    by_process = unit.get("told_by") not in (None, "systemd")
    if state == "unknown" and by_process:
        # The site has said what tells its main process, so that this host is not merely one without systemd.
        reason = one_line(unit.get("reason") or "its main process is not known")
        return {"service_unit": observation(None, "state", fault="missing", reason=reason)}
    if state == "dead" and by_process and unit.get("serves_api") is not False and _answers(result):
        reason = f"{one_line(unit.get('reason') or '')}, and yet its API answers: policy_service_process names another"
        return {"service_unit": observation(None, "state", fault="contradiction", reason=reason)}
    if state in ("", "unknown", "not_found"):
        # It is also run without systemd, in a container or by a supervisor of its own.
        note = one_line(unit.get("reason") or "not asked for")
        return {"service_unit": observation(None, "state", applicable=False, note=note)}
    return {"service_unit": observation(state, "state", note=one_line(unit.get("reason") or ""))}


def _answers(result: Json) -> bool:
    """Whether any endpoint of the API gave a document. What a log or processes tell instead, no service answers."""
    answers = map(mapping, mapping(result.get("endpoints")).values())
    return any(answer.get("state") == "ok" and not answer.get("source") for answer in answers)


def _api_token(result: Json) -> dict[str, Observation]:
    """For how many seconds a token holds that nothing renews, from when the API was asked."""
    access = mapping(result.get("api_access"))
    until, by = from_text(access.get("valid_until")), access.get("by")
    asked = [Answer(name, one).fetched_at for name, one in mapping(result.get("endpoints")).items()]
    now = max(filter(None, asked), default=None)
    ends = f"valid until {to_text(until)}" if until else "its end is not known"
    if by == "login" and access.get("reason"):
        reason = one_line(access["reason"], 300)
        return {"api_token": observation(None, "s", fault="auth", reason=reason)}
    if by != "token" or until is None or now is None:
        why = {"login": f"renewed by login, {ends}", "token": ends}.get(str(by), "no token is given")
        return {"api_token": observation(None, "s", applicable=False, note=why)}
    return {"api_token": observation(max(0.0, (until - now).total_seconds()), "s", note=ends)}
