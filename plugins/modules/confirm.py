#!/usr/bin/python
# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: confirm
short_description: Say whether what a rung was for is cured
version_added: 0.1.0
author:
  - media_ops.runbook contributors (@media-ops)
description:
  - A host has recovered that is well by its own word, and on which the looks at the cause find what the rung names as
    C(cured). Without looks the response goes on as it was.
extends_documentation_fragment:
  - media_ops.runbook.action.controller
options:
  course:
    description: Of M(media_ops.runbook.verify).
    type: dict
    required: true
  seen:
    description: Results of M(media_ops.runbook.probe) in a loop over RV(media_ops.runbook.verify#module:looks).
    type: list
    elements: dict
    default: []
  limits:
    description: From where on a subject is ill, C(policy_limits).
    type: dict
    required: true
"""

EXAMPLES = r"""
# In role automation
- name: Recovered is what is well again and cured
  media_ops.runbook.confirm:
    course: "{{ verified.course }}"
    seen: "{{ seen.results }}"
    limits: "{{ policy_limits }}"
  register: confirmed
"""

RETURN = r"""
course:
  description: As RV(media_ops.runbook.lease#module:course), recovered where the cause is gone.
  type: dict
  returned: success
"""

# The action plugin of the same name does the work.
