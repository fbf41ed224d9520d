#!/usr/bin/python
# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: report_files
short_description: Write the reports of a run on the controller
version_added: 0.1.0
author:
  - media_ops.runbook contributors (@media-ops)
description:
  - Writes O(files) into O(directory)C(/RUN/), points O(link) at it, and removes the oldest runs beyond O(keep).
  - The reports of a run are seen whole or not at all - they are written out of sight, synchronised to disk, and then
    renamed. When that fails, the task fails, what was there before is untouched, and nothing half-written is left.
    Whoever reads through O(link) finds the run before or this one.
  - Where two runs end in the same second, the second gets a name of its own, C(RUN-2).
  - Only directories with the name of a run are ever removed, and only where they hold nothing but files. A symbolic
    link is not followed. What could not be removed is a warning, so that no run lacks its verdict for an old report.
  - Directories get mode 0750, files 0640. Written by root, they are given to the owner of O(directory).
  - Each call makes a new directory, so the task is changed. Use C(changed_when=false) where a report of what was found
    is no change to you.
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
  - ansible.builtin.action_common_attributes.conn
  - ansible.builtin.action_common_attributes.flow
attributes:
  action:
    support: full
  async:
    support: none
  become:
    support: none
    details: What runs ansible-playbook writes.
  bypass_host_loop:
    support: none
    details: Use C(run_once=true) for one report over all hosts.
  check_mode:
    support: full
  connection:
    support: none
  delegation:
    support: none
    details: It always works on the controller.
  diff_mode:
    support: none
  platform:
    platforms: posix
options:
  directory:
    description:
      - Where the runs of one check are kept. It is made with its parents where it does not exist.
      - Refused where it is a symbolic link, where everybody may write in it without the sticky bit, and where it
        belongs to a user who is neither root nor the one who runs Ansible. Root may use a directory of any user.
    type: path
    required: true
  run:
    description: The time that names the run, as C(20261124T060000Z).
    type: str
    required: true
  files:
    description:
      - Text of each file by its name.
      - A name is of letters, digits, C(.), C(_) and C(-), begins with a letter or digit, and is 100 characters at most.
    type: dict
    required: true
  link:
    description: Name of the symbolic link that leads to the newest run.
    type: str
    default: latest
  keep:
    description: How many runs to keep, 1 or more, the newest by name. The one that is written is always kept.
    type: int
    default: 60
seealso:
  - ref: media_ops.runbook.report role <ansible_collections.media_ops.runbook.report_role>
    description: Every playbook of the collection ends with it.
  - module: media_ops.runbook.state_report
    description: Keeps a dated document on a host.
"""

EXAMPLES = r"""
- name: Write the reports
  media_ops.runbook.report_files:
    directory: /var/lib/reports/daily_morning
    run: "{{ now(utc=true, fmt='%Y%m%dT%H%M%SZ') }}"
    files:
      result.json: "{{ report_result | to_nice_json }}"
      report.md: "{{ report_result | media_ops.runbook.render_report('report.md.j2') }}"
  run_once: true
  register: written

- name: Say where they are
  ansible.builtin.debug:
    var: written.path
  run_once: true
"""

RETURN = r"""
path:
  description: The directory of the run. In check mode, as it would be.
  returned: success
  type: str
  sample: /var/lib/reports/daily_morning/20261124T060000Z
files:
  description: The files in it, in the order of O(files).
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
"""
