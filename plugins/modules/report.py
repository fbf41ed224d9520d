#!/usr/bin/python
# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: report
short_description: Make and write the reports of a run
version_added: 0.1.0
author:
  - media_ops.runbook contributors (@media-ops)
description:
  - Makes the result document from C(healthcheck_result) of every host of the play, renders it as Markdown and HTML, and
    writes it into O(directory)C(/TIME/). Where a host has a review of the week, its reports are written besides.
  - The reports of a run are seen whole or not at all - they are written out of sight, synchronised to disk, and then
    renamed. When that fails, RV(problem) says so, what was there before is untouched, and nothing half-written is left;
    the verdicts stand and are handed on all the same, and M(media_ops.runbook.gate) fails the run.
    Whoever reads through the link C(latest) finds the run before or this one.
  - Where two runs end in the same second, the second gets a name of its own, C(TIME-2).
  - Only directories with the name of a run are ever removed, and only where they hold nothing but files. A symbolic
    link is not followed. What could not be removed is a warning, so that no run lacks its verdict for an old report.
  - Directories get mode 0750, files 0640. Written by root, they are given to the owner of O(directory).
  - Hands C(media_ops_summary) to the statistics of the run as M(ansible.builtin.set_stats) does, for AWX, Event-Driven
    Ansible and the verdict table.
  - Refuses variables that are not as role P(media_ops.runbook.report#role) documents them.
  - For use with C(run_once=true). Works on the controller, for hosts that are anywhere.
extends_documentation_fragment:
  - media_ops.runbook.action.controller
options:
  directory:
    description:
      - Where the runs of one check are kept. It is made with its parents where it does not exist.
      - Refused where it is a symbolic link, where everybody may write in it without the sticky bit, and where it
        belongs to a user who is neither root nor the one who runs Ansible. Root may use a directory of any user.
    type: path
    required: true
  check:
    description: Short name of the check.
    type: str
    required: true
  title:
    description: What the report is called.
    type: str
    required: true
  contacts:
    description: Whom to call.
    type: list
    elements: dict
    default: []
  command_prefix:
    description:
      - How the reader calls a playbook. The commands in reports begin with it. Empty for how this run was called.
    type: str
    default: ""
  fail_on:
    description: States of a host that fail the run.
    type: list
    elements: str
    choices: [ok, warning, unknown, critical]
    default: [critical, unknown]
  keep:
    description: How many runs to keep, 1 or more, the newest by name. The one that is written is always kept.
    type: int
    default: 60
  since:
    description:
      - RV(made_at) of an earlier report of the same ansible-playbook. What was found before it is no news of a host
        that has been silent since.
    type: float
    default: 0
  not_told:
    description: RV(media_ops.runbook.tell#module:problem), what people could not be told, for the verdict table.
    type: str
    default: ""
  place:
    description: RV(media_ops.runbook.tell#module:place), the name in O(directory) that people were told before.
    type: str
    default: ""
seealso:
  - module: media_ops.runbook.check
  - module: media_ops.runbook.gate
  - ref: media_ops.runbook.report role <ansible_collections.media_ops.runbook.report_role>
    description: Every playbook of the collection ends with it.
"""

EXAMPLES = r"""
- name: Write the reports
  media_ops.runbook.report:
    directory: /var/lib/reports/daily_morning
    check: daily_morning
    title: Daily morning health check
  run_once: true
  register: written

- name: Say where they are
  ansible.builtin.debug:
    var: written.path
  run_once: true
"""

RETURN = r"""
problem:
  description: What could not be made or written, in one sentence or several; empty where all was.
  returned: success
  type: str
  sample: ""
path:
  description: The directory of the run. In check mode, as it would be. V(null) where it could not be written.
  returned: success
  type: str
  sample: /var/lib/reports/daily_morning/20261124T060000Z
files:
  description: The files in it.
  returned: success
  type: list
  elements: str
  sample:
    - /var/lib/reports/daily_morning/20261124T060000Z/result.json
    - /var/lib/reports/daily_morning/20261124T060000Z/report.md
link:
  description: The link that leads to the run.
  returned: success
  type: str
  sample: /var/lib/reports/daily_morning/latest
removed:
  description: Old runs that were removed, oldest first. In check mode, that would be.
  returned: success
  type: list
  elements: str
  sample: [/var/lib/reports/daily_morning/20260925T060000Z]
not_removed:
  description: Old runs that could not be removed, with the reason.
  returned: success
  type: list
  elements: dict
  sample: []
  contains:
    path:
      description: The run.
      type: str
    reason:
      description: Why, in one line.
      type: str
kept:
  description: Number of runs that are there now, this one included.
  returned: success
  type: int
  sample: 60
page:
  description: The report as a page. Null in check mode.
  returned: success
  type: str
  sample: /var/lib/reports/daily_morning/20261124T060000Z/report.html
made_at:
  description: When the report was made, in seconds since 1970.
  returned: success
  type: float
  sample: 1795500000.5
"""
