#!/usr/bin/python
# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pipeline_info
short_description: Ask the monitoring API of a media pipeline
version_added: 0.1.0
author:
  - media_ops.runbook contributors (@media-ops)
description:
  - Asks any part of the monitoring API in one call and one HTTP session, on the host.
  - A probe. A service that is down, slow, or answers what makes no sense is a value of the result, with its reason; the
    module fails only for options that cannot be right, and for a missing library.
  - Every endpoint has a result of its own; one that fails hides no other.
  - Judges nothing. What the values mean is for the policy to say.
  - Redirects are not followed, and proxies and C(.netrc) of the environment are not used.
  - Of a service that does not offer its statistics or its sessions, the log tells (O(operations_log)) and the processes
    (O(work_dir)), in the same shape, with RV(endpoints.source).
  - Without a token, endpoints that need one are asked all the same, since a service may not require it; a service that
    does answers 401 or 403, which gives the state V(auth).
requirements:
  - jmespath (Debian package C(python3-jmespath)) on the host, for O(query) only
extends_documentation_fragment:
  - media_ops.runbook.api
  - media_ops.runbook.action
  - media_ops.runbook.log_fields
  - media_ops.runbook.process
options:
  gather:
    description:
      - The endpoints to ask, in this order. At least one.
      - V(health_detailed) is asked as well, once, where V(health) gives an HTTP status of 500 or more without its
        document.
    type: list
    elements: str
    choices: [health, health_detailed, stats, alerts, metrics, sessions]
    default: [health, stats, alerts, sessions]
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
  alerts_limit:
    description: How many V(alerts) to ask for at most, the newest, 1 to 200.
    type: int
    default: 200
  query:
    description:
      - JMESPath expression over an object of endpoint name to document; RV(query_result) is what it gives.
      - The document of an endpoint that did not answer is null.
      - An expression that is none fails the module before anything is asked.
    type: str
  state_dir:
    description:
      - Also give the overrides (M(media_ops.runbook.service_config)), the last recovery and what is muted
        (M(media_ops.runbook.guard)) on record in this state directory of the host, so that a check which looks at them
        needs no second connection to the host.
    type: path
  operations_log:
    description:
      - Log on the host with a line for each operation that ended, from which V(stats) are made where the service does
        not offer them. It is read with its rotated files.
    type: path
  since_start:
    description:
      - Of O(operations_log) count only what ended since the service's main process started, as a service counts that
        forgets with each restart. Where that is not known, all of the window counts.
    type: bool
    default: false
  work_dir:
    description:
      - Directory that holds one directory for each session, from which V(sessions) are known by the programs at work
        there where the service does not list them. With O(programs) and O(service_user).
    type: path
  programs:
    description: Names of the programs that work on sessions, also with wildcards.
    type: list
    elements: str
    default: [ffmpeg, "ffmpeg-linux*", ffprobe]
  service_user:
    description: User that the service runs as.
    type: str
  unit:
    description: Also say how the service stands, RV(unit), by the name of its systemd unit.
    type: str
  controller_time:
    description:
      - The controller's time, ISO 8601 in UTC, to see how far the host's clock is off. Take it from the expression in
        the examples, which Ansible evaluates as the task begins.
    type: str
seealso:
  - name: JMESPath
    description: The language of O(query).
    link: https://jmespath.org/specification.html
"""

EXAMPLES = r"""
- name: Ask for what the morning check needs
  media_ops.runbook.pipeline_info:
    api_token: "{{ media_ops_api_token }}"
    controller_time: "{{ now(utc=true, fmt='%Y-%m-%dT%H:%M:%SZ') }}"
  register: pipeline

- name: Ask for the fresh health document only, which names the component that fails
  media_ops.runbook.pipeline_info:
    api_url: https://media1.example.com/api/v1/monitoring
    api_token_file: /etc/media-ops/token
    ca_path: /etc/ssl/certs/internal-ca.pem
    gather: [health_detailed]

- name: Show the components that are not healthy
  media_ops.runbook.pipeline_info:
    gather: [health]
    query: "health.checks[?status != 'healthy'].{component: component, message: message}"
  register: pipeline

- name: Say why there is no answer
  ansible.builtin.debug:
    msg: "{{ pipeline.endpoints.health.state }}: {{ pipeline.endpoints.health.reason }}"
  when: pipeline.endpoints.health.state != 'ok'
