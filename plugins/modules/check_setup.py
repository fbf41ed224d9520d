#!/usr/bin/python
# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: check_setup
short_description: Look at a host, whatever it lacks, and say what works there and what does not
version_added: 1.0.0
author:
  - media_ops.runbook contributors (@media-ops)
description:
  - Looks at the host by its shell alone first, so that one without Python is a row as any other, and so is one that
    cannot be reached. Then asks M(media_ops.runbook.setup_info), and where the host has what they need,
    M(media_ops.runbook.pipeline_info), M(media_ops.runbook.ffmpeg_info) and M(media_ops.runbook.storage_probe).
  - Changes nothing. The task fails for no host, only for options that cannot be right.
  - Where the service differs from what is set, gives the lines of the inventory that would mend it. A value that might
    be a template, or is none of what the variable takes, is described and never made a line.
extends_documentation_fragment:
  - media_ops.runbook.action
  - media_ops.runbook.api
options:
  modules:
    description: C(policy_modules), what the site gives each module.
    type: dict
    required: true
  policy:
    description: As option O(media_ops.runbook.check#module:policy).
    type: dict
    required: true
  libraries:
    description: The Python libraries that modules need.
    type: list
    elements: str
    default: [psutil, requests, boto3, jmespath]
  logs:
    description: The logs that playbooks read. Of those in the directory of the logs it is said what is in them.
    type: list
    elements: path
    default: []
  archive_dir:
    description: Where archives of logs go.
    type: path
    required: true
  disk_percent:
    description: From where on a file system is full.
    type: float
    required: true
  own_checks:
    description: What the checks look at themselves, C(policy_own_checks) of role P(media_ops.runbook.policy#role).
    type: list
    elements: str
    default: []
  write:
    description: Write an object into the bucket, read and remove it. In check mode nothing is written.
    type: bool
    default: false
seealso:
  - module: media_ops.runbook.setup_report
"""

EXAMPLES = r"""
- name: Look at the host
  media_ops.runbook.check_setup:
    modules: "{{ policy_modules }}"
    policy: "{{ site_policy }}"
    archive_dir: /var/lib/media-ops-archives
    disk_percent: 90
  register: healthcheck_result
"""

RETURN = r"""
verdicts:
  description: A row for each thing that was looked at, shaped as RV(media_ops.runbook.check#module:verdicts).
  returned: success
  type: list
  elements: dict
  sample: [{check: ssh, title: Connection, state: ok, message: connected as media-ops}]
lines:
  description: Lines of the inventory to set, by the variable's name.
  returned: success
  type: dict
  sample: {policy_service_unit: 'policy_service_unit: "pipeline"'}
"""
