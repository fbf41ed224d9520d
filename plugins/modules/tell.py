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
  - Of hosts that cannot be reached, or that cannot keep their state, the controller keeps it in O(state_dir).
  - For use with C(run_once=true), delegated to the controller, and with C(no_log=true), since channels hold secrets.
extends_documentation_fragment:
  - media_ops.runbook.action
options:
  state_dir:
    description: Where the controller keeps the state of hosts that cannot. Made with its parents.
    type: path
    required: true
  channels:
    description: As option O(media_ops.runbook.notify#module:channels).
    type: list
    elements: dict
    default: []
  title:
    description: What the alerts are called.
    type: str
    required: true
  contacts:
    description: Whom to call.
    type: list
    elements: dict
    default: []
  report:
    description: The page that the alerts lead to.
    type: path
  command_prefix:
    description: How the reader calls a playbook. Empty for how this run was called.
    type: str
  reminder_after:
    description: As option O(media_ops.runbook.alert_state#module:reminder_after).
    type: float
  settle:
    description: As option O(media_ops.runbook.alert_state#module:settle).
    type: int
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
  delegate_to: localhost
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
problem:
  description: Why not everything was told. Empty where it was.
  returned: success
  type: str
  sample: ""
"""
