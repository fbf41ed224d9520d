#!/usr/bin/python
# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: timetable
short_description: Say when procedures run, as systemd and cron write it
version_added: 0.1.0
author:
  - media_ops.runbook contributors (@media-ops)
description:
  - Names the units of procedures, and gives their times and their order in the words of systemd and of cron.
  - For use in role P(media_ops.runbook.schedule#role), whose M(media_ops.runbook.begin) has refused what is no time.
extends_documentation_fragment:
  - media_ops.runbook.action.controller
options:
  procedures:
    description: What runs when, C(schedule_procedures).
    type: list
    elements: dict
    required: true
  timeout:
    description: Seconds after which a run is ended, where its procedure names none.
    type: int
    required: true
  wait:
    description: Seconds for which a run waits for one that it must come after.
    type: int
    required: true
  directory:
    description: Where the units are written.
    type: str
    required: true
"""

EXAMPLES = r"""
# In role schedule
- name: Lay out the timetable
  media_ops.runbook.timetable:
    procedures:
      - {name: watch_health, every: 5, timeout: 290}
    timeout: 3600
    wait: 3600
    directory: /etc/systemd/system
  register: timetable
"""

RETURN = r"""
rows:
  description: For each procedure its C(name), its C(unit) without an ending, its times as C(calendars) of systemd and
    as C(crons), the units that it comes C(after), and the C(timeout) of its service.
  type: list
  elements: dict
  returned: success
  sample:
    - name: watch_health
      unit: media-ops-run-watch_health
      calendars: ["*-*-* *:0/5:00"]
      crons: ["*/5 * * * *"]
      after: []
      timeout: 350
units:
  description: The names of all services and timers.
  type: list
  elements: str
  returned: success
  sample: [media-ops-run-watch_health.service, media-ops-run-watch_health.timer]
files:
  description: The same with their directory.
  type: list
  elements: str
  returned: success
  sample:
    - /etc/systemd/system/media-ops-run-watch_health.service
    - /etc/systemd/system/media-ops-run-watch_health.timer
"""
