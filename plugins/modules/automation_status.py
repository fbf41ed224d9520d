#!/usr/bin/python
# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: automation_status
short_description: Show how automation stands on a host
version_added: 0.1.0
author:
  - media_ops.runbook contributors (@media-ops)
description:
  - Shows who holds the lease, what is paused, which overrides are in force, and what was done lately.
  - Fails where that is not known.
extends_documentation_fragment:
  - media_ops.runbook.action
options:
  state_dir:
    description: State directory of the host.
    type: path
    required: true
  hours:
    description: How many hours back to look.
    type: float
    default: 24
  overrides:
    description: Options of M(media_ops.runbook.service_config).
    type: dict
    required: true
"""

EXAMPLES = r"""
# In role automation
- name: Show how automation stands on this host
  media_ops.runbook.automation_status:
    state_dir: /var/lib/media-ops
    overrides: "{{ policy_modules.service_config.options }}"
"""

RETURN = r"""
lines:
  description: What was shown.
  type: list
  elements: str
  returned: success
guard:
  description: What M(media_ops.runbook.guard) answered.
  type: dict
  returned: success
overrides:
  description: The overrides that are in force; null where they are not known.
  type: list
  elements: dict
  returned: success
"""

# The action plugin of the same name does the work.
