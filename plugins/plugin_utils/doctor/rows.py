# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A row for each thing that was looked at, with its cure, and the lines of an inventory that would mend it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...module_utils.shapes import one_line
from ..judging.shapes import Verdict, verdict
from .lines import inventory_line

PREPARE = "prepare_hosts"
BELOW = "set the line below"


@dataclass
class Rows:
    """The rows of a host, and the lines of its inventory that would mend some."""

    rows: list[Verdict] = field(default_factory=list)
    lines: dict[str, str] = field(default_factory=dict)

    def add(self, check: str, state: str, message: str, cure: str = "", playbook: str = "") -> None:
        """A row. What it says may come from the host: it is one line, without what steers a terminal."""
        text = one_line(message, 400)
        check = one_line(check, 120)
        self.rows.append(verdict(check, check, "", state, text, action=one_line(cure, 400), playbook=playbook))

    def set(self, key: str, value: object) -> str:
        """A line to set, in words; one that could not be pasted safely is only described."""
        line = inventory_line(key, value) if isinstance(value, str) else ""
        if line:
            self.lines[key] = line
            return BELOW
        return f"set {key} yourself: {one_line(value, 100)!r} is no value that is printed as a line"
