#!/usr/bin/python
# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: notify
short_description: Send messages of all hosts through channels
version_added: 0.1.0
author:
  - media_ops.runbook contributors (@media-ops)
description:
  - Sends what M(media_ops.runbook.alert_state) found on the hosts to Slack, syslog, PagerDuty, Alertmanager, by e-mail
    and to webhooks. Runs once for the whole fleet, on the controller.
  - Messages that say the same of several hosts become one. A page for many hosts ends when it is over on all of them.
  - Every channel is tried, all at once, whatever becomes of the others. What failed is in RV(failures).
  - RV(deliveries) goes back to the hosts (O(media_ops.runbook.alert_state#module:deliveries)). What a channel did not
    get waits there for the next run.
  - Redirects are not followed, TLS certificates are always verified, and nothing is taken from the environment.
  - No URL and no key appears in a result or a failure; a reason names the host at most.
extends_documentation_fragment:
  - media_ops.runbook.action
requirements:
  - requests, for channels that speak HTTP
attributes:
  check_mode:
    support: full
    details: Says what would be sent, and sends nothing.
options:
  messages:
    description: The messages of all hosts, as RV(media_ops.runbook.alert_state#module:messages).
    type: list
    elements: dict
    default: []
  open_alerts:
    description:
      - What is bad on all hosts now, as RV(media_ops.runbook.alert_state#module:open). A page for several hosts is
        resolved when none of these is part of it.
    type: list
    elements: dict
    default: []
  channels:
    description:
      - Where to send.
      - A channel that is set up wrongly is a failure of that channel at each run, the others are used all the same.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the channel, letters, digits, C(_), C(.) and C(-). Hosts keep it, so do not reuse it.
        type: str
        required: true
      type:
        description:
          - V(slack) is an incoming webhook of Slack or of what is compatible.
          - V(syslog) writes with tag C(media-processing), facility local0.
          - V(pagerduty) is the Events API v2, V(alertmanager) the API v2 of Prometheus Alertmanager.
          - V(webhook) gets a POST with all messages as JSON.
        type: str
        required: true
        choices: [slack, syslog, pagerduty, alertmanager, email, webhook]
      enabled:
        description: Whether it is used.
        type: bool
        default: true
      severities:
        description: Which messages it gets, by their severity. That of an end is that of what ended.
        type: list
        elements: str
        choices: [warning, unknown, critical]
        default: [warning, unknown, critical]
      url:
        description:
          - For V(slack), V(webhook) and V(alertmanager); for V(pagerduty) where it is not that of the US region.
          - Must be https with V(slack), with V(pagerduty), and with O(channels[].token), unless it is on this machine.
        type: str
      routing_key:
        description: Integration key, for V(pagerduty).
        type: str
      token:
        description: Sent as a bearer token, for V(webhook) and V(alertmanager).
        type: str
      proxy:
        description: URL of the proxy for HTTP. None is taken from the environment.
        type: str
      ca_path:
        description: File or directory of the certificates to trust, instead of the system's.
        type: path
      address:
        description: For V(syslog), the path of a socket or HOST:PORT for UDP. Nothing tells whether UDP arrives.
        type: str
        default: /dev/log
      host:
        description: Mail server, for V(email).
        type: str
      port:
        description: Its port.
        type: int
        default: 587
      starttls:
        description: Refuse to send unless the connection is encrypted by STARTTLS.
        type: bool
        default: true
      username:
        description: To log in to the mail server.
        type: str
      password:
        description: Belongs to O(channels[].username).
        type: str
      sender:
        description: From whom the mail is.
        type: str
      recipients:
        description:
          - To whom it goes. It counts as sent when all are accepted. Who is refused is named, and gets it with the next
            run, the others not once more.
        type: list
        elements: str
        default: []
      max_messages:
        description:
          - How many messages at most in one run, after grouping. The rest is folded into "and N more"; with V(slack)
            40 at most.
          - V(pagerduty) gets the rest with the next run instead. V(alertmanager) and V(webhook) have no such limit.
        type: int
        default: 10
      expires_after:
        description:
          - For V(alertmanager), after how many seconds it takes an alert for resolved that is not sent again.
          - More than O(media_ops.runbook.alert_state#module:reminder_after).
        type: int
        default: 86400
  title:
    description: What is watched, for people.
    type: str
    default: Media processing
  contacts:
    description: Whom to call, the first five are shown, with C(area), C(name) and C(contact).
    type: list
    elements: dict
    default: []
  report_path:
    description: Where the report of the run is.
    type: str
  notes:
    description: What else the reader is to know, the first five are shown.
    type: list
    elements: str
    default: []
  command_prefix:
    description: How the reader calls a playbook. The commands in messages begin with it.
    type: str
    default: "ansible-playbook media_ops.runbook."
  connect_timeout:
    description: Seconds until a connection must stand.
    type: float
    default: 5
  read_timeout:
    description: Seconds without a byte of the answer.
    type: float
    default: 10
  total_timeout:
    description: Seconds for each channel, its retries included. All run at once.
    type: float
    default: 30
  retries:
    description:
      - How often a channel is asked again, when it could not be reached or answers 429, 500, 502, 503 or 504.
      - Not after an answer that did not come, which could send a message twice.
    type: int
    default: 2
  retry_after_max:
    description: The longest C(Retry-After) in seconds that is waited for. A longer one fails the channel.
    type: float
    default: 15
  fail:
    description: Fail, after all channels were tried, when one failed. The result is the same.
    type: bool
    default: false
seealso:
  - module: media_ops.runbook.alert_state
"""

EXAMPLES = r"""
- name: Send the messages of all hosts
  media_ops.runbook.notify:
    messages: "{{ ansible_play_hosts | map('extract', hostvars) | map(attribute='alerts.messages') | flatten }}"
    open_alerts: "{{ ansible_play_hosts | map('extract', hostvars) | map(attribute='alerts.open') | flatten }}"
    title: Health watch
    channels:
      - {name: chat, type: slack, url: "{{ vault_slack_url }}"}
      - {name: log, type: syslog, severities: [critical]}
      - {name: page, type: pagerduty, routing_key: "{{ vault_pagerduty_key }}", severities: [critical, unknown]}
      - name: mail
        type: email
        host: mail.example.com
        sender: media-ops@example.com
        recipients: [ops@example.com]
  run_once: true
  delegate_to: localhost
  no_log: true
  register: sent
"""

RETURN = r"""
sent:
  description: How many messages each channel has got, as they came from the hosts.
  type: dict
  returned: success
  sample: {chat: 52, log: 52}
folded:
  description: How many of them were not shown but counted ("and N more").
  type: dict
  returned: success
deferred:
  description: How many are left to the next run, because of O(channels[].max_messages).
  type: dict
  returned: success
failures:
  description: Channels that failed, with C(channel), C(reason) and how many messages are C(waiting) for it.
  type: list
  elements: dict
  returned: success
  sample: [{channel: chat, reason: "hooks.slack.com answered 404 (no_service)", waiting: 3}]
headlines:
  description: What was sent, a line for each group of messages, the first 50.
  type: list
  elements: str
  returned: success
  sample: ["CRITICAL: Overall status on media1.example.com"]
deliveries:
  description:
    - For each message its C(id), C(host), the C(channels) that have it, C(complete) and C(dedup_key).
    - Where only some of a mail's recipients have it, these stand in C(channels) as CHANNEL/RECIPIENT.
  type: list
  elements: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.alerts.notify import COMMAND_PREFIX, LIMITS, channel_spec, notify
from ..module_utils.errors import run_module


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **{
                name: {"type": "list", "elements": "dict", "default": []}
                for name in ("messages", "open_alerts", "contacts")
            },
            "channels": {"type": "list", "elements": "dict", "default": [], "options": channel_spec()},
            "title": {"type": "str", "default": "Media processing"},
            "report_path": {"type": "str"},
            "notes": {"type": "list", "elements": "str", "default": []},
            "command_prefix": {"type": "str", "default": COMMAND_PREFIX},
            **{
                name: {"type": "int" if name == "retries" else "float", "default": limit}
                for name, limit in LIMITS.items()
            },
            "fail": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    run_module(module, lambda: notify(module.params, check_mode=module.check_mode))


if __name__ == "__main__":
    main()
