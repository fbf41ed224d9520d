# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes of module setup_info's answer what it promises; documented by the module of the same name."""

from __future__ import annotations

from ..plugin_utils.host_action import HostModule


class ActionModule(HostModule):
    """Runs the module on the host."""
