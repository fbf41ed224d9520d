#!/usr/bin/python
# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: unit_overrides
short_description: Judge whether a service may read overrides
version_added: 0.1.0
author:
  - media_ops.runbook contributors (@media-ops)
description:
  - Judges by what systemd shows of a unit whether the service may read overrides, and names the drop-in that makes it.
  - Who may set overrides steers the service by them, so that it may not read any where it runs as root, where one of
    its commands runs with more rights than its user, or where it has ambient capabilities or credentials.
  - For use in role P(media_ops.runbook.prepare#role).
extends_documentation_fragment:
  - media_ops.runbook.action.controller
options:
  shown:
    description:
      - What C(systemctl show) prints of C(LoadState), C(User), C(PermissionsStartOnly), C(AmbientCapabilities),
        C(EnvironmentFiles), and all commands with their flags (C(ExecStartEx) and so on). Empty where there is no
        systemd.
    type: str
    required: true
  files:
    description: What C(systemctl cat) prints, for the credentials. Empty where there is no systemd.
    type: str
    required: true
  unit:
    description: The unit, with or without its ending.
    type: str
    required: true
  wanted:
    description: Whether the site wants the service to read overrides.
    type: bool
    required: true
seealso:
  - module: media_ops.runbook.service_config
"""

EXAMPLES = r"""
# In role prepare
- name: Judge whether it may read overrides
  media_ops.runbook.unit_overrides:
    shown: "{{ unit_shown.stdout }}"
    files: "{{ unit_files.stdout }}"
    unit: media-processing-service
    wanted: true
  register: overrides
"""

RETURN = r"""
there:
  description: Whether systemd has loaded the unit.
  type: bool
  returned: success
permitted:
  description: Whether the service may read overrides.
  type: bool
  returned: success
in_force:
  description: Whether it does.
  type: bool
  returned: success
shown_as:
  description: What C(systemctl show) prints of C(EnvironmentFiles) where the service reads them.
  type: str
  returned: success
  sample: /etc/media-ops/overrides.env (
directory:
  description: Where the drop-in lies.
  type: str
  returned: success
  sample: /etc/systemd/system/media-processing-service.service.d
drop_in:
  description: The drop-in.
  type: str
  returned: success
  sample: /etc/systemd/system/media-processing-service.service.d/50-media-ops.conf
environment_file:
  description: The file of overrides.
  type: str
  returned: success
  sample: /etc/media-ops/overrides.env
msg:
  description: Why the service reads no overrides, empty where it may.
  type: str
  returned: success
  sample: "media-processing-service reads no overrides: it runs as root"
"""