"""

RETURN = r"""
endpoints:
  description: What came of each endpoint of O(gather), by its name, and of V(health_detailed) where it was added.
  type: dict
  returned: success
  contains:
    state:
      description:
        - V(ok), the document is in RV(endpoints.data).
        - V(unreachable), the connection was refused or broke, the name does not resolve, no route, or TLS failed.
        - V(timeout), no connection, no answer, or no end of the answer in time.
        - V(auth), HTTP status 401 or 403.
        - V(http_error), another HTTP status than 200, redirects included.
        - V(invalid), an answer that is not HTTP, not an object in JSON, broken off, too large, nested deeper than 64
          levels, or with NaN or infinite numbers.
        - V(not_offered), the service does not have it, by O(api_map) or O(api_offered). It was not asked.
      type: str
    reason:
      description: Why there is no document, in one line for people. Empty when RV(endpoints.state) is V(ok).
      type: str
    http_status:
      description: The HTTP status, also of an answer that could not be used. Null where none came.
      type: int
    elapsed_ms:
      description: Milliseconds from the first try to the end of the last.
      type: int
    attempts:
      description: How often the endpoint was asked. 0 when O(overall_timeout) had passed before, or it is not offered.
      type: int
    bytes:
      description: Bytes of the answer that were read.
      type: int
    fetched_at:
      description: When the answer was complete, in UTC, by the clock of the host.
      type: str
    url:
      description: The address that was asked. Empty when RV(endpoints.state) is V(not_offered).
      type: str
    source:
      description:
        - V(log) or V(processes), where the service does not offer it and these were looked at instead. Else empty.
      type: str
    short:
      description: Why a log does not tell of all the time that was asked for, in one line. Empty where it does.
      type: str
    params:
      description: What the endpoint was asked for, C(hours), or C(level) and C(limit). Empty for the others.
      type: dict
    data:
      description:
        - The document as the service gave it, the token replaced where it should occur.
        - Null unless RV(endpoints.state) is V(ok).
        - By O(api_map), made of a service's own answer.
        - The health document can come with HTTP status 500 or more, when the service is critical; it is unwrapped where
          it is under C(detail).
      type: dict
    not_offered:
      description: Fields that the service does not offer, by O(api_map). Those of rows have the list's name before.
      type: list
      elements: str
  sample:
    health:
      state: ok
      reason: ""
      http_status: 200
      elapsed_ms: 41
      attempts: 1
      bytes: 1893
      fetched_at: "2026-11-24T06:00:00Z"
      url: http://localhost:8000/api/v1/monitoring/health
      params: {}
      source: ""
      short: ""
      data:
        overall_status: healthy
        timestamp: "2026-11-24T05:59:41.120911"
        checks: []
      not_offered: []
    stats:
      state: auth
      reason: "HTTP 401: token expired or not accepted (Token has expired)"
      http_status: 401
      elapsed_ms: 6
      attempts: 1
      bytes: 30
      fetched_at: "2026-11-24T06:00:00Z"
      url: http://localhost:8000/api/v1/monitoring/stats?hours=24
      params: {hours: 24}
      source: ""
      short: ""
      data: null
      not_offered: []
api_access:
  description:
    - By what the API was asked. C(by) is V(login), V(token) or V(none), C(valid_until) when that ends, where it is
      known, and C(reason) why the login gave no token.
  returned: success
  type: dict
  sample: {by: token, valid_until: "2026-11-24T09:12:44Z", reason: ""}
overrides:
  description: Settings of the service that were changed for a time.
  returned: with O(state_dir)
  type: dict
  contains:
    state:
      description: V(ok), or V(denied) where they cannot be read.
      type: str
    reason:
      description: Why they cannot be read. Empty when RV(overrides.state) is V(ok).
      type: str
    overrides:
      description:
        - Each with C(name), C(value), C(since), C(until), C(expired), C(why), and C(taken_at), when the service was
          last seen to have taken it.
      type: list
      elements: dict
