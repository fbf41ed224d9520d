#!/usr/bin/python
# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: lost
short_description: End the work on a host on which a task failed
version_added: 1.0.0
author:
  - media_ops.runbook contributors (@media-ops)
description:
  - For C(rescue). Adds to what was found on the host that nothing is known of it from here on, and gives its lease
    back.
  - The host then goes on in the play, so that it comes into the report as V(unknown), and the hosts after it have
    their turn.
  - A lease that cannot be given back ends by its time, which is said.
extends_documentation_fragment:
  - media_ops.runbook.action
options:
  result:
    description:
      - What was found on the host, C(healthcheck_result), as far as it came.
      - Or the failure of the task that was to find it, which stands for nothing.
    type: dict
    default: {}
  found:
    description: What was found before, which stands where O(result) has no verdicts.
    type: dict
    default: {}
  run:
    description: RV(media_ops.runbook.begin#module:run), as far as it came; else what O(result) or O(found) has of it.
    type: dict
    default: {}
  task:
    description: Name of the task that failed.
    type: str
    default: ""
  reason:
    description: Why it failed.
    type: str
    default: ""
  state_dir:
    description: State directory of the host.
    type: path
    required: true
  ttl:
    description: Seconds after which a lease ends by itself.
    type: int
    required: true
"""

EXAMPLES = r"""
# In role automation
- name: End the work on this host
  media_ops.runbook.lost:
    result: "{{ healthcheck_result | default(omit) }}"
    run: "{{ begun.run | default(omit) }}"
    task: "{{ ansible_failed_task.name | default(omit) }}"
    reason: "{{ ansible_failed_result.msg | default(omit) }}"
    state_dir: "{{ policy_state_dir }}"
    ttl: "{{ policy_lease_ttl }}"
  register: healthcheck_result
"""

RETURN = r"""
verdicts:
  description: Those of O(result), and where the work broke off. Besides it, everything that O(result) has.
  type: list
  elements: dict
  returned: success
"""

# The action plugin of the same name does the work.
