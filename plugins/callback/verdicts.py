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
    Where a run ends before its report, it is made now and people are told; each host that was not judged is unknown.
  - States are words, so that the table can be read without colour. Colours follow Ansible's own settings
    (E(ANSIBLE_NOCOLOR), E(ANSIBLE_FORCE_COLOR)).
  - More than 20 hosts that are ok are given as their number.
requirements:
  - none for the playbooks of this collection, beside which it lies; for playbooks of a site's own,
    C(callbacks_enabled = media_ops.runbook.verdicts)
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

import atexit
import gc
import os
import shutil
import sys
from typing import Any

from ansible import constants as C  # noqa: N812
from ansible.plugins.callback import CallbackBase
from ansible.utils.color import stringc

from ..module_utils.shapes import mapping
from ..plugin_utils.ending.end import EXIT_UNSEEN, End, owed_by
from ..plugin_utils.ending.owed import RESULT
from ..plugin_utils.report.table import Line, table
from ..plugin_utils.screen import is_read_by_a_program
from ..plugin_utils.site.inventory import note_inventory

_WIDTH_MAX = 160
# How many objects come before Python looks for garbage among them; its own figures are 700, 10 and 10. Nearly all that
# a run makes lives until its end, so that these looks find little, and take a tenth of its time, here and in each task.
_GARBAGE_LOOK = (50_000, 20, 20)


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """Looks on, and does at the end what the run owes."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "media_ops.runbook.verdicts"
    CALLBACK_NEEDS_ENABLED = True
    # What lies beside a playbook of ours is loaded besides the one that a site has enabled: one of them prints.
    _looking_on: CallbackModule | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.disabled = CallbackModule._looking_on is not None
        if not self.disabled:
            CallbackModule._looking_on = self
        self._end: End | None = None

    def v2_playbook_on_start(self, playbook: Any) -> None:
        """A playbook begins."""
        gc.set_threshold(*_GARBAGE_LOOK)
        self._end = End(playbook)
        note_inventory(self._end.inventory)
        # A worker that is killed ends the run without a word to callbacks.
        atexit.register(self._at_exit, os.getpid(), self._end)

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """A play begins; the next batch of one is a play that begins, too."""
        if self._end:
            self._end.play_begins(play)

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:  # noqa: ARG002  Ansible names them
        """A task begins: what is there by now is left alone by its processes when they look for garbage."""
        gc.freeze()

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        """A task begins on a host."""
        if self._end:
            self._end.seen.under_way[str(host.name)] = str(task.name or task.action)

    def v2_runner_on_ok(self, result: Any) -> None:
        """A task ended well."""
        if self._end:
            register, action = str(result.task.register or ""), owed_by(result.task)
            # A result is copied when it is read: only what is kept is.
            kept = result.result if register == RESULT else {}
            self._end.seen.ok(str(result.host.name), action, register, kept)

    def v2_runner_on_skipped(self, result: Any) -> None:
        """A task was skipped."""
        if self._end:
            self._end.seen.skipped(str(result.host.name), str(result.task.action))

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """A task failed."""
        if self._end and ignore_errors:
            self._end.seen.skipped(str(result.host.name), str(result.task.action))
        elif self._end:
            self._end.seen.failed(
                str(result.host.name),
                str(result.task.action),
                str(result.task.name or result.task.action),
                result.result,
            )

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """A task did not reach its host."""
        self.v2_runner_on_failed(result, ignore_errors=bool(result.task.ignore_unreachable))

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """The run is over."""
        end, self._end = self._end, None
        if end is None:
            return
        of_run = mapping(getattr(stats, "custom", {}).get("_run"))
        left = end.seen.left(lambda host: bool(stats.failures.get(host) or stats.dark.get(host)))
        handed_on = of_run.get("media_ops_summary")
        summary = end.settled(handed_on, left)
        self._print(summary)
        if summary is not handed_on and summary["failed"] and not stats.failures and not stats.dark:
            # Whatever left a host out, no task has failed for it.
            raise SystemExit(EXIT_UNSEEN)

    def _at_exit(self, pid: int, end: End) -> None:
        """Of ansible-playbook itself, not of a worker that it forked."""
        if os.getpid() == pid and self._end is end:
            self._end = None
            self._print(end.settled(None, end.seen.cut_off()))
            sys.stdout.flush()

    def _print(self, summary: object) -> None:
        output = self.get_option("output")
        if output == "none" or summary is None:
            return
        stderr = output == "stderr" or (output == "auto" and is_read_by_a_program())
        width = self.get_option("width") or min(shutil.get_terminal_size((80, 24)).columns, _WIDTH_MAX)
        for line in table(summary, width):
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
