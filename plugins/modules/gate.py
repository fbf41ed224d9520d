#!/usr/bin/python
# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gate
short_description: Fail a host that is not well
version_added: 0.1.0
author:
  - media_ops.runbook contributors (@media-ops)
description:
  - Fails each host whose state is one of O(fail_on), so that ansible-playbook ends with 2 and the failed hosts of its
    recap are those that are not well.
  - The state of a host is its worst verdict. A host without any was not checked, which is V(unknown).
  - What people could not be told, or what could not be kept or written of it, fails the first host of the play whatever
    its state.
extends_documentation_fragment:
  - media_ops.runbook.action.controller
options:
  verdicts:
    description: Of M(media_ops.runbook.check).
    type: list
    elements: dict
    required: true
  fail_on:
    description: The states that fail.
    type: list
    elements: str
    choices: [ok, warning, unknown, critical]
    default: [critical, unknown]
  sent:
    description: Of M(media_ops.runbook.tell). Its C(problem) fails the first host of the play.
    type: dict
    default: {}
  written:
    description: Of M(media_ops.runbook.report). Its C(problem) fails the first host of the play.
    type: dict
    default: {}
  kept:
    description: Of M(media_ops.runbook.alert_state), keeping what there is to tell. Its failure fails a well host.
    type: dict
    default: {}
  noted:
    description: Of M(media_ops.runbook.alert_state), taking note of what was delivered. Its failure fails the host.
    type: dict
    default: {}
seealso:
  - module: media_ops.runbook.check
  - module: media_ops.runbook.report
"""

EXAMPLES = r"""
- name: Fail the hosts that are not well
  media_ops.runbook.gate:
    verdicts: "{{ healthcheck_result.verdicts | default([]) }}"
    fail_on: "{{ policy_fail_on }}"
"""

RETURN = r"""
state:
  description: State of the host.
  returned: always
  type: str
  sample: ok
not_kept:
  description: What the host itself could not keep, each a sentence.
  returned: failure
  type: list
  elements: str
  sample: []
"""