automation:
  description: Who keeps automation off the host (M(media_ops.runbook.guard)).
  returned: with O(state_dir)
  type: dict
  contains:
    state:
      description: V(ok), or V(denied) where it cannot be read.
      type: str
    reason:
      description: Why it cannot be read. Empty when RV(automation.state) is V(ok).
      type: str
    pause:
      description: The pause that is on, as RV(media_ops.runbook.guard#module:pause). Null when there is none.
      type: dict
    lease:
      description: The lease that stands, as RV(media_ops.runbook.guard#module:lease). Null when there is none.
      type: dict
mutes:
  description: What a person has muted (M(media_ops.runbook.guard)), what is over by now among it.
  returned: with O(state_dir)
  type: dict
  contains:
    state:
      description: V(ok), or V(denied) where it cannot be read.
      type: str
    reason:
      description: Why it cannot be read. Empty when RV(mutes.state) is V(ok).
      type: str
    mutes:
      description: Each with C(what), C(name), C(reason), C(by), C(since) and C(until).
      type: list
      elements: dict
recovered_at:
  description:
    - When the host was last seen to recover after a response, within the last hour. Null where it was not, and where
      the ledger cannot be read.
  returned: with O(state_dir)
  type: str
  sample: "2026-11-24T05:31:07Z"
unit:
  description:
    - How the service stands at one look, C(class), C(reason), C(main_pid) and C(since) as
      RV(media_ops.runbook.service_control#module:service), C(told_by), V(systemd) or what tells its main process, and
      C(serves_api), whether the API is this service's own.
    - The class is V(unknown) where systemd does not answer, or the main process cannot be told.
  returned: with O(unit) or O(process)
  type: dict
  sample: {class: running, reason: pid 812, main_pid: 812, told_by: systemd, serves_api: true}
recoveries:
  description:
    - What the host has recovered from after a response, within the last hour, newest first, each with C(at) and
      C(cause). Empty where the ledger cannot be read.
  returned: with O(state_dir)
  type: list
  elements: dict
  sample: [{at: "2026-11-24T05:31:07Z", cause: ffmpeg}]
clock_offset_s:
  description:
    - Seconds by which the host's clock is ahead of O(controller_time); behind is negative. The way of the task to the
      host is in it.
  returned: with O(controller_time)
  type: float
  sample: 0.8
query_result:
  description: What O(query) gave. Null also where RV(query_error) says that it did not fit the answers.
  type: raw
  returned: when O(query) is set
  sample: [{component: ffmpeg, message: "ffmpeg not found"}]
query_error:
  description:
    - Why O(query) could not be carried out on these answers; C(length(alerts.alerts)) with no alerts document, for one.
    - Else empty.
  type: str
  returned: when O(query) is set
  sample: ""
"""

from functools import partial
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.api.endpoints import READ
from ..module_utils.api.pipeline_info import pipeline_info
from ..module_utils.api.settings import api_argument_spec
from ..module_utils.deadline import deadline_of
from ..module_utils.errors import run_module
from ..module_utils.logs.fields import OPTION as LOG_FIELDS
from ..module_utils.logs.fields import LogFields
from ..module_utils.review.logged_stats import logged_stats
from ..module_utils.service.on_record import overrides_on_record
from ..module_utils.service.standing import service_seen
from ..module_utils.sessions.at_work import sessions_at_work
from ..module_utils.state.guard import last_recovery
from ..module_utils.state.held import held_on_record
from ..module_utils.state.mutes import mutes_on_record
from ..module_utils.state.recoveries import recoveries
from ..module_utils.system.operated import operated, service_spec
from ..module_utils.times import from_text

_KEPT = {
    "overrides": overrides_on_record,
    "recovered_at": last_recovery,
    "recoveries": recoveries,
    "mutes": mutes_on_record,
    "automation": held_on_record,
}


def _argument_spec() -> dict[str, Any]:
    return {
        **api_argument_spec(),
        "gather": {
            "type": "list",
            "elements": "str",
            "choices": list(READ),
            "default": ["health", "stats", "alerts", "sessions"],
        },
        "stats_hours": {"type": "int", "default": 24},
        "metrics_hours": {"type": "int", "default": 24},
        "alerts_level": {"type": "str", "choices": ["info", "warning", "error", "critical"], "default": "critical"},
        "alerts_limit": {"type": "int", "default": 200},
        "query": {"type": "str"},
        "state_dir": {"type": "path"},
        "operations_log": {"type": "path"},
        LOG_FIELDS: {"type": "dict", "default": {}},
        "since_start": {"type": "bool", "default": False},
        "work_dir": {"type": "path"},
        "programs": {"type": "list", "elements": "str", "default": ["ffmpeg", "ffmpeg-linux*", "ffprobe"]},
        "service_user": {"type": "str"},
        **service_spec(),
        "controller_time": {"type": "str"},
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec=_argument_spec(),
        required_by={"work_dir": ["service_user"]},
        supports_check_mode=True,
    )

    def work() -> dict[str, Any]:
        service = operated(module.params)
        seen = {"unit": service_seen(service, module.params["api_url"])} if service else {}
        instead = _instead(module.params, seen.get("unit", {}))
        found = pipeline_info(module.params, _KEPT, instead, warn=module.warn, hide=module.no_log_values.add)
        return {**found, **seen}

    run_module(module, work)


def _instead(params: dict[str, Any], service: dict[str, Any]) -> dict[str, Any]:
    """What is looked at where the service does not offer an endpoint."""
    found: dict[str, Any] = {}
    if params["operations_log"]:
        log, hours, fields = params["operations_log"], params["stats_hours"], LogFields(params[LOG_FIELDS])
        begin = from_text(service.get("since")) if params["since_start"] else None
        late = deadline_of("pipeline_info", params)
        found["stats"] = partial(logged_stats, log, hours, fields, not_before=begin, deadline=late)
    if params["work_dir"]:
        where, programs, user = params["work_dir"], params["programs"], params["service_user"]
        found["sessions"] = partial(sessions_at_work, where, programs, user, service.get("main_pid"))
    return found


if __name__ == "__main__":
    main()
