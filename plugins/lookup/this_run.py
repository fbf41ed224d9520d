# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who runs this playbook, and where."""

from __future__ import annotations

DOCUMENTATION = r"""
name: this_run
short_description: Who runs this playbook, and on which controller
version_added: 0.1.0
author:
  - media_ops.runbook contributors (@media-ops)
description:
  - Names the controller, the process of this run and its user, for the lock and the ledger of a host
    (M(media_ops.runbook.guard)).
options: {}
"""

EXAMPLES = r"""
- name: Who am I?
  ansible.builtin.debug:
    msg: "{{ lookup('media_ops.runbook.this_run') }}"
"""

RETURN = r"""
_raw:
  description:
    - One dictionary with C(controller), its host name, C(pid), the process id of ansible-playbook there, and C(user),
      who started it.
  type: list
  elements: dict
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ansible.plugins.lookup import LookupBase

from ..plugin_utils.response.controller import this_run


class LookupModule(LookupBase):  # type: ignore[misc]
    """Looks at this process only."""

    def run(
        self, terms: Sequence[str], variables: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> list[dict[str, Any]]:
        """One dictionary, whatever the terms."""
        del terms
        self.set_options(var_options=variables, direct=kwargs)
        return [this_run()]
