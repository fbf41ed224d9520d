#!/usr/bin/python
# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mute
short_description: Mute a component, a check or a host for a time
version_added: 0.1.0
author:
  - media_ops.runbook contributors (@media-ops)
description:
  - What is muted is looked at and kept as before, and counts for no state, exit code, message, breaker or incident
    until the mute ends by itself. It is shown wherever it would have counted.
  - The mute is kept and recorded on the host (M(media_ops.runbook.guard)). The controller remembers it in O(mutes_dir),
    so that a host that is down stays muted; where the host cannot be reached now, the controller alone keeps it.
extends_documentation_fragment:
  - media_ops.runbook.action
options:
  state:
    description: Whether O(mute) is muted, or no longer.
    type: str
    choices: [muted, unmuted]
    default: muted
  mute:
    description:
      - What it is, V(component:NAME) as the service names it, V(check:NAME) of the check table, or V(host).
      - With O(state=unmuted) also V(all).
    type: str
    required: true
  reason:
    description: Why, for all who meet the mute. Needed with O(state=muted).
    type: str
    default: ""
  seconds:
    description: After how many seconds it ends by itself.
    type: float
    default: 0
  owner:
    description: Who says so.
    type: str
    default: ""
  run_id:
    description: What names the run.
    type: str
    required: true
  state_dir:
    description: State directory of the host.
    type: path
    required: true
  mutes_dir:
    description:
      - Directory on the controller where it remembers the mutes of hosts. Empty for C(media_ops/mutes) in
        C($XDG_STATE_HOME) or C(~/.local/state).
    type: str
    default: ""
seealso:
  - module: media_ops.runbook.guard
  - module: media_ops.runbook.check
"""

EXAMPLES = r"""
# In role automation
- name: Mute a component that is broken by a bug of the service
  media_ops.runbook.mute:
    mute: component:cloud_storage
    reason: MEDIA-123, uploads work
    seconds: 604800
    owner: alice
    run_id: 20261124T060000Z
    state_dir: /var/lib/media-ops
"""

RETURN = r"""
mutes:
  description: What is muted on the host afterwards, as RV(media_ops.runbook.guard#module:mutes).
  type: list
  elements: dict
  returned: success
reached:
  description: Whether the host keeps it itself.
  type: bool
  returned: success
"""

# The action plugin of the same name does the work.
