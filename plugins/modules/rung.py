#!/usr/bin/python
# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rung
short_description: Plan or carry out one rung of a ladder or a procedure
version_added: 0.1.0
author:
  - media_ops.runbook contributors (@media-ops)
description:
  - A rung of C(policy_ladders) or C(policy_procedures) names a module, C(act), and its options, C(args). This action
    asks that module on the host, with all of them, above what the site gives it. An option that the module does not
    have is an error, so that nothing of a table is lost.
  - A host that does not answer, or a module that fails, is a rung that failed and not the end of the run.
  - Where an override is set, the service is restarted with it when it needs to be. It is then looked whether the
    service has taken it, and said in RV(rung) where that does not show.
  - A rung that is not C(enabled) is left out.
  - The module runs as the user that the task becomes.
extends_documentation_fragment:
  - media_ops.runbook.api
  - media_ops.runbook.action
attributes:
  check_mode:
    support: full
    details: The module runs in check mode.
  diff_mode:
    support: full
options:
  rung:
    description: The rung, with C(rung), C(act), C(args) and C(steps).
    type: dict
    required: true
  settings:
    description:
      - What the site gives the rung's module, its row of C(policy_all_modules). C(options), and C(within), for how many
        seconds it is waited for.
    type: dict
    required: true
  restart:
    description: The same of M(media_ops.runbook.service_control), which makes an override take effect.
    type: dict
    default: {}
  run_id:
    description: What names the run.
    type: str
    required: true
  planning:
    description: Whether the module runs in check mode, whatever the run does.
    type: bool
    default: false
  approved:
    description: Whether the plan of O(rung) was approved. The module then acts only if its plan still has that hash.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Restart the service, by the ladder
  media_ops.runbook.rung:
    rung:
      rung: Restart the service
      act: service_control
      steps: [P0-3C]
      args:
        state: restarted
    settings:
      options:
        unit: media-processing-service
    run_id: 20261128T060000Z-0001
"""

RETURN = r"""
rung:
  description:
    - The rung with C(actions), C(hash), C(changed), C(failed) and C(msg) of its module.
  type: dict
  returned: always
answer:
  description: C(plan), C(failed) and C(msg) of the module's answer, for the ledger.
  type: dict
  returned: always
"""

# The action plugin of the same name does the work.
