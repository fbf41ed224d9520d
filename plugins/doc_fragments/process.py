# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Option of the modules that look at the service; the argument spec is in module_utils/system/operated.py."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  process:
    description:
      - What tells the main process of a service that no unit of systemd runs (supervisor, runit, a container), in place
        of O(unit). Where it cannot be told for certain, nothing is known of the service.
    type: dict
    suboptions:
      user:
        description: The user that the main process runs as.
        type: str
        required: true
      pid_file:
        description:
          - File with the number of the main process. That is a process of O(process.user) which began before the file
            was written; the file belongs to that user or to root, and is not for everybody to write.
        type: str
      port:
        description:
          - TCP port of this host on which the main process listens. Of several of O(process.user) that have the socket
            open it is the one that started the others.
          - Who is neither that user nor root finds it by the sudo rule of role C(prepare).
        type: int
      command:
        description:
          - Pattern, with wildcards, of the whole command line of the main process, its arguments with a space between.
            A list has patterns of the first arguments instead, one for each.
          - Exactly one root of a process tree of O(process.user) must be so.
        type: raw
      serves_api:
        description:
          - Whether the API is of this service itself. Where another program has it, as the monitor of a queue, that the
            API answers does not contradict that the service has ended, and that it is silent does not say that the
            service hangs.
        type: bool
        default: true
"""
