# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verdict table after the recap."""

from __future__ import annotations

DOCUMENTATION = r"""
name: verdicts
type: aggregate
short_description: Print the verdict of each host after the recap
version_added: 0.1.0
author:
  - media_ops.runbook contributors (@media-ops)
description:
  - At the end of a run in which role C(media_ops.runbook.report) made a report, prints one row for each host
    with its worst check, worst hosts first, then the verdict over all hosts, where the report is, and what to run next.
  - The rows come from C(media_ops_summary), which the role hands to M(ansible.builtin.set_stats).
    Without it nothing is printed.
  - States are words, so that the table can be read without colour. Colours follow Ansible's own settings
    (E(ANSIBLE_NOCOLOR), E(ANSIBLE_FORCE_COLOR)).
  - More than 20 hosts that are ok are given as their number.
requirements:
  - enable in configuration, C(callbacks_enabled = media_ops.runbook.verdicts)
options:
  output:
    description:
      - Where the table is printed.
      - V(auto) is standard output, but standard error when the stdout callback writes JSON (its name contains C(json)),
        so that what a program reads there stays whole.
    type: str
    choices:
      - auto
      - stdout
      - stderr
      - none
    default: auto
    env:
      - name: MEDIA_OPS_VERDICTS_OUTPUT
    ini:
      - section: callback_media_ops_verdicts
        key: output
  width:
    description:
      - Columns of the table. V(0) takes the terminal's, at most 160; E(COLUMNS) where it is set, 80 where there
        is no terminal.
      - Less than 60 counts as 60. Commands and paths are printed whole, however long.
    type: int
    default: 0
    env:
      - name: MEDIA_OPS_VERDICTS_WIDTH
    ini:
      - section: callback_media_ops_verdicts
        key: width
"""

import shutil
from collections.abc import Mapping
from typing import Any

from ansible import constants as C  # noqa: N812
from ansible.plugins.callback import CallbackBase
from ansible.utils.color import stringc

from ..plugin_utils.report.table import Line, table
from ..plugin_utils.screen import is_read_by_a_program
from ..plugin_utils.site.inventory import note_inventory

_WIDTH_MAX = 160


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """Prints at the end only."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "media_ops.runbook.verdicts"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_start(self, playbook: Any) -> None:
        """A playbook begins."""
        plays = playbook.get_plays()
        manager = plays[0].get_variable_manager() if plays else None
        note_inventory(getattr(manager, "_inventory", None))

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """The run is over."""
        output = self.get_option("output")
        of_run = getattr(stats, "custom", {}).get("_run", {})
        if output == "none" or not isinstance(of_run, Mapping):
            return
        stderr = output == "stderr" or (output == "auto" and is_read_by_a_program())
        width = self.get_option("width") or min(shutil.get_terminal_size((80, 24)).columns, _WIDTH_MAX)
        for line in table(of_run.get("media_ops_summary"), width):
            # As the recap does it: colours on the screen, none in the log file.
            self._display.display(_coloured(line), stderr=stderr, screen_only=True)
            self._display.display(line.text, log_only=True)


def _coloured(line: Line) -> str:
    colours = {
        "ok": C.COLOR_OK,
        "warning": C.COLOR_CHANGED,
        "unknown": C.COLOR_WARN,
        "critical": C.COLOR_ERROR,
    }
    if line.state not in colours:
        return line.text
    return f"{stringc(line.text[: line.coloured], colours[line.state])}{line.text[line.coloured :]}"
