#!/usr/bin/python
# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: service_config
short_description: Overrides in the configuration of the media service
version_added: 0.1.0
author:
  - media_ops.runbook contributors (@media-ops)
description:
  - Changes settings of the service for a while, such as C(PROCESSING_TIMEOUT=600), and takes them back.
  - The service's own files are never edited. Overrides stand in C(/etc/media-ops/overrides.env), which systemd reads
    after them by a drop-in that role P(media_ops.runbook.prepare#role) installs. Taking an override back is removing
    its line.
  - The file is root's. A program that the role installs writes it, by C(sudo -n) where the module does not run as root,
    and goes by the list that the role has written on the host, whatever O(allowed) says. Who set what, why and until
    when stands in O(state_dir).
  - Each override has an end. It is not taken back by itself then, since that needs a restart, but is reported as
    expired until it is taken back with O(state=absent).
  - It does not restart the service. RV(restart_needed) says whether the running process has other settings than a
    start would give it.
  - Only settings of O(allowed) can be set, and no other variable of the service is ever shown.
extends_documentation_fragment:
  - media_ops.runbook.action
attributes:
  diff_mode:
    support: full
    details: RV(diff) is returned without diff mode as well, since a plan shows it.
options:
  unit:
    description: The systemd service. An empty one is for a service without a unit, which has no overrides (RV(msg)).
    type: str
    required: true
  state:
    description:
      - V(observed) says which overrides there are.
      - V(confirmed) does so as well, and keeps on record which of them the service is seen to have taken.
      - V(present) sets O(settings). One that has the value already is left alone, unless it has expired; then its
        time begins anew.
      - V(absent) takes back those of O(names).
    type: str
    choices: [observed, confirmed, present, absent]
    default: observed
  settings:
    description: What is to hold, by name.
    type: dict
    default: {}
  allowed:
    description:
      - The settings that may be changed, each with a C(type). With V(int) it needs C(min) and C(max), with V(choice)
        its C(choices). Names that change how programs load, such as C(LD_PRELOAD) or C(PATH), are refused.
      - C(step) is the step of the runbook that the setting carries out. C(shown_by) has by value a regular expression
        of a line that the service writes only where it has taken that, such as one of level DEBUG.
    type: dict
    default: {}
  names:
    description:
      - Overrides to take back. V([all]) is all of them. One of O(allowed) that is not set is no change, and a name
        that is neither of these is an error.
      - None at all is those that have expired, or of which nobody knows the end.
    type: list
    elements: str
    default: []
  expires_in:
    description: Seconds until the override is to be taken back, at most 30 days. Needed with O(state=present).
    type: int
  reason:
    description: Why, in one line for people. Needed with O(state=present).
    type: str
  run_id:
    description: What names the run. Needed with O(state=present).
    type: str
  steps:
    description: Steps of the runbook that this carries out, instead of those in O(allowed).
    type: list
    elements: str
    default: []
  state_dir:
    description: The directory of the record who set which override, why, and until when.
    type: path
    default: /var/lib/media-ops
  logs:
    description:
      - Logs of the service, of JSON lines with a time. With V(observed) and V(confirmed) of O(state) they and the
        journal are searched for lines of this run of the service that show that it has taken an override.
    type: list
    elements: path
    default: []
  shown_within:
    description: Seconds to wait for such a line, at most 300.
    type: float
    default: 0
  plan_hash:
    description: Act only if the plan has this RV(hash).
    type: str
seealso:
  - module: media_ops.runbook.service_control
"""

EXAMPLES = r"""
- name: Which overrides are there, and have any expired?
  media_ops.runbook.service_config:
    unit: media-processing-service
  register: overrides

- name: Give processing more time, for a day
  media_ops.runbook.service_config:
    unit: media-processing-service
    state: present
    settings:
      PROCESSING_TIMEOUT: 600
    allowed:
      PROCESSING_TIMEOUT: {type: int, min: 60, max: 3600, step: P1-3A}
      LOG_LEVEL: {type: choice, choices: [DEBUG, INFO, WARNING, ERROR], step: P1-3C}
    expires_in: 86400
    reason: most errors are PROCESSING_TIMEOUT
    run_id: 20261124T060000Z
  register: override

- name: Take back what has expired
  media_ops.runbook.service_config:
    unit: media-processing-service
    state: absent
"""

RETURN = r"""
overrides:
  description: The overrides that hold, by name. In check mode those that would.
  type: list
  elements: dict
  returned: success
  contains:
    name:
      description: The setting.
      type: str
    value:
      description: Its value.
      type: str
    was:
      description: What the service's own files said when it was set, null when they said nothing.
      type: str
    why:
      description: The reason that was given.
      type: str
    run_id:
      description: The run that set it.
      type: str
    since:
      description: When it was set, UTC.
      type: str
    until:
      description: When it is to be taken back, UTC.
      type: str
    expired:
      description: Whether that time has come. An override of which the end is not known counts as expired.
      type: bool
    effective:
      description: Whether the running process has it. Null where its environment cannot be read.
      type: bool
    taken_at:
      description: When the service was last seen to have taken it, UTC, by whatever run. Null where it never was.
      type: str
    shown_in:
      description:
        - Where the service is seen to have taken it, V(journal) or the path of a log, by a line that names it with its
          value, or by C(shown_by) of O(allowed). Empty where it has it in its environment at most, which it may never
          read. Null where that was not looked for.
      type: str
restart_needed:
  description: Whether the running process has other values of O(allowed) settings or overrides than a start would give
    it.
  type: bool
  returned: success
in_force:
  description: Whether the unit reads the file of the overrides.
  type: bool
  returned: success
foreign:
  description: Number of settings in that file which this module has not made. While there are any it is not changed.
  type: int
  returned: success
diff:
  description: The settings that change, before and after.
  type: dict
  returned: success
msg:
  description: That the service has no unit, so that overrides are not offered.
  type: str
  returned: when O(unit) is empty
plan:
  description: One action for each setting that changes.
  type: list
  elements: dict
  returned: success
hash:
  description: Hash of the plan, 12 hexadecimal digits.
  type: str
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.errors import run_module
from ..module_utils.service.service_config import service_config

# runbook: P1-3A, P1-3B, P1-3C


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "unit": {"type": "str", "required": True},
            "state": {"choices": ["observed", "confirmed", "present", "absent"], "default": "observed"},
            "settings": {"type": "dict", "default": {}},
            "allowed": {"type": "dict", "default": {}},
            "names": {"type": "list", "elements": "str", "default": []},
            "expires_in": {"type": "int"},
            "reason": {"type": "str"},
            "run_id": {"type": "str"},
            "steps": {"type": "list", "elements": "str", "default": []},
            "state_dir": {"type": "path", "default": "/var/lib/media-ops"},
            "logs": {"type": "list", "elements": "path", "default": []},
            "shown_within": {"type": "float", "default": 0},
            "plan_hash": {"type": "str"},
        },
        supports_check_mode=True,
    )
    run_module(module, lambda: service_config(module.params, check_mode=module.check_mode))


if __name__ == "__main__":
    main()
