#!/usr/bin/python
# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: tell
short_description: Tell once for the fleet what began and what ended
version_added: 0.1.0
author:
  - media_ops.runbook contributors (@media-ops)
description:
  - Takes what each host of the play keeps to be told, C(__report_alerts) of M(media_ops.runbook.alert_state), and
    sends it through every channel (M(media_ops.runbook.notify)).
  - Of hosts that cannot be reached, were not judged, or cannot keep their state, the controller keeps it in
    O(state_dir), by the verdicts of C(healthcheck_result).
  - Works in ansible-playbook itself and asks no host. Where what it keeps cannot be read or written, it tells all the
    same, perhaps again, and says so in the message and in RV(problem).
  - A run over the whole inventory ends the alerts of hosts that left it. A run with C(--limit), and one of AWX, which
    may be a slice, does not.
  - For use with C(run_once=true), and with C(no_log=true), since channels hold secrets.
extends_documentation_fragment:
  - media_ops.runbook.action.controller
options:
  state_dir:
    description: Where the controller keeps what it tells. Made with its parents.
    type: path
    required: true
  source:
    description: The source that looked, as option O(media_ops.runbook.alert_state#module:source).
    type: raw
    default: check
  channels:
    description:
      - As option O(media_ops.runbook.notify#module:channels).
      - What cannot be used of this and of the next options is named in RV(problem), and the rest is told.
    type: raw
    default: []
  title:
    description: What the alerts are called.
    type: str
    required: true
  contacts:
    description: Whom to call.
    type: raw
    default: []
  report_directory:
    description:
      - Option O(media_ops.runbook.report#module:directory) of the report that this run writes afterwards. Its place
        there is taken now, so that the alerts lead to it. Without it, or where none can be taken, they lead to none.
    type: path
  report_problem:
    description:
      - Why the report of this run could not be written; then only this is told, once until it could be written again,
        which an empty text says.
      - For a second task, after the report.
    type: str
  late:
    description:
      - RV(late) of the first task. Where it is false, an empty O(report_problem) tells nothing.
    type: bool
    default: true
  command_prefix:
    description: How the reader calls a playbook. Empty for how this run was called.
    type: str
  alert_from:
    description: As option O(media_ops.runbook.alert_state#module:alert_from).
    type: raw
  reminder_after:
    description: As option O(media_ops.runbook.alert_state#module:reminder_after).
    type: raw
  settle:
    description: As option O(media_ops.runbook.alert_state#module:settle).
    type: raw
seealso:
  - module: media_ops.runbook.alert_state
  - module: media_ops.runbook.notify
"""

EXAMPLES = r"""
- name: Tell it once for the fleet
  media_ops.runbook.tell:
    state_dir: /var/lib/reports/alerts
    title: Health watch
  run_once: true
  no_log: true
"""

RETURN = r"""
headlines:
  description: What was sent, one line each.
  returned: success
  type: list
  elements: str
  sample: ["CRITICAL media1: Overall status"]
delivered:
  description: What was delivered, by the host that keeps it, as M(media_ops.runbook.alert_state) takes note of it.
  returned: success
  type: dict
  sample: {}
place:
  description: The name in O(report_directory) that was taken; empty where none was.
  returned: success
  type: str
  sample: 20261124T060000Z
late:
  description: Whether people were told that a report could not be written, and not yet that one could again.
  returned: success
  type: bool
  sample: false
problem:
  description: Why not everything was told, or what could not be kept of it. Empty where all is well.
  returned: success
  type: str
  sample: ""
"""
