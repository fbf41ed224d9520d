#!/usr/bin/python
# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: daily_reports_info
short_description: Read the reports of days and weeks that a host has kept, and its ledger
version_added: 0.1.0
author:
  - media_ops.runbook contributors (@media-ops)
description:
  - Reads C(daily_report_DATE.json) and C(weekly_report_DATE.json) of the last five weeks and the ledger, in one call,
    and gives their figures. The samples of the days stay on the host; only the peaks of each week travel.
  - The operations come from the lines of O(log), each once, and from what kept reports have of lines that are gone by
    now. Where the service knew of more, what it told counts for the time that it remembered.
  - A probe. A document that cannot be read, or that contradicts itself, is listed in RV(unreadable) with the reason,
    and no figure of it is given.
  - The documents are those that M(media_ops.runbook.state_report) wrote; M(media_ops.runbook.check)
    makes the review of a week from the result.
extends_documentation_fragment:
  - media_ops.runbook.action
  - media_ops.runbook.log_fields
options:
  state_dir:
    description: The directory, absolute. It must exist; the playbook C(media_ops.runbook.prepare_hosts) makes it.
    type: path
    default: /var/lib/media-ops
  until:
    description:
      - The end of the week under review, ISO 8601, UTC where no zone is given. Weeks are counted back from it.
      - By default now, by the clock of the host.
    type: str
  ledger_hours:
    description: How many hours back the ledger is read, from now, 1 to 8784.
    type: float
    default: 168
  ledger_max_bytes:
    description: Size at which the ledger is rotated, as for M(media_ops.runbook.guard).
    type: int
    default: 1048576
  max_bytes:
    description: A document larger than this is not read, 1024 to 104857600.
    type: int
    default: 5242880
  log:
    description:
      - The log with a line for each operation that ended, an absolute path. It is read with its rotated files, for the
        time of O(days). Without this option none is read.
    type: path
  log_alone:
    description:
      - Whether nothing but O(log) tells of operations, as of a service that offers no statistics. From its first entry
        on, what it does not name was not.
    type: bool
    default: false
  days:
    description: Days of the site by its calendar, with C(day) as YYYY-MM-DD, and C(from) and C(to), ISO 8601.
    type: list
    elements: dict
    default: []
  seen:
    description:
      - What the service told just now, with its answer C(stats) and its samples C(metrics), and with C(log_errors), as
        a day's report has them.
    type: dict
  reports:
    description:
      - Also give the reports of O(days), each with what was kept of it, to be kept again. Of those that ended more than
        24 hours before O(until) only of those whose report was not made after their end.
    type: bool
    default: false
seealso:
  - module: media_ops.runbook.state_report
  - module: media_ops.runbook.guard
  - module: media_ops.runbook.check
"""

EXAMPLES = r"""
- name: Read what the host has kept of its days and weeks
  media_ops.runbook.daily_reports_info:
    state_dir: /var/lib/media-ops
  register: kept

- name: Show what was fixed more than once this week
  ansible.builtin.debug:
    msg: "{{ kept.actions.rows | selectattr('runs', '>', 1) }}"
"""

RETURN = r"""
until:
  description: The end of the week under review.
  type: str
  returned: success
  sample: "2026-11-27T17:00:00Z"
days:
  description: The figures of the days, oldest first. None is of two weeks as counted back from RV(until).
  type: list
  elements: dict
  returned: success
  contains:
    day:
      description: Which day of the site.
      type: str
    parts:
      description: Pairs of times between which something saw all that ended, where that was not all of the window.
      type: list
      elements: list
    begin:
      description: From when on it was seen. Where the service tells and was restarted within the window, its start.
      type: str
    end:
      description: Until when it was seen.
      type: str
    hours:
      description: How much of it was seen, or the window that the service was asked for.
      type: float
    assumed:
      description: Whether nothing proves that the service remembered all of that time, since no samples tell.
      type: bool
    restarted_at:
      description: When the service was started within the window, else null.
      type: str
    operations:
      description: How many operations ended in it.
      type: float
    failed:
      description: How many of them failed.
      type: float
    duration_s:
      description: The sum of their durations.
      type: float
    stages:
      description: The same by stage, with C(count), C(failed), C(duration_s), C(max_s) and C(min_s).
      type: dict
    errors:
      description: Failed operations by error code.
      type: dict
    peak_sessions:
      description: The highest sample of active sessions, at RV(days[].peak_at).
      type: float
    peak_at:
      description: When that was.
      type: str
seen:
  description: Whether what the service told (O(seen)) is among RV(days).
  type: bool
  returned: success
log:
  description: How O(log) was read, with C(state), V(ok) or V(not_read) for one, and C(reason).
  type: dict
  returned: success
reports:
  description: With O(reports), the report of each of O(days) of which anything is known.
  type: list
  elements: dict
  returned: success
weeks:
  description:
    - What former reviews say, oldest first, with C(file), C(from), C(to), C(figures), C(share) of the week that their
      data cover, and C(stages).
  type: list
  elements: dict
  returned: success
peaks:
  description:
    - The highest samples of the last five weeks, the newest week first, with C(sessions), C(cpu_percent) and
      C(memory_percent), each with its C(..._at). Null where there is no sample.
  type: list
  elements: dict
  returned: success
actions:
  description: What automation did, from the ledger.
  type: dict
  returned: success
  contains:
    attempts:
      description: Actions that were carried out, failed, or were interrupted. What began and its result count once.
      type: int
    not_attempted:
      description: What was planned, skipped or refused.
      type: int
    runs:
      description: How many runs carried out each kind of action.
      type: dict
    rows:
      description:
        - Actions by C(action), C(cause) and C(target), with C(runs), C(done), C(failed), C(interrupted), C(last_at) and
          C(last_said). Those that most runs repeated come first; 100 at most.
      type: list
      elements: dict
    rows_left:
      description: How many were left out.
      type: int
    interrupted:
      description:
        - Actions that began and have no result, newest first, with C(at), C(action), C(cause), C(target), C(run_id) and
          C(controller); 20 at most. Their run died, or lost the host, and nobody knows whether they were done. Those of
          the run that holds the host now are not among them.
      type: list
      elements: dict
    interrupted_left:
      description: How many were left out.
      type: int
    bad_lines:
      description: Lines of the ledger that could not be read.
      type: int
unreadable:
  description: Documents that were left out, with C(file) and C(why), 20 at most.
  type: list
  elements: dict
  returned: success
unreadable_count:
  description: How many there are.
  type: int
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.errors import run_module
from ..module_utils.logs.fields import OPTION as LOG_FIELDS
from ..module_utils.review.daily_reports_info import daily_reports_info
from ..module_utils.state.guard import LEDGER_MAX_BYTES


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state_dir": {"type": "path", "default": "/var/lib/media-ops"},
            "until": {"type": "str"},
            "ledger_hours": {"type": "float", "default": 168},
            "ledger_max_bytes": {"type": "int", "default": LEDGER_MAX_BYTES},
            "max_bytes": {"type": "int", "default": 5242880},
            "log": {"type": "path"},
            LOG_FIELDS: {"type": "dict", "default": {}},
            "log_alone": {"type": "bool", "default": False},
            "days": {"type": "list", "elements": "dict", "default": []},
            "seen": {"type": "dict"},
            "reports": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    run_module(module, lambda: daily_reports_info(module.params))


if __name__ == "__main__":
    main()
