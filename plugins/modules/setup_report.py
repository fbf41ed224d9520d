#!/usr/bin/python
# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: setup_report
short_description: Join what was found on all hosts, look at the controller, and say what is next
version_added: 1.0.0
author:
  - media_ops.runbook contributors (@media-ops)
description:
  - Makes of C(healthcheck_result) of each host of the play (M(media_ops.runbook.check_setup)), and of what it sees on
    the controller itself, one table, worst first, and the steps to take, in order. The callback shows it.
  - Looks at Ansible's settings, the inventory, contacts, channels, the place of reports, and the schedule.
  - Writes nothing. Sends a message only where O(message) says so.
  - For use with C(run_once=true).
extends_documentation_fragment:
  - media_ops.runbook.action.controller
options:
  message:
    description:
      - Send a message that says that it is a test through each channel of C(report_channels), and one that ends it.
      - In check mode none is sent.
    type: bool
    default: false
  fail_on:
    description: The states that fail.
    type: list
    elements: str
    choices: [ok, warning, unknown, critical]
    default: [critical, unknown]
seealso:
  - module: media_ops.runbook.check_setup
  - module: media_ops.runbook.gate
"""

EXAMPLES = r"""
- name: Show what works, and what is next
  media_ops.runbook.setup_report:
    message: true
  run_once: true
"""

RETURN = r"""
summary:
  description: What the callback shows, C(media_ops_summary), with the rows in C(findings) and the steps in C(next).
  returned: success
  type: dict
  sample: {title: Check of the setup, state: ok}
problem:
  description: What is wrong on the controller. Empty where nothing is.
  returned: success
  type: str
  sample: ""
"""
