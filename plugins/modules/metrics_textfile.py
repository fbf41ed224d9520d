#!/usr/bin/python
# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: metrics_textfile
short_description: Write metrics for node_exporter's textfile collector
version_added: 0.1.0
author:
  - media_ops.runbook contributors (@media-ops)
description:
  - Writes C(media_ops_SOURCE.prom) with what a source found, and C(media_ops_host.prom) with what holds for the
    host as a whole. Each file is written whole or not at all, with mode 0644 and without timestamps.
  - A host that has no O(textfile_dir), or where it cannot be used, is a value, RV(reason), and a warning.
  - All metrics are gauges. Actions are counted within a window, since a counter over a ledger that rotates would lie.
  - Files of metrics are not reported as a change.
  - Examples of alert rules and of a Grafana dashboard are C(docs/examples/alert_rules.yml) and
    C(docs/examples/grafana_dashboard.json).
extends_documentation_fragment:
  - media_ops.runbook.action
attributes:
  check_mode:
    support: full
    details: RV(files) is what would be written, and nothing is.
options:
  textfile_dir:
    description: The directory that node_exporter reads (C(--collector.textfile.directory)), absolute.
    type: path
    default: /var/lib/prometheus/node-exporter
  source:
    description: The source that ran, such as V(watch_health). Lower case letters, digits and C(_), not V(host).
    type: str
    required: true
  verdicts:
    description: What it found, as RV(media_ops.runbook.check#module:verdicts). None is no success.
    type: list
    elements: dict
    default: []
  alerts:
    description: A result of M(media_ops.runbook.alert_state).
    type: dict
    default: {}
  guard:
    description: A result of M(media_ops.runbook.guard). Its C(hours) are the window of the actions.
    type: dict
    default: {}
  breaker_open:
    description: Whether the breaker of the fleet is open. Left out when not given.
    type: bool
  mutes:
    description: What is muted on the host, as RV(media_ops.runbook.guard#module:mutes).
    type: list
    elements: dict
    default: []
  overrides_active:
    description: How many overrides are in force. Left out when not given.
    type: int
seealso:
  - module: media_ops.runbook.alert_state
  - module: media_ops.runbook.guard
"""

EXAMPLES = r"""
- name: See how the host stands
  media_ops.runbook.guard:
  register: stands

- name: Write the metrics of this run
  media_ops.runbook.metrics_textfile:
    source: watch_health
    verdicts: "{{ healthcheck_result.verdicts }}"
    alerts: "{{ alerts }}"
    guard: "{{ stands }}"
"""

RETURN = r"""
written:
  description: Whether the files were written.
  type: bool
  returned: success
reason:
  description: Why not, in one line; empty otherwise, also in check mode.
  type: str
  returned: success
  sample: "/var/lib/prometheus/node-exporter does not exist: is node_exporter installed, with its textfile collector?"
files:
  description: The files by their path, with their content.
  type: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.errors import run_module
from ..module_utils.state.metrics_textfile import metrics_textfile


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "textfile_dir": {"type": "path", "default": "/var/lib/prometheus/node-exporter"},
            "source": {"type": "str", "required": True},
            "verdicts": {"type": "list", "elements": "dict", "default": []},
            "alerts": {"type": "dict", "default": {}},
            "guard": {"type": "dict", "default": {}},
            "breaker_open": {"type": "bool"},
            "overrides_active": {"type": "int"},
            "mutes": {"type": "list", "elements": "dict", "default": []},
        },
        supports_check_mode=True,
    )
    run_module(module, lambda: metrics_textfile(module.params, warn=module.warn, check_mode=module.check_mode))


if __name__ == "__main__":
    main()
