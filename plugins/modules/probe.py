#!/usr/bin/python
# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: probe
short_description: Look at a host with a module of this collection
version_added: 0.1.0
author:
  - media_ops.runbook contributors (@media-ops)
description:
  - Asks a module that looks and changes nothing, on the host, and takes of its answer what its documentation promises.
  - A host that does not answer, or a module that fails, is an answer too. The task ends well.
  - The module runs as the user that the task becomes.
extends_documentation_fragment:
  - media_ops.runbook.api
  - media_ops.runbook.action
options:
  module:
    description:
      - The module, without the collection's name. One of V(ffmpeg_info), V(guard), V(host_info), V(log_digest_info),
        V(pipeline_info), V(service_config), V(service_control), V(session_info), V(storage_probe).
      - One of a site's own collection, by its whole name, is asked in check mode.
    type: str
    required: true
  settings:
    description:
      - What the site gives the module, its row of C(policy_all_modules). C(options), and C(within), for how many
        seconds one of a site's own is waited for.
    type: dict
    default: {}
  args:
    description: Options above these.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Look at ffmpeg
  media_ops.runbook.probe:
    module: ffmpeg_info
    args:
      unit: media-processing-service
  register: seen
"""

RETURN = r"""
answer:
  description: What the module answers, or C(failed) or C(unreachable) with C(msg).
  type: dict
  returned: success
"""

# The action plugin of the same name does the work.
