#!/usr/bin/python
# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# runbook: AU-H1, AU-H3

from __future__ import annotations

DOCUMENTATION = r"""
module: alert_state
short_description: Turn verdicts into once-only messages
version_added: 0.1.0
author:
  - media_ops.runbook contributors (@media-ops)
description:
  - Remembers in O(state_dir) on the host which checks are bad, and says what people should be told - once when a state
    begins, when it changes, and when it ends with its duration, and a reminder after O(reminder_after).
  - A check that changes O(flap_changes) times within O(flap_window) is told once as flapping, and again when it has
    kept one state for O(flap_quiet).
  - Each run that found a check bad or changed leads to a message or is counted in C(suppressed) of the next one.
  - The state V(unknown) is bad. A check that is no longer made ends a bad state, and the message says so.
  - Messages wait in RV(messages) until they are acknowledged with O(state=acked), also over many runs. A message may so
    be sent twice, where a run broke off between sending and acknowledging; it is never lost. Its C(id) stays.
  - Bookkeeping in O(state_dir) is not reported as a change.
extends_documentation_fragment:
  - media_ops.runbook.action
attributes:
  check_mode:
    support: full
    details: The messages are those that there would be, and nothing is written.
options:
  state:
    description:
      - V(recorded) takes the verdicts of a run. The same O(run_id) again changes nothing.
      - V(acked) takes note of O(deliveries).
      - V(observed) only says how things stand.
    type: str
    choices: [recorded, acked, observed]
    default: recorded
  state_dir:
    description: The directory, absolute. It must exist, unless O(create) is set.
    type: path
    default: /var/lib/media-ops
  create:
    description: Make O(state_dir) with mode 0750 where it does not exist. Its parent must exist.
    type: bool
    default: false
  run_id:
    description: What names the run. Needed with O(state=recorded).
    type: str
  host:
    description:
      - Name of the host in messages. Needed with O(state=recorded).
      - A verdict may name other ones as its C(hosts), a list. So a controller keeps state for hosts that cannot.
    type: str
  source:
    description: The source that looked, such as V(watch_health). Needed with O(state=recorded).
    type: str
  verdicts:
    description:
      - What was found, as RV(media_ops.runbook.check#module:verdicts). All checks of the source.
      - C(check) is needed. A C(state) that is none counts as unknown.
    type: list
    elements: dict
    default: []
  alert_from:
    description: The least bad state that counts as bad.
    type: str
    choices: [warning, unknown]
    default: unknown
  reminder_after:
    description: Seconds after the last message until a bad state is told again. V(0) for never.
    type: float
    default: 14400
  settle:
    description: How many runs in a row must see a state before it is told, its end included.
    type: int
    default: 1
  flap_changes:
    description: How many changes within O(flap_window) make a check flap.
    type: int
    default: 4
  flap_window:
    description: Seconds, see O(flap_changes).
    type: float
    default: 3600
  flap_quiet:
    description: How many seconds a flapping check must keep its state to flap no more.
    type: float
    default: 1800
  keep:
    description: How many messages may wait for delivery. Beyond, the oldest are dropped, and RV(dropped) counts them.
    type: int
    default: 500
  hold:
    description:
      - How many seconds the messages of RV(messages) are this run's alone, with O(state=recorded), unless it
        acknowledges them before. So one of two runs at once tells, and a later one what a run that broke off left.
      - Less than from one run of the source to the next.
    type: float
    default: 240
  deliveries:
    description: For O(state=acked), what RV(media_ops.runbook.notify#module:deliveries) says of this host's messages.
    type: list
    elements: dict
    default: []
    suboptions:
      id:
        description: C(id) of the message.
        type: str
        required: true
      host:
        description: Host of the message. The delivery of another host's message is none.
        type: str
      channels:
        description: Names of the channels that have it.
        type: list
        elements: str
        default: []
      complete:
        description: Whether these are all that should. The message then waits no longer.
        type: bool
        default: false
      dedup_key:
        description: The key under which it was sent; later messages of the same trouble bear it.
        type: str
seealso:
  - module: media_ops.runbook.notify
"""

