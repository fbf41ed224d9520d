#!/usr/bin/python
# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: diagnose
short_description: Diagnose a host, and choose the rungs that this calls for
version_added: 0.1.0
author:
  - media_ops.runbook contributors (@media-ops)
description:
  - Gives each subject that was looked at a class of fault, and takes from the ladders the rungs that the classes call
    for, most urgent first, each once, restarts last.
  - A look that failed is V(unknown), which no rung names.
extends_documentation_fragment:
  - media_ops.runbook.action.controller
options:
  result:
    description: Result of M(media_ops.runbook.check) on the host.
    type: dict
    required: true
  chosen:
    description: Result of M(media_ops.runbook.choose).
    type: dict
    required: true
  seen:
    description: Results of M(media_ops.runbook.probe) in a loop over its looks.
    type: list
    elements: dict
    default: []
  guard:
    description: Result of M(media_ops.runbook.probe) with M(media_ops.runbook.guard). A pause, or a guard that does
      not answer, refuses.
    type: dict
    default: {}
  limits:
    description: From where on a subject is ill, C(policy_limits) with C(disk_percent), C(memory_percent),
      C(cpu_percent) and C(duration_s).
    type: dict
    required: true
  advice:
    description: Rules of advice, C(policy_advice).
    type: list
    elements: dict
    default: []
  ladders:
    description: The ladders, C(policy_all_ladders).
    type: dict
    required: true
"""

EXAMPLES = r"""
# In role incident
- name: Diagnose, and choose the rungs of the ladders
  media_ops.runbook.diagnose:
    result: "{{ healthcheck_result }}"
    chosen: "{{ chosen }}"
    seen: "{{ seen.results }}"
    guard: "{{ guard }}"
    limits: "{{ policy_limits }}"
    advice: "{{ policy_advice }}"
    ladders: "{{ policy_all_ladders }}"
  register: diagnosis
"""

RETURN = r"""
classes:
  description: Class of fault by subject.
  type: dict
  returned: success
findings:
  description: A line for people on each subject.
  type: list
  elements: dict
  returned: success
noted:
  description: What logs and statistics say, C(advice) among it.
  type: dict
  returned: success
advice:
  description: The advice that the rules give.
  type: list
  elements: str
  returned: success
probes:
  description: The answers by subject.
  type: dict
  returned: success
incidents:
  description: Those of O(chosen).
  type: list
  elements: dict
  returned: success
rungs:
  description: The rungs, with C(incident), C(cause) and C(priority).
  type: list
  elements: dict
  returned: success
refusals:
  description: Why nothing may be done, in lines for people.
  type: list
  elements: str
  returned: success
held:
  description:
    - Who keeps automation off the host until a known time, as RV(media_ops.runbook.guard#module:held).
    - Empty also where that is a run that is known to be dead.
  type: str
  returned: success
caps_reached:
  description: As RV(media_ops.runbook.guard#module:caps_reached).
  type: list
  elements: dict
  returned: success
acted_for:
  description: As RV(media_ops.runbook.guard#module:acted_for). Null where the host's ledger could not be read.
  type: dict
  returned: success
"""

# The action plugin of the same name does the work.
