#!/usr/bin/python
# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: begin
short_description: Refuse what a site has set wrong, before anything is asked
version_added: 0.1.0
author:
  - media_ops.runbook contributors (@media-ops)
description:
  - Holds the variables of the task against the documentation of role P(media_ops.runbook.policy#role) and of the entry
    point O(entry) of O(role), and looks whether the policy contradicts itself - a warning beyond its critical bound, a
    ratio of 10, ages of a session that do not rise.
  - For roles P(media_ops.runbook.incident#role), P(media_ops.runbook.automation#role),
    P(media_ops.runbook.prepare#role) and P(media_ops.runbook.schedule#role), it also refuses what cannot be meant, such
    as a hash of another form, a procedure that is none, a path that could not be written safely, or a time of no clock.
  - Fails with a message that names every variable that is wrong, with its value where that is a text or a number.
  - For use instead of the validation that Ansible does for each host and each role, which C(rolespec_validate=false)
    leaves out. With C(run_once=true), what of the policy is not the same for all hosts is looked at by
    M(media_ops.runbook.check) for each host - one that is set wrong there is not asked, and is unknown.
  - Role P(media_ops.runbook.schedule#role) does not depend on the policy, which is not looked at for it.
extends_documentation_fragment:
  - media_ops.runbook.action.controller
options:
  role:
    description: The role whose variables are looked at besides those of role P(media_ops.runbook.policy#role).
    type: str
    default: policy
  entry:
    description: Its entry point.
    type: str
    default: main
seealso:
  - module: media_ops.runbook.check
  - module: ansible.builtin.validate_argument_spec
"""

EXAMPLES = r"""
- name: Check the policy and the options
  media_ops.runbook.begin:
    role: healthcheck
    entry: morning
  run_once: true
"""

RETURN = r"""
run:
  description:
    - What names the run, C(run_id), and who runs it, C(controller) (a host name), C(user) and C(process)
      (C(machine_id), C(boot_id), C(namespaces), C(pid) and C(start), in clock ticks since the boot).
    - C(user) is that of a job of AWX, or its schedule, and names the job (C(awx_job_id), C(awx_user_name),
      C(awx_schedule_name), or the same with C(tower_)); under ansible-runner it names the run's ident.
  returned: success
  type: dict
  sample: {run_id: 20261129T060000Z-0001, controller: ops1, user: "alice, AWX job 42"}
msg:
  description: Which variables are wrong, and why.
  returned: failure
  type: str
  sample: "policy_fail_on: value of policy_fail_on must be one or more of: ok, warning, unknown, critical."
"""
