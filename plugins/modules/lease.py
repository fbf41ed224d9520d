#!/usr/bin/python
# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: lease
short_description: Take or renew the lease of a host for a response
version_added: 0.1.0
author:
  - media_ops.runbook contributors (@media-ops)
description:
  - Takes the lease of the host (M(media_ops.runbook.guard)), within the caps of what O(rung) does, and notes in the
    host's ledger what is about to be done. The lease of a run that is known to be dead is taken over - one of this
    machine, since it was started last, in this namespace of processes, whose process is gone. Any other stands until
    its time.
  - A job that a schedule of AWX started is refused where its schedule's name does not say when it was due.
  - A rung that needs what the host, as last seen, does not have (C(needs) of C(policy_ladders)) is passed over, with a
    line that says so; nothing is asked for it.
  - A rung of a procedure that deletes or ends nothing, as its plan shows, is not carried out to find the same again,
    unless something was done before it in this run.
  - What speaks against it goes into the response, and C(permitted) is false; the task ends well. So it does where a
    host before it in this run did not recover.
extends_documentation_fragment:
  - media_ops.runbook.action
options:
  result:
    description: Result of M(media_ops.runbook.plan), to take the lease. One of it and O(course) is needed.
    type: dict
  course:
    description: Of the task before, to renew the lease.
    type: dict
  rung:
    description: The rung that is about to be carried out.
    type: dict
  state_dir:
    description: State directory of the host.
    type: path
    required: true
  ttl:
    description: Seconds until the lease ends by itself.
    type: int
    required: true
  caps:
    description: How often an action may be carried out, as for M(media_ops.runbook.guard).
    type: list
    elements: dict
    default: []
  scheduled_for:
    description: When a scheduled run was due, ISO 8601.
    type: str
    default: ""
  window:
    description: How many seconds later it may still act.
    type: float
    required: true
  zone:
    description:
      - Zone of the times of C(schedule_procedures), by which it is reckoned when a job of AWX was due, where
        O(scheduled_for) does not say it. Empty, the controller's.
    type: str
    default: ""
  after:
    description: What must have succeeded on this host lately, as for M(media_ops.runbook.guard).
    type: list
    elements: dict
    default: []
  after_of:
    description: The same by the procedure that is carried out.
    type: dict
    default: {}
  watch:
    description:
      - How the host is to be watched. What cannot be meant speaks against acting on this host.
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
"""

EXAMPLES = r"""
# In role automation
- name: Take the host
  media_ops.runbook.lease:
    result: "{{ healthcheck_result }}"
    state_dir: "{{ policy_state_dir }}"
    ttl: "{{ policy_lease_ttl }}"
    window: "{{ policy_schedule_window }}"
  register: leased
"""

RETURN = r"""
course:
  description:
    - How the response to the host goes, C(run) (C(run_id), C(controller), C(process) and C(user)), C(response) as it
      stands (docs/architecture.md), C(leased), C(leased_until) (when the lease ends by itself), C(permitted) (whether
      the next thing may be done), C(touched) (whether anything was begun on the host), C(unsettled) (whether the host
      may still be at work on a rung that gave no answer), C(state) (V(watching), V(recovered) or V(not_recovered)),
      C(why) (it has not recovered), C(classes) (by subject, as they were last seen), C(passed_over) (rungs that would
      have done no good as the host stood, in lines), and C(began) and C(ended) in seconds since 1970.
  type: dict
  returned: success
"""

# The action plugin of the same name does the work.
