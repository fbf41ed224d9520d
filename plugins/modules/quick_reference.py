#!/usr/bin/python
# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: quick_reference
short_description: Show what a quick look found
version_added: 0.1.0
author:
  - media_ops.runbook contributors (@media-ops)
description:
  - Shows the runbook's one-liners from the result of M(media_ops.runbook.check) with
    O(media_ops.runbook.check#module:run_by) V(quick), whatever the verbosity.
extends_documentation_fragment:
  - media_ops.runbook.action.controller
options:
  result:
    description: Result of M(media_ops.runbook.check).
    type: dict
    required: true
  show:
    description: Which parts to show.
    type: list
    elements: str
    choices: [health, alerts, sessions, errors, resources, contacts, endpoints, logs]
    default: [health, alerts, sessions, errors, resources, contacts, endpoints, logs]
  api_url:
    description: Base address of the monitoring API, as seen from the host.
    type: str
    default: http://localhost:8000/api/v1/monitoring
  log_dir:
    description: Directory of the service's logs.
    type: path
    required: true
  logs:
    description: The logs of a service that has others than the runbook's, by their paths.
    type: list
    elements: path
    default: []
  contacts:
    description: Whom to call.
    type: list
    elements: dict
    default: []
seealso:
  - module: media_ops.runbook.check
"""

EXAMPLES = r"""
- name: Show the answers
  media_ops.runbook.quick_reference:
    result: "{{ healthcheck_result }}"
    log_dir: "{{ policy_log_dir }}"
"""

RETURN = r"""
msg:
  description: The parts of O(show), each as a text or a list.
  returned: success
  type: dict
  sample: {health: "Overall status: healthy", sessions: "Active sessions: 0"}
"""
