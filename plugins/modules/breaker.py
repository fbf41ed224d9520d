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
  - Where something is to be done, the hosts of the fleet that the run leaves out are asked for their ledgers, many at
    once (C(forks)), each by its own variables. One that gives no answer, or whose ledger cannot be read, is not seen
    (RV(unseen)), whatever the reason, and ends nothing. It is neither well nor ill, counts for nothing, and among none.
  - What a ledger says is the word of its host, and makes that one host count, for the causes that it names.
  - Where more than O(unseen_share) of the fleet is not seen, or the inventory has fewer hosts than the variable
    C(media_ops_fleet_size) says, as in a slice of a job of AWX, no host is touched without O(partial).
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
    description:
      - Every host of the fleet, also those that the run leaves out. One that the inventory does not have is not seen.
        Empty for the hosts that the variable C(media_ops_hosts) names, or the group C(media_hosts), whatever
        C(--limit) leaves of them.
    type: list
    elements: str
    default: []
  state_dirs:
    description: Name of the variable that has each host's state directory.
    type: str
    default: policy_state_dir
  ask_within:
    description: For how many seconds hosts that the run leaves out are waited for, all of them together.
    type: float
    required: true
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
  unseen_share:
    description: The share of the fleet that may not be seen, 0 to 1.
    type: float
    required: true
  partial:
    description: A person's word that a part of the fleet is enough for this run.
    type: bool
    default: false
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
    share: 0.2
    at_least: 1
    within: 3600
    ask_within: 180
    unseen_share: 0.5
  register: breaker
  run_once: true
"""

RETURN = r"""
open:
  description: By cause, C(hosts) that have it, how many are C(allowed), and over how many hosts of the C(fleet) that is
    counted.
  type: dict
  returned: success
unseen:
  description: By host of the fleet, why it could not be seen.
  type: dict
  returned: success
findings:
  description: How many hosts of the fleet could not be seen, with C(subject), C(class) and C(finding).
  type: list
  elements: dict
  returned: success
refusals:
  description: Why no host may be touched, in lines for people.
  type: list
  elements: str
  returned: success
hash:
  description: One hash over all hosts that have a plan, and their plans; of one host, its own.
  type: str
  returned: success
"""

# The action plugin of the same name does the work.
