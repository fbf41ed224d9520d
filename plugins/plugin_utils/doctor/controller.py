# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What works on the controller and what does not: whom alerts reach, where reports go, what runs by itself."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ...module_utils.alerts.notify import COMMAND_PREFIX, LIMITS, notify
from ...module_utils.alerts.transition import AlertPolicy, Run, nothing_known, open_alerts, transition
from ...module_utils.shapes import Json, json_object, mapping, one_line
from ...module_utils.times import utc_now
from ..judging.shapes import Verdict
from ..report.telling import problem_of, redactor_of, sound_channels
from .rows import Rows

_EXAMPLE, _EXAMPLE_CONTACT = (".example.com", ".example.org"), "+00 000 000000"
_SEVERITIES = ("warning", "unknown", "critical")
_SCHEDULE_MAX = 1 << 20
_SOURCE = "check_setup"

Value = Callable[[str], Any]
"""Gives a variable of the site, templated; None where it is not set."""


def controller_rows(value: Value, hosts: Sequence[str], about: Json, *, send: bool) -> list[Verdict]:
    """The rows of the controller.

    Args:
        value: gives a variable.
        hosts: of the run.
        about: ``versions``, a line, ``injected``, where facts of hosts become variables, ``awx``, ``schedule_dir``.
        send: whether a test message goes through each channel.
    """
    found = Rows()
    _ansible(found, about)
    _names(found, hosts)
    _contacts(found, value("report_contacts"))
    _channels(found, value("report_channels"), value, send=send)
    _reports(found, value("report_dir"))
    _schedule(found, about)
    return found.rows


def _ansible(found: Rows, about: Json) -> None:
    if about["injected"]:
        cure = "Set inject_facts_as_vars = false in section [defaults] of ansible.cfg: nothing acts while it is true"
        found.add("ansible", "critical", "facts that a host tells become variables here", cure)
    else:
        found.add("ansible", "ok", str(about["versions"]))


def _names(found: Rows, hosts: Iterable[str]) -> None:
    examples = [host for host in hosts if host.endswith(_EXAMPLE)]
    if examples:
        said = f"{', '.join(examples[:5])}: names of the example"
        found.add("inventory", "critical", said, "Put the names of your hosts into hosts.yml")


def _contacts(found: Rows, contacts: Any) -> None:
    rows = [mapping(row) for row in contacts] if isinstance(contacts, list) else []
    if not rows:
        found.add("contacts", "warning", "reports name nobody to call", "Set report_contacts")
    elif any(row.get("contact") == _EXAMPLE_CONTACT for row in rows):
        said = "they are those of the example"
        found.add("contacts", "warning", said, "Set report_contacts to whom to call at night")
    else:
        found.add("contacts", "ok", ", ".join(str(row.get("name")) for row in rows[:5]))


def _channels(found: Rows, channels: Any, value: Value, *, send: bool) -> None:
    given = channels if isinstance(channels, list) else []
    redactor = redactor_of(given)
    if not given:
        said = "none: alerts reach nobody, what is found is in the reports alone"
        found.add("channels", "ok", f"{said} (docs/examples/alert_channels.yml)")
        return
    sound, failures = sound_channels(given)
    for failure in failures:
        why = f"{failure['channel']}: {redactor.text(str(failure['reason']))}"
        found.add("channels", "critical", why, "Correct it in report_channels")
    for channel in sound:
        name, contacts = str(channel["name"]), value("report_contacts")
        problem = redactor.text(_tried(channel, contacts if isinstance(contacts, list) else [], send=send))
        done = "off" if not channel["enabled"] else "took the test message" if send else "not tried"
        more = "" if send or not channel["enabled"] else " (-e check_setup_message=true sends a message)"
        if problem:
            said = problem.removeprefix("Not notified: ").removeprefix(f"{name}: ")
            found.add(f"channel {name}", "critical", said, "Correct it in report_channels")
        else:
            found.add(f"channel {name}", "ok", f"{channel['type']}: {done}{more}")


def _tried(channel: Json, contacts: Sequence[Any], *, send: bool) -> str:
    """Why a channel is set up wrongly or did not take a message that begins an alert, and one that ends it; else ""."""
    severity = next((one for one in _SEVERITIES if one in channel["severities"]), "critical")
    params = {
        **LIMITS,
        "channels": [channel],
        "title": "Check of the setup",
        "contacts": [one for one in contacts if isinstance(one, Mapping)],
        "report_path": "",
        "notes": [],
        "command_prefix": COMMAND_PREFIX,
        "fail": False,
    }
    if not send:
        return _problem({**params, "messages": [], "open_alerts": []})
    state, policy = nothing_known(), AlertPolicy(alert_from="warning")
    texts = ((severity, "This is a test of check_setup: nothing is wrong"), ("ok", "The test is over"))
    for number, (level, text) in enumerate(texts):
        row: dict[str, Any] = {"check": "test_message", "title": "Test message", "state": level, "message": text}
        row |= {"action": "", "playbook": "", "hosts": ["controller"]}
        state, messages = transition(state, [row], Run(_SOURCE, f"test-{number}", "controller", utc_now()), policy)
        problem = _problem({**params, "messages": messages, "open_alerts": open_alerts(state)})
        if problem:
            return problem
    return ""


def _problem(params: Json) -> str:
    try:
        return problem_of(notify(params))
    except Exception as error:  # noqa: BLE001  one channel costs the others nothing
        return f"{type(error).__name__}: {one_line(error, 300)}"


def _reports(found: Rows, directory: Any) -> None:
    path = os.path.expanduser(str(directory or ""))
    there = path
    while there not in ("", "/") and not os.path.lexists(there):
        there = os.path.dirname(there)
    if os.path.isdir(there) and os.access(there, os.W_OK | os.X_OK):
        found.add("reports", "ok", f"kept in {path}")
    else:
        cure = "Set report_dir to a directory that can be written"
        found.add("reports", "critical", f"report_dir is {path!r}, and cannot be written here", cure)


def _schedule(found: Rows, about: Json) -> None:
    if about["awx"]:
        found.add("schedule", "ok", "that of AWX is not looked at")
        return
    path = os.path.join(str(about["schedule_dir"]), "schedule.json")
    try:
        with open(path, "rb") as file:
            listed = json_object(file.read(_SCHEDULE_MAX)).get("procedures")
    except FileNotFoundError:
        found.add("schedule", "ok", "nothing runs by itself yet on this controller: playbooks/schedule.yml")
    except (OSError, ValueError) as error:
        found.add("schedule", "unknown", f"{path} cannot be read: {one_line(error, 200)}")
    else:
        rows = listed if isinstance(listed, list) else []
        names = [one_line(mapping(row).get("name"), 60) for row in rows]
        found.add("schedule", "ok", f"{', '.join(names) or 'nothing'} ({path})")
