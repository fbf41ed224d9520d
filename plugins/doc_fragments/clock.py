# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of modules that delete by age; the argument spec is in module_utils/clock.py."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  controller_time:
    description:
      - The controller's time, ISO 8601 in UTC, to see how far the host's clock is off. Take it from the expression in
        the examples, which Ansible evaluates as the task begins.
      - Without it the host's clock is trusted.
    type: str
  clock_skew_max:
    description:
      - By how many seconds the host's clock may differ from O(controller_time), 1 to 86400. Beyond that the module
        fails before anything is looked at, since what is old cannot be told.
      - Required with O(controller_time).
    type: float
"""
