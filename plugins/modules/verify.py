#!/usr/bin/python
# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: verify
short_description: Record what a rung did, and watch the host after it
version_added: 0.1.0
author:
  - media_ops.runbook contributors (@media-ops)
description:
  - Records in the host's ledger what was done, and where something was changed takes samples of its health, each
    shown as it is taken, until it has recovered or cannot any more. One that is well and ill in turn has not
    recovered, nor has one whose service systemd had to restart, or that has another main process, at the watch's end.
  - A rung with a C(component) has helped only where the service's own fresh check says that this one is healthy; it is
    watched also where somebody else was faster.
  - A host that is well by its own word is to be looked at once more for the cause itself, RV(looks), and
    M(media_ops.runbook.confirm) judges that. After a rung that did not help, it is what the rungs that are left need.
extends_documentation_fragment:
  - media_ops.runbook.api
  - media_ops.runbook.action
options:
  course:
    description: Of M(media_ops.runbook.lease) before. Where it is not C(permitted), nothing is done.
    type: dict
    required: true
  carried_out:
    description: Result of M(media_ops.runbook.rung).
    type: dict
    required: true
  state_dir:
    description: State directory of the host.
    type: path
    required: true
  watch:
    description: How the host is watched, not at all without samples.
    type: dict
    default: {}
    suboptions:
      samples:
        description: How many samples are taken at most.
        type: int
        default: 0
      interval:
        description: How far apart, in seconds.
        type: float
        default: 0
      good:
        description: How many must be good.
        type: int
        default: 0
  age_max:
    description: Age in seconds from which an answer is stale.
    type: float
    required: true
  skew_max:
    description: How many seconds the host's clock may differ.
    type: float
    required: true
  relapses:
    description: How often it may be ill again after it was well, until it flaps and has not recovered.
    type: int
    default: 2
  service:
    description: Options of M(media_ops.runbook.service_control), by which the service is seen to go on through the
      watch, C(policy_modules.service_control.options).
    type: dict
    required: true
  pipeline:
    description: Options of M(media_ops.runbook.pipeline_info) by which a service that tells no health is seen to work,
      C(policy_modules.pipeline_info.options).
    type: dict
    default: {}
  counting:
    description:
      - RV(media_ops.runbook.check#module:counting), so that what is muted, or of too few operations, keeps no host from
        being well again.
    type: dict
    default: {}
  looks:
    description: By subject, the C(module) and its C(args), C(policy_looks).
    type: dict
    required: true
"""

EXAMPLES = r"""
# In role automation
- name: Record what was done, and verify it
  media_ops.runbook.verify:
    course: "{{ leased.course }}"
    carried_out: "{{ carried_out }}"
    state_dir: "{{ policy_state_dir }}"
    watch: {samples: 5, interval: 10, good: 3}
    age_max: "{{ policy_answer_age_max }}"
    skew_max: "{{ policy_clock_skew_max }}"
    relapses: "{{ policy_verify_relapses }}"
    service: "{{ policy_modules.service_control.options }}"
    pipeline: "{{ policy_modules.pipeline_info.options }}"
    counting: "{{ healthcheck_result.counting }}"
    looks: "{{ policy_looks }}"
  register: verified
"""

RETURN = r"""
course:
  description: As RV(media_ops.runbook.lease#module:course), with the rung and what was seen after it.
  type: dict
  returned: success
looks:
  description:
    - The looks at the cause, or where it has not recovered at what the rungs that are left need, each with C(subject),
      C(module) and C(args).
  type: list
  elements: dict
  returned: success
"""

# The action plugin of the same name does the work.
