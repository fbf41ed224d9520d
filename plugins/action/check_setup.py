# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at a host whatever it lacks, and says what does; documented by the module of the same name."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean

from ..module_utils.api.endpoints import READ, health_path
from ..module_utils.api.login import ends_of
from ..module_utils.api.settings import api_argument_spec
from ..module_utils.errors import MediaOpsError
from ..module_utils.shapes import Json, mapping
from ..module_utils.times import to_text, utc_now
from ..plugin_utils.arguments import host_problems, require_sound_parts
from ..plugin_utils.doctor.host import host_rows
from ..plugin_utils.doctor.reach import LIMIT_S, Reach, reached, script
from ..plugin_utils.doctor.rows import Rows
from ..plugin_utils.doctor.seen import Seen, Settings
from ..plugin_utils.host_action import HostAction


class ActionModule(HostAction):
    """A host that cannot be reached, or has no Python, is a row as any other: the task never fails for a host."""

    def act(self, given: dict[str, Any]) -> dict[str, Any]:
        """The rows of the host, and the lines of the inventory that mend some."""
        wrong = self._set_wrong(given["policy"])
        try:
            settings = self._settings(given)
            seen = self._seen(given, settings)
            found = host_rows(seen, settings)
        except MediaOpsError as error:
            found, wrong = Rows(), [*wrong, str(error)]
        if wrong:
            first = Rows()
            first.add("inventory", "critical", "; ".join(dict.fromkeys(wrong)), "Correct it in the inventory")
            found.rows = [*first.rows, *found.rows]
        return {"verdicts": self.redactor.data(found.rows), "lines": found.lines}

    def _set_wrong(self, policy: Json) -> list[str]:
        """What the site has set wrong for this host, which other playbooks refuse."""
        problems = host_problems(self.variables, self._templar.template)
        try:
            require_sound_parts(policy)
        except MediaOpsError as error:
            problems.append(str(error))
        return problems

    def _settings(self, given: Json) -> Settings:
        connection = self.connection()
        options = mapping(mapping(given["modules"]["setup_info"])["options"])
        token = str(connection.get("api_token") or "")
        return Settings(
            api_url=str(connection.get("api_url") or api_argument_spec()["api_url"]["default"]),
            api_offered=boolean(connection.get("api_offered", True)),
            api_mapped=bool(connection.get("api_map")),
            has_token=bool(token),
            token_end=ends_of(token),
            token_file=str(connection.get("api_token_file") or ""),
            log_names=_names_in(str(options["log_dir"]), given["logs"]),
            disk_percent=given["disk_percent"],
            unit=str(options["unit"]),
            restart=[str(one) for one in options["restart_command"] or []],
            service_user=str(options["service_user"]),
            base_dir=str(options["base_dir"]),
            log_dir=str(options["log_dir"]),
            becomes=boolean(options["service_become"]),
            archive_dir=given["archive_dir"],
            own_checks=given["own_checks"],
            python=self._python(),
            connects_as=str(
                self._templar.template(self.variables.get("ansible_user")) or self._play_context.remote_user or ""
            ),
            policy=given["policy"],
        )

    def _python(self) -> str:
        """The interpreter that is set, "" where Ansible is to look for one."""
        wanted = str(self._templar.template(self.variables.get("ansible_python_interpreter")) or "")
        return wanted if wanted.startswith("/") else ""

    def _seen(self, given: Json, settings: Settings) -> Seen:
        reach = self._reach(settings.python)
        usable = reach.python(settings.python)
        if reach.state != "ok" or (settings.python and not usable):
            return Seen(reach, now=time.time())
        if settings.python and usable != settings.python:
            # For this look alone, so that one run says all that there is to be set.
            self.variables["ansible_python_interpreter"] = usable
        info = self.ask("setup_info", self._of_site(given, settings))
        if info.get("failed") or info.get("unreachable"):
            return Seen(reach, {**info, "failed": True}, now=time.time())
        libraries, sudo = mapping(info.get("libraries")), mapping(info.get("sudo"))
        there = mapping(info.get("service_user")).get("there") is True and not sudo.get("become")
        return Seen(
            reach,
            info,
            api=self._api(given) if libraries.get("requests") else None,
            ffmpeg=self.ask("ffmpeg_info", given["modules"]["ffmpeg_info"]["options"]) if there else None,
            storage=self._storage(given, settings) if there and libraries.get("boto3") else None,
            now=time.time(),
        )

    def _reach(self, wanted: str) -> Reach:
        began = time.time()
        ran = self.shell(script(wanted), LIMIT_S)
        return reached(ran, wanted, began, time.time())

    def _of_site(self, given: Json, settings: Settings) -> dict[str, Any]:
        return {
            **given["modules"]["setup_info"]["options"],
            "libraries": given["libraries"],
            "api_url": settings.api_url,
            "health_path": self._asked_for(settings),
            "token_file": settings.token_file or None,
            "controller_time": to_text(utc_now()),
        }

    def _asked_for(self, settings: Settings) -> str:
        """The path at which an answer shows that the API is there: of the health, else any."""
        asked = {"api_offered": settings.api_offered, "api_map": self.connection().get("api_map")}
        try:
            return health_path(asked) or "/"
        except MediaOpsError:  # said with what the site has set wrong
            return "/"

    def _api(self, given: Json) -> dict[str, Any]:
        """All endpoints; a token that a login gives is kept nowhere, since this look changes nothing."""
        options = mapping(mapping(given["modules"].get("pipeline_info")).get("options"))
        return self.ask("pipeline_info", {**self.connection(), "api_state_dir": None, **options, "gather": [*READ]})

    def _storage(self, given: Json, settings: Settings) -> dict[str, Any]:
        """By a write only where that was asked for; in check mode not even then, which the module sees to."""
        row = given["modules"]["storage_probe"]
        with self.becoming(settings.service_user) if boolean(row["become"]) else contextlib.nullcontext():
            return self.ask("storage_probe", {**row["options"], "write": given["write"]})


def _names_in(directory: str, paths: Sequence[str]) -> list[str]:
    """The names of the files that lie in a directory, each once: one log may be that of operations and of errors."""
    return list(dict.fromkeys(os.path.basename(path) for path in paths if os.path.dirname(path) == directory))
