# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for every action of this collection."""

from __future__ import annotations


class ModuleDocFragment:
    """``action`` for those that ask modules on the host, ``action.controller`` for those that ask nothing."""

    DOCUMENTATION = r"""
options: {}
attributes:
  action:
    description: Has a corresponding action plugin, which does the work.
    support: full
  async:
    description: Supports being used with the C(async) keyword.
    support: none
  become:
    description: Is usable with the C(become) keywords.
    support: full
  bypass_host_loop:
    description: Forces a global task that does not execute for each host.
    support: none
  check_mode:
    description: Can run in check mode without changing the host.
    support: full
  connection:
    description: Uses the configured connection to the host.
    support: full
  delegation:
    description: Can be used with the C(delegate_to) keyword.
    support: full
  diff_mode:
    description: Says what would change, in diff mode.
    support: none
  platform:
    description: Platforms that it works on.
    platforms: posix
    support: full
"""

    CONTROLLER = r"""
options: {}
attributes:
  action:
    description: Has a corresponding action plugin, which does the work on the controller.
    support: full
  async:
    description: Supports being used with the C(async) keyword.
    support: none
  become:
    description: Is usable with the C(become) keywords.
    support: none
  bypass_host_loop:
    description: Forces a global task that does not execute for each host.
    support: none
  check_mode:
    description: Can run in check mode without changing anything.
    support: full
  connection:
    description: Uses the configured connection to the host.
    support: none
  delegation:
    description: Can be used with the C(delegate_to) keyword.
    support: none
  diff_mode:
    description: Says what would change, in diff mode.
    support: none
  platform:
    description: Platforms that it works on.
    platforms: posix
    support: full
"""
