# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verdict table without any configuration: Ansible loads what lies beside a playbook by itself."""

from __future__ import annotations

from ansible_collections.media_ops.runbook.plugins.callback import verdicts

# By which Ansible knows its options
DOCUMENTATION = verdicts.DOCUMENTATION


class CallbackModule(verdicts.CallbackModule):  # type: ignore[misc]
    """The same as the collection's callback, which prints once wherever it is enabled as well."""

    CALLBACK_NEEDS_ENABLED = False
