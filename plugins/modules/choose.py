#!/usr/bin/python
# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: choose
short_description: Choose the incidents to respond to, and what is to be looked at for them
version_added: 0.1.0
author:
  - media_ops.runbook contributors (@media-ops)
description:
  - From the result of a check it takes the incidents that are wanted, and says which looks at the host these call
    for, each once.
  - A host that could not be reached is not looked at.
extends_documentation_fragment:
  - media_ops.runbook.action.controller
options:
  result:
    description: Result of M(media_ops.runbook.check) on the host.
    type: dict
    required: true
  only:
    description: Kinds of incident to respond to, none for all. One that is asked for by name is looked into also
      where the check did not find it.
    type: list
    elements: str
    default: []
  kinds:
    description:
      - By kind of incident, its C(subjects) of O(looks), C(args) by subject above those there, and its C(questions)
        to the logs, each with C(subject) and C(args) of M(media_ops.runbook.log_digest_info).
    type: dict
    required: true
  site_incidents:
    description: Rows of C(policy_site_incidents), each of which names the C(subjects) that it calls for.
    type: list
    elements: dict
    default: []
  looks:
    description: By subject, the C(module) and its C(args), C(policy_looks).
    type: dict
    required: true
"""

EXAMPLES = r"""
# In role incident
- name: Choose the incidents to respond to
  media_ops.runbook.choose:
    result: "{{ healthcheck_result }}"
    only: "{{ incident_only }}"
    kinds: "{{ __incident_kinds }}"
    site_incidents: "{{ policy_site_incidents }}"
    looks: "{{ policy_looks }}"
  register: chosen
"""

RETURN = r"""
incidents:
  description: The incidents.
  type: list
  elements: dict
  returned: success
looks:
  description: The looks, each with C(subject), C(module) and C(args).
  type: list
  elements: dict
  returned: success
reached:
  description: Whether the host could be asked.
  type: bool
  returned: success
"""

# The action plugin of the same name does the work.
