#!/usr/bin/python
# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: conclude
short_description: End the response to a host
version_added: 0.1.0
author:
  - media_ops.runbook contributors (@media-ops)
description:
  - Says how the response ended, records it in the host's ledger, and gives the lease back.
  - Gives the result of the check with the outcome in it, and shows it.
extends_documentation_fragment:
  - media_ops.runbook.action
options:
  result:
    description: Result of M(media_ops.runbook.check) after the last rung. Without it, what was acted upon is unknown.
    type: dict
    required: true
  course:
    description: Of the last M(media_ops.runbook.lease) or M(media_ops.runbook.confirm).
    type: dict
    default: {}
  found:
    description: Result of M(media_ops.runbook.plan).
    type: dict
    required: true
  carried_out:
    description: Result of the last M(media_ops.runbook.rung), which counts where the response broke off behind it.
    type: dict
    default: {}
  evidence:
    description: Result of M(media_ops.runbook.evidence_bundle).
    type: dict
    default: {}
  broken:
    description: Why the response broke off, where it did.
    type: str
    default: ""
  state_dir:
    description: State directory of the host.
    type: path
    required: true
  contacts:
    description: Whom to page, each with C(name) and C(contact).
    type: list
    elements: dict
    default: []
  policy:
    description: What incidents are routed by, C(policy_routing) with C(incidents) and C(error_causes).
    type: dict
    required: true
"""

EXAMPLES = r"""
# In role automation
- name: Say how it ended, record it, and give the host back
  media_ops.runbook.conclude:
    result: "{{ healthcheck_result }}"
    found: "{{ planned }}"
    course: "{{ confirmed.course }}"
    state_dir: "{{ policy_state_dir }}"
    policy: "{{ policy_routing }}"
  register: healthcheck_result
"""

RETURN = r"""
response:
  description: The response at its end. Besides it, everything that O(result) has, C(verdicts) and C(incidents) with
    the outcome in mind.
  type: dict
  returned: success
"""

# The action plugin of the same name does the work.
