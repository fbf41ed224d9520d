#!/usr/bin/python
# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: amend
short_description: Judge a host by the response to it as well
version_added: 0.1.0
author:
  - media_ops.runbook contributors (@media-ops)
description:
  - Adds to the result of M(media_ops.runbook.check) what role P(media_ops.runbook.incident#role) planned or did, and
    its outcome to the verdicts and the incidents.
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
  - ansible.builtin.action_common_attributes.conn
  - ansible.builtin.action_common_attributes.flow
attributes:
  action:
    support: full
  async:
    support: none
  become:
    support: none
  bypass_host_loop:
    support: none
  check_mode:
    support: full
    details: Nothing is changed, so check mode does the same.
  connection:
    support: none
  delegation:
    support: none
  diff_mode:
    support: none
  platform:
    platforms: posix
options:
  result:
    description: Result of M(media_ops.runbook.check).
    type: dict
    required: true
  response:
    description: What that role found and did.
    type: dict
    required: true
  policy:
    description:
      - What is judged by, the tables and figures of role P(media_ops.runbook.policy#role) -
        C(incidents) and C(error_causes).
    type: dict
    required: true
seealso:
  - module: media_ops.runbook.check
"""

EXAMPLES = r"""
- name: Judge the host by the response to it as well
  media_ops.runbook.amend:
    result: "{{ healthcheck_result }}"
    response: "{{ incident_result }}"
    policy: "{{ __healthcheck_policy }}"
  register: healthcheck_result
"""

RETURN = r"""
response:
  description: O(response). Besides it, everything that O(result) has.
  returned: success
  type: dict
  sample: {}
verdicts:
  description: The verdicts of O(result) with the outcome of the response.
  returned: success
  type: list
  elements: dict
  sample: []
incidents:
  description: The incidents that these call for.
  returned: success
  type: list
  elements: dict
  sample: []
"""
