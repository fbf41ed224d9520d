#!/usr/bin/python
# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: metrics
short_description: Leave metrics for node_exporter on a host
version_added: 0.1.0
author:
  - media_ops.runbook contributors (@media-ops)
description:
  - Asks who acts on the host and what was done there (M(media_ops.runbook.guard)), and writes it with what the run
    found as a textfile (M(media_ops.runbook.metrics_textfile)).
  - Skipped where the check did not reach the host. A host that is lost meanwhile does not fail.
extends_documentation_fragment:
  - media_ops.runbook.action
options:
  textfile_dir:
    description: The directory on the host that node_exporter reads.
    type: path
    required: true
  source:
    description: The source that ran, such as V(watch_health).
    type: str
    required: true
  state_dir:
    description: State directory of the host.
    type: path
    required: true
  found:
    description: Result of M(media_ops.runbook.check).
    type: dict
    default: {}
  alerts:
    description: Result of M(media_ops.runbook.alert_state), where there is one.
    type: dict
    default: {}
  breaker:
    description: The causes for which the breaker of the fleet is open, where it was looked at.
    type: dict
seealso:
  - module: media_ops.runbook.metrics_textfile
  - module: media_ops.runbook.guard
"""

EXAMPLES = r"""
- name: Leave metrics where they are wanted
  media_ops.runbook.metrics:
    textfile_dir: /var/lib/prometheus/node-exporter
    source: watch_health
    state_dir: /var/lib/media-ops
    found: "{{ healthcheck_result }}"
"""

RETURN = r"""
reached:
  description: Whether the host could still be reached.
  returned: success
  type: bool
  sample: true
"""
