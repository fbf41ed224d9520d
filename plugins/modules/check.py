#!/usr/bin/python
# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: check
short_description: Ask a host and judge what it answers
version_added: 0.1.0
author:
  - media_ops.runbook contributors (@media-ops)
description:
  - Asks the monitoring API on the host (M(media_ops.runbook.pipeline_info)), a log where O(log) says so
    (M(media_ops.runbook.log_digest_info)), and judges the answers on the controller by the check table of O(policy).
  - A host that cannot be reached, has no Python, or on which a module fails, is judged as V(unknown) with the reason;
    the task ends well, and the play goes on with that host.
  - What a person has muted (M(media_ops.runbook.mute)) counts as V(ok), and says what it would be.
  - Where the date of an answer is off, the service is asked twice more. One whose dates go on is judged with the clock
    or the zone named; one that repeats a date hangs.
  - The task fails where O(policy) contradicts itself, naming the variable, and for arguments that cannot be right.
  - The connection options are checked on the host by M(media_ops.runbook.pipeline_info). What is wrong with them is a
    reason for V(unknown).
extends_documentation_fragment:
  - media_ops.runbook.api
  - media_ops.runbook.action
options:
  run_by:
    description: Which rows of the check table are judged, those that name this in C(run_by).
    type: str
    required: true
  policy:
    description:
      - What is judged by, the tables and figures of role P(media_ops.runbook.policy#role) -
        C(checks), C(incidents), C(error_causes), C(service_unit), C(service_process), C(answer_age_max),
        C(clock_skew_max), C(alert_age_max), C(rate_operations_min), C(rate_components), C(mute_max),
        C(session_look_minutes), C(session_investigate_minutes), C(session_end_minutes), C(review) for O(week),
        C(zone), the site's, for O(day) and O(week), and C(pipeline), options of M(media_ops.runbook.pipeline_info) for
        a service that does not offer all of the API.
      - What a site adds is asked of the host besides, by C(probes) and C(modules), which are C(policy_site_probes) and
        C(policy_site_modules).
    type: dict
    required: true
  gather:
    description: The endpoints to ask, in this order.
    type: list
    elements: str
    choices: [health, health_detailed, stats, alerts, metrics, sessions]
    required: true
  stats_hours:
    description: Window of V(stats) in hours, 1 to 168.
    type: int
    default: 24
  metrics_hours:
    description: Window of V(metrics) in hours, 1 to 168.
    type: int
    default: 24
  alerts_level:
    description: Level of the V(alerts) to ask for.
    type: str
    choices: [info, warning, error, critical]
    default: critical
  state_dir:
    description: State directory of the host, for overrides, the last recovery, mutes, and for what O(week) reads.
    type: path
  mutes_dir:
    description:
      - Directory on the controller where it remembers the mutes of hosts, as M(media_ops.runbook.mute) has it. Without
        this option nothing is remembered, and a host that is down is not muted.
    type: str
  log:
    description: Options of M(media_ops.runbook.log_digest_info). Without it no log is read.
    type: dict
  errors_log:
    description:
      - The log of errors, where it is another than that of O(log), which then is read with the options of O(log) as
        well. The one that has more of them counts. It need not be there.
    type: path
  day:
    description:
      - Also give the reports of the site's days of the last 24 hours, and of those of a week before that were not
        reported when they were over, to be kept on the host, joined with what it has kept of them
        (M(media_ops.runbook.daily_reports_info)).
    type: bool
    default: false
  week:
    description:
      - Also review the week, from what the host has kept (M(media_ops.runbook.daily_reports_info)), from today, and
        from what the service remembers of 168 h.
    type: bool
    default: false
  operations_log:
    description:
      - The log on the host with a line for each operation that ended, from which O(day) and O(week) take their figures.
        Without it they know only what the service remembers.
    type: path
seealso:
  - module: media_ops.runbook.pipeline_info
  - module: media_ops.runbook.log_digest_info
  - module: media_ops.runbook.report
  - ref: media_ops.runbook.healthcheck role <ansible_collections.media_ops.runbook.healthcheck_role>
    description: Its entry points are the checks of the runbook.
"""

EXAMPLES = r"""
# In role healthcheck
- name: Ask the monitoring API and judge
  media_ops.runbook.check:
    run_by: morning
    policy: "{{ __healthcheck_policy }}"
    gather: [health, stats, alerts, sessions]
    state_dir: "{{ policy_state_dir }}"
  register: healthcheck_result
"""

RETURN = r"""
observations:
  description: What was observed, by name (docs/architecture.md).
  returned: success
  type: dict
  sample: {error_rate_24h: {value: 0.02, unit: ratio, fault: ""}}
verdicts:
  description: One verdict for each check, worst first.
  returned: success
  type: list
  elements: dict
  sample: [{check: error_rate, state: ok, message: "Error rate of 24 h: 2 %"}]
incidents:
  description: The incidents that the verdicts call for, most urgent first.
  returned: success
  type: list
  elements: dict
  sample: []
details:
  description: What reports draw from.
  returned: success
  type: dict
  sample: {}
mutes:
  description: What is muted now, as RV(media_ops.runbook.guard#module:mutes).
  returned: success
  type: list
  elements: dict
  sample: []
counting:
  description: How much counts of what the service says of itself, for M(media_ops.runbook.verify).
  returned: success
  type: dict
  sample: {alert_age_max_s: 86400, rate_operations_min: 10, rate_components: [processing_pipeline], muted: {}}
judged_at:
  description: When it was judged, in seconds since 1970 by the controller's clock.
  returned: success
  type: float
  sample: 1795500000.5
answers:
  description: RV(media_ops.runbook.pipeline_info#module:endpoints). Empty where the host could not be asked.
  returned: success
  type: dict
  sample: {}
log:
  description: The answer of M(media_ops.runbook.log_digest_info). Empty where it was not asked.
  returned: success
  type: dict
  sample: {}
days:
  description: The reports of days (C(daily_report.schema.json)). Empty where the figures are not to be kept.
  returned: with O(day)
  type: list
  elements: dict
  sample: []
date:
  description: The day of the site, YYYY-MM-DD.
  returned: with O(day) or O(week)
  type: str
  sample: "2026-11-27"
review:
  description: The review of the week (docs/architecture.md).
  returned: with O(week)
  type: dict
  sample: {}
"""
