#!/usr/bin/python
# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: breaker
short_description: Say for which causes the fleet must be left alone
version_added: 0.1.0
author:
  - media_ops.runbook contributors (@media-ops)
description:
  - Where more than a share of the fleet has one cause, or was acted upon for it lately, no host is touched for it.
  - For use with C(run_once=true), after M(media_ops.runbook.diagnose) and the planning of the rungs on all hosts.
extends_documentation_fragment:
  - media_ops.runbook.action.controller
options:
  diagnoses:
    description: Name of the variable that has each host's result of M(media_ops.runbook.diagnose).
    type: str
    required: true
  plans:
    description: Name of the variable that has each host's results of M(media_ops.runbook.rung), planned in a loop.
    type: str
    required: true
  fleet:
    description: Every host of the fleet, also those that the run leaves out. Empty for the hosts of the run.
    type: list
    elements: str
    default: []
  others:
    description: Results of M(media_ops.runbook.probe) with M(media_ops.runbook.guard) in a loop over hosts that the
      run leaves out.
    type: list
    elements: dict
    default: []
  share:
    description: The share of the fleet that may have one cause, 0 to 1.
    type: float
    required: true
  at_least:
    description: That many hosts may always have it.
    type: int
    required: true
  within:
    description: For so many seconds a host counts that was acted upon.
    type: float
    required: true
  reset:
    description: Close the breaker for this run.
    type: bool
    default: false
"""

EXAMPLES = r"""
# In role incident
- name: See whether hosts have a cause in common
  media_ops.runbook.breaker:
    diagnoses: __incident_diagnosis
    plans: __incident_planned
    fleet: "{{ groups['media_hosts'] }}"
    share: 0.2
    at_least: 1
    within: 3600
  register: breaker
  run_once: true
"""

RETURN = r"""
open:
  description: By cause, C(hosts) that have it, how many are C(allowed), and the size of the C(fleet).
  type: dict
  returned: success
hash:
  description: One hash over all hosts that have a plan, and their plans; of one host, its own.
  type: str
  returned: success
"""

# The action plugin of the same name does the work.