EXAMPLES = r"""
- name: Take the verdicts of this run
  media_ops.runbook.alert_state:
    run_id: 20261124T060000Z
    host: "{{ inventory_hostname }}"
    source: watch_health
    verdicts: "{{ healthcheck_result.verdicts }}"
    reminder_after: 14400
  register: alerts

- name: Take note of what was delivered
  media_ops.runbook.alert_state:
    state: acked
    deliveries: "{{ sent.deliveries | selectattr('host', 'eq', inventory_hostname) }}"
"""

RETURN = r"""
pending:
  description: How many messages wait, those that another run is sending among them.
  type: int
  returned: success
  sample: 1
messages:
  description:
    - All messages that wait, oldest first; with O(state=recorded) but those that another run is sending, see O(hold).
    - C(event) is began, changed, ended, reminder or flapping; C(severity) the worst state since the trouble began, by
      which it is routed, and C(severity_was) that before; C(state) and C(was) the state now and before.
    - C(began_at) is when the trouble began, C(since) when the present state did, C(duration_s) how long the trouble
      lasts or lasted.
    - C(suppressed) counts the runs since the message before that found the check bad or changed and led to no message.
    - C(sent_to) names the channels that have it already.
  type: list
  elements: dict
  returned: success
  sample:
    - id: 8f14e45fceea167a5a36
      event: ended
      source: watch_health
      run_id: 20261124T061500Z
      host: media1.example.com
      check: overall_status
      title: Overall status
      severity: critical
      severity_was: critical
      state: ok
      was: critical
      since: "2026-11-24T06:15:00Z"
      began_at: "2026-11-24T06:00:00Z"
      at: "2026-11-24T06:15:00Z"
      duration_s: 900
      suppressed: 2
      message: "Overall status: healthy"
      action: ""
      playbook: ""
      dedup_key: media-ops:media1.example.com:watch_health:overall_status
      sent_to: []
new:
  description: How many of them this run added.
  type: int
  returned: success
acked:
  description: How many messages wait no longer.
  type: int
  returned: success
open:
  description:
    - What is bad or flapping now, of all sources, with C(source), C(host), C(check), C(title), C(state),
      C(severity), C(since), C(began_at), C(flapping) and C(dedup_key).
  type: list
  elements: dict
  returned: success
suppressed:
  description: Runs counted as suppressed since the last message, by source.
  type: dict
  returned: success
  sample: {watch_health: 2}
dropped:
  description: How many messages were ever dropped undelivered, see O(keep).
  type: int
  returned: success
reset:
  description: Why the state began anew, when the file could not be understood; it is kept as C(alerts.json.broken).
  type: str
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.alerts.alert_state import alert_state
from ..module_utils.errors import run_module


def main() -> None:
    delivery = {
        "host": {"type": "str"},
        "dedup_key": {"type": "str", "no_log": False},
        "id": {"type": "str", "required": True},
        "channels": {"type": "list", "elements": "str", "default": []},
        "complete": {"type": "bool", "default": False},
    }
    module = AnsibleModule(
        argument_spec={
            "state": {"choices": ["recorded", "acked", "observed"], "default": "recorded"},
            "state_dir": {"type": "path", "default": "/var/lib/media-ops"},
            "create": {"type": "bool", "default": False},
            **{name: {"type": "str"} for name in ("run_id", "host", "source")},
            "verdicts": {"type": "list", "elements": "dict", "default": []},
            "alert_from": {"choices": ["warning", "unknown"], "default": "unknown"},
            **{name: {"type": "int", "default": size} for name, size in (("settle", 1), ("flap_changes", 4))},
            "keep": {"type": "int", "default": 500},
            "reminder_after": {"type": "float", "default": 14400},
            "hold": {"type": "float", "default": 240},
            "flap_window": {"type": "float", "default": 3600},
            "flap_quiet": {"type": "float", "default": 1800},
            "deliveries": {"type": "list", "elements": "dict", "default": [], "options": delivery},
        },
        supports_check_mode=True,
    )
    run_module(module, lambda: alert_state(module.params, check_mode=module.check_mode))


if __name__ == "__main__":
    main()
