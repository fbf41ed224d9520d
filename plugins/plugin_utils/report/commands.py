# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of a report, and the files of hosts that they name. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from ...module_utils.commands import AWX, called, command, host_pattern, launch, limit_of
from ...module_utils.shapes import Json

_NAMED_MAX = 10  # hosts that a limit names one by one


class Commands:
    """Makes commands on hosts of a run."""

    def __init__(self, call: Json, hosts: Collection[str], place: str = "") -> None:
        """From how the run was called.

        Args:
            call: ``prefix``, what stands before a playbook's name; ``again``, the same playbook once more, and
                ``limit``, the run's own; the last two may be missing.
            hosts: of the run, all.
            place: directory of the run's report; empty where none is written.
        """
        self._prefix = str(call.get("prefix") or "ansible-playbook ")
        self._again = str(call.get("again") or "")
        self._limit = str(call.get("limit") or "")
        self._hosts = set(hosts)
        self._place = place
        self.files: dict[str, str] = {}

    def of(self, playbook: str, hosts: Sequence[str], answers: Mapping[str, str] | None = None) -> str:
        """A playbook on some hosts."""
        return command(self._prefix, playbook, self._limited(hosts), answers)

    def again(self, playbook: str, hosts: Sequence[str], answers: Mapping[str, str]) -> str:
        """The run's own playbook once more, on some hosts; where it is not known, the one that is named."""
        if not self._again:
            return self.of(playbook, hosts, answers)
        made = launch if self._again.startswith(AWX) else called
        return made(self._again, self._limited(hosts), answers)

    def _limited(self, hosts: Sequence[str]) -> str:
        """A limit to hosts: their names, what the run itself was limited to, or a file where they are many."""
        if len(hosts) <= _NAMED_MAX:
            return limit_of(hosts)
        if self._hosts == set(hosts):
            return self._limit
        unfit = not self._place or "," in self._place or self._prefix.startswith(AWX)
        if unfit:  # nobody has the runner's files after a job of AWX, and no limit's path may hold a comma
            return limit_of(hosts)
        text = "".join(f"{host_pattern(host)}\n" for host in hosts)
        name = next((known for known, held in self.files.items() if held == text), f"hosts-{len(self.files) + 1}.txt")
        self.files[name] = text
        path = f"@{self._place}/{name}"
        # Without a comma, spaces would part it.
        return path if len(path.split()) == 1 and ":" not in path else f"{path},"
