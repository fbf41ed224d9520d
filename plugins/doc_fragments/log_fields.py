# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Option log_fields; it is read in module_utils/logs/fields.py."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  log_fields:
    description:
      - A service's own names of what the lines of its log say, where they are not those of the runbook's service. Each
        of V(time), V(level), V(message), V(process), V(session), V(stage), V(duration), V(success), V(error_code) and
        V(error_message) is the name of a field, where a dot leads into an object, or an object with C(field) and more.
      - C(values) are the field's values, each with ours. V(success) needs them, V(true) or V(false) each, and a line
        with another value ends no operation. C(unit) of V(duration) is V(s), V(ms), V(us) or V(min).
      - V(session), V(duration) and V(success) are needed as soon as one is named; without V(stage) all operations are
        of one. What is not named is looked for where most writers have it.
      - Entries are then put into the runbook's words (C(extra.session_id), C(extra.duration_seconds)), by which all
        else reads them, and each line is parsed, which takes longer on a large log.
    type: dict
    default: {}
"""
