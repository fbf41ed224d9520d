#!/usr/bin/python
# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: plan
short_description: Join what is wrong with a host and what would be done into one plan
version_added: 0.1.0
author:
  - media_ops.runbook contributors (@media-ops)
description:
  - Makes the response of the host, before anything is done, shows it, and gives the result of the check with it and
    with what follows from it for verdicts and incidents.
  - What cannot be planned, is another plan than O(approved), or is refused by the guard or by the breaker, is not to
    be acted upon.
extends_documentation_fragment:
  - media_ops.runbook.action.controller
options:
  result:
    description: Result of M(media_ops.runbook.check) on the host.
    type: dict
    required: true
  rungs:
    description: Results of M(media_ops.runbook.rung), planned in a loop.
    type: list
    elements: dict
    required: true
  run:
    description: What M(media_ops.runbook.begin) gives as RV(media_ops.runbook.begin#module:run).
    type: dict
    required: true
  mode:
    description: V(plan) shows what would be done, V(apply) does it. In check mode it is always V(plan).
    type: str
    choices: [plan, apply]
    required: true
  approved:
    description: Hash of the plan that a person approved, the host's or that of all hosts. Empty where none is asked
      for.
    type: str
    default: ""
  diagnosis:
    description: Result of M(media_ops.runbook.diagnose). Needed unless there is a O(procedure).
    type: dict
  breaker:
    description: Result of M(media_ops.runbook.breaker). Needed unless there is a O(procedure).
    type: dict
  procedure:
    description: Name of the procedure that is planned, none for incidents.
    type: str
  title:
    description: Title of O(procedure), for people.
    type: str
    default: ""
  policy:
    description: What incidents are routed by, C(policy_routing) with C(incidents) and C(error_causes).
    type: dict
    required: true
"""

EXAMPLES = r"""
# In role automation
- name: Plan
  media_ops.runbook.plan:
    result: "{{ healthcheck_result }}"
    rungs: "{{ planned.results }}"
    run: "{{ begun.run }}"
    mode: apply
    procedure: emergency_disk_cleanup
    title: Emergency disk cleanup
    policy: "{{ policy_routing }}"
  register: healthcheck_result
"""

RETURN = r"""
response:
  description: The response (docs/architecture.md). Besides it, everything that O(result) has, C(verdicts) and
    C(incidents) with the response in mind.
  type: dict
  returned: success
run:
  description: O(run).
  type: dict
  returned: success
probes:
  description: What was looked at, for the evidence.
  type: dict
  returned: success
to_act:
  description: Whether the host is to be acted upon, or its response to be concluded.
  type: bool
  returned: success
"""

# The action plugin of the same name does the work.
