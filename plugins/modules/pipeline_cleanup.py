#!/usr/bin/python
# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# runbook: WC-1
from __future__ import annotations

DOCUMENTATION = r"""
module: pipeline_cleanup
short_description: Have a media pipeline drop its old monitoring data
version_added: 0.1.0
author:
  - media_ops.runbook contributors (@media-ops)
description:
  - Posts C(/cleanup) to the monitoring API, on the host. The service then forgets operations, samples and alerts that
    are older than 24 h.
  - What it forgets is gone for good. So a report of the week must be safe on the host first, O(after), and be young
    enough, else nothing is done and the module fails.
  - The service is asked beforehand how much it has that is older. Where that is nothing, nothing is planned, and a
    second run does nothing.
  - The request is sent once and never repeated. Where its answer is lost, the module fails and says that nobody knows
    whether it was carried out.
extends_documentation_fragment:
  - media_ops.runbook.api
  - media_ops.runbook.action
attributes:
  check_mode:
    support: full
    details: Says what would be dropped and what would be refused; only GET requests are sent.
options:
  after:
    description:
      - Name of the report that must be there, as M(media_ops.runbook.state_report) takes it. The newest by the date in
        its name counts.
    type: str
    default: weekly_report
  after_max_age:
    description:
      - How old that report may be in seconds, by the time it was written and by the day in its name.
    type: float
    required: true
  state_dir:
    description: The directory of the reports, absolute.
    type: path
    default: /var/lib/media-ops
  plan_hash:
    description:
      - RV(hash) of a plan that was approved. Where the plan made anew has another, nothing is done. An empty one is
        an error.
    type: str
seealso:
  - module: media_ops.runbook.state_report
  - module: media_ops.runbook.pipeline_info
"""

EXAMPLES = r"""
- name: Have the service drop what is older than a day, once the week's figures are safe
  media_ops.runbook.pipeline_cleanup:
    after: weekly_report
    after_max_age: 259200
  register: cleanup
"""

RETURN = r"""
plan:
  description: The one action, or none. See docs/architecture.md for its keys.
  type: list
  elements: dict
  returned: success, or when it failed after a plan was made
hash:
  description: What the plan is approved by.
  type: str
  returned: success, or when it failed after a plan was made
refusals:
  description: Why nothing is done. Outside of check mode any of them fails the module.
  type: list
  elements: str
  returned: success, or when it was refused
  sample: ["there is no weekly_report_DATE.json in /var/lib/media-ops: make it first"]
after:
  description: The report that was found, with C(path), C(written_at) and C(age_s). Null when there is none.
  type: dict
  returned: success, or when it was refused
older:
  description:
    - How many C(operations), C(samples) and C(alerts) the service has that are older than 24 h. Null where it does not
      tell; of alerts it lists 200.
  type: dict
  returned: success, or when it was refused
  sample: {"operations": 812, "samples": 0, "alerts": 3}
cleaned:
  description: What the service says it dropped. Null when nothing was asked of it.
  type: dict
  returned: success
  sample: {"cleaned_processing_metrics": 812, "cleaned_system_metrics": 0, "cleaned_alerts": 3}
carried_out:
  description: Null, since it is not known whether the service carried the request out.
  type: bool
  returned: when the request was sent and failed
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.api.pipeline_cleanup import pipeline_cleanup
from ..module_utils.api.settings import api_argument_spec
from ..module_utils.errors import run_module


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **api_argument_spec(),
            "after": {"type": "str", "default": "weekly_report"},
            "after_max_age": {"type": "float", "required": True},
            "state_dir": {"type": "path", "default": "/var/lib/media-ops"},
            "plan_hash": {"type": "str"},
        },
        supports_check_mode=True,
    )

    def work() -> dict[str, object]:
        hide = module.no_log_values.add
        return pipeline_cleanup(module.params, check_mode=module.check_mode, warn=module.warn, hide=hide)

    run_module(module, work)


if __name__ == "__main__":
    main()
