# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks a host and judges what it answers; documented by the module of the same name."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from ..module_utils.errors import MediaOpsError
from ..module_utils.logs.fields import OPTION as LOG_FIELDS
from ..module_utils.shapes import Json, mapping, one_line
from ..module_utils.times import to_text, utc_now
from ..plugin_utils.arguments import host_problems, require_sound_parts
from ..plugin_utils.host_action import HostAction, has_fragment
from ..plugin_utils.judging.checked import ages_of, checked
from ..plugin_utils.judging.dates import is_dated_off, moving_offset
from ..plugin_utils.judging.log_errors import no_log
from ..plugin_utils.judging.observations import observe
from ..plugin_utils.judging.probed_by_site import observe_probe
from ..plugin_utils.judging.shapes import Observation
from ..plugin_utils.judging.told_now import told_now
from ..plugin_utils.mutes_kept import known_mutes, remember_mutes
from ..plugin_utils.response.controller import is_own
from ..plugin_utils.week.calendar import day_of, days_between, zone_of
from ..plugin_utils.week.observations import observe_kept, observe_review
from ..plugin_utils.week.review import review

_WEEK_H = 168


class ActionModule(HostAction):
    """One task for each host: what it answers is judged on the controller, where a host that is down is judged too."""

    def act(self, given: dict[str, Any]) -> dict[str, Any]:
        """What was found. The task fails only where the policy or its own arguments cannot be used."""
        policy = given["policy"]
        require_sound_parts(policy)
        connection = self.connection()
        asked = {key: given[key] for key in ("gather", "stats_hours", "metrics_hours", "alerts_level", "state_dir")}
        wrong = self._wrong()
        zone = zone_of(policy.get("zone")) if given["day"] or given["week"] else None
        asked |= {"controller_time": to_text(utc_now()), "unit": policy.get("service_unit")}
        connection = {**connection, **mapping(policy.get("pipeline"))}
        asked |= {"process": policy.get("service_process") or None}
        answer = wrong or self.ask("pipeline_info", {**connection, **asked})
        if is_own(mapping(answer.get("automation")).get("lease")):
            answer["automation"] = {**answer["automation"], "lease": None}
        reached, now = not (wrong or answer.get("unreachable")), utc_now()
        log, errors = self._logs(given, policy) if reached else (None, None)
        offset, mutes = self._service_offset(answer, connection, policy), self._mutes(answer, given["mutes_dir"])
        # Where the host is gone, its answer says why its reports were not read.
        reports, more = dict(answer), dict[str, Observation]()
        if given["log"] and reached and log is None:
            more["log_errors"] = no_log()
        if zone and reached:
            told = told_now(answer, log, given["stats_hours"], policy=policy, service_offset_s=offset, now=now)
            days = days_between(now - timedelta(hours=_WEEK_H), now, zone)
            by_log = {**_log_fields(policy), **({"log_alone": True} if _by_log(answer) else {})}
            # Also of a service that is down: what its log names may be gone with an archive before it is up again.
            keeps = given["day"] and told.fault != "clock"
            reports = self._reports({**given, **by_log}, told.document, days, now, keeps=keeps)
            more["figures_kept"] = observe_kept(told, reports, of_week=given["week"])
        if given["week"]:
            week = {**connection, "gather": ["stats"], "stats_hours": _WEEK_H}
            # What the log tells of it is in the reports already.
            of_week = self.ask("pipeline_info", week) if reached and not _by_log(answer) else None
            reviewed = review(reports, day=answer, week=of_week, now=now, thresholds=policy.get("review") or {})
            more |= observe_review(reviewed)
        more |= self._of_site(given["run_by"], policy, connection) if reached else {}
        found = checked(
            answer,
            run_by=given["run_by"],
            policy=policy,
            log=log,
            errors=errors,
            more=more,
            mutes=mutes,
            service_offset_s=offset,
            now=utc_now(),
        )
        answers = answer.get("endpoints") or {}
        return {
            **found,
            "answers": answers,
            "log": log or {},
            **({"review": reviewed} if given["week"] else {}),
            **({"days": reports.get("reports") or []} if given["day"] else {}),
            **({"date": day_of(now, zone)} if zone else {}),
        }

    def _logs(self, given: Json, policy: Json) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
        """What the log tells, and that of errors where it is another."""
        if not given["log"]:
            return None, None
        # A site says that it has no such log by an empty path.
        paths = list(dict.fromkeys(path for path in (given["log"].get("path"), given["errors_log"]) if path))
        asked = {**_log_fields(policy), **given["log"]}
        answers = [self.ask("log_digest_info", {**asked, "path": path}) for path in paths]
        return (answers[0] if answers else None), (answers[1] if len(answers) > 1 else None)

    def _of_site(self, run_by: str, policy: Json, connection: Json) -> dict[str, Observation]:
        """What the modules that a site adds observe."""
        found, modules = dict[str, Observation](), mapping(policy.get("modules"))
        for probe in policy.get("probes") or []:
            if run_by in probe["run_by"]:
                module, settings = probe["module"], mapping(modules.get(probe["module"]))
                asked = {**mapping(settings.get("options")), **mapping(probe.get("args"))}
                asked = {**connection, **asked} if has_fragment(module, "api") else asked
                found |= observe_probe(probe, self.ask(module, asked, check=True, within=settings.get("within")))
        return found

    def _reports(
        self, given: Json, told: Json, days: list[dict[str, str]], now: datetime, *, keeps: bool
    ) -> dict[str, Any]:
        """What the host has kept of its days and weeks, joined with what its log names and the service told now."""
        asked = {"state_dir": given["state_dir"], "until": to_text(now), "days": days}
        asked["log"] = given["operations_log"] or None
        asked |= {key: given[key] for key in ("log_alone", LOG_FIELDS) if key in given}
        return self.ask("daily_reports_info", {**asked, "seen": told or None, "reports": keeps})

    def _service_offset(self, answer: Json, connection: Json, policy: Json) -> float | None:
        """How far the times of a service that goes on are off; None where they are not, or it does not."""
        age_max_s, skew_max_s = ages_of(policy)
        if not is_dated_off(observe(answer, age_max_s=age_max_s, skew_max_s=skew_max_s)):
            return None
        asked = {**connection, "gather": ["health_detailed"]}
        first = self.ask("pipeline_info", asked)
        return moving_offset(first, self.ask("pipeline_info", asked))

    def _mutes(self, answer: Json, directory: str | None) -> list[Any]:
        """What is muted, by the host, or where it cannot tell by what it told last."""
        if directory is None:
            return list(mapping(answer.get("mutes")).get("mutes") or [])
        known, why = known_mutes(directory, self.host)
        if why:
            self._display.warning(why)
        if "mutes" not in answer:
            return [*known.told, *known.here]
        told = mapping(answer["mutes"]).get("mutes")
        told = told if isinstance(told, list) else []
        if not self._task.check_mode:
            try:
                remember_mutes(directory, self.host, told, known.here)
            except MediaOpsError as error:
                self._display.warning(f"what is muted of {self.host} is not remembered: {one_line(error)}")
        return [*told, *known.here]

    def _wrong(self) -> dict[str, Any]:
        """What stands for the answer of a host that its own variables set wrong; nothing where they do not.

        It is not asked, so that nothing is judged, or done later, by what cannot be meant.
        """
        problems = host_problems(self.variables, self._templar.template)
        return {"failed": True, "msg": f"not asked, since it is set wrong: {'; '.join(problems)}"} if problems else {}


def _log_fields(policy: Json) -> dict[str, Any]:
    """How the log names what it says, as the option of all modules that read it."""
    fields = mapping(policy.get("pipeline")).get(LOG_FIELDS)
    return {LOG_FIELDS: fields} if fields else {}


def _by_log(answer: Json) -> bool:
    """Whether the log told the statistics, since the service offers none."""
    return mapping(mapping(answer.get("endpoints")).get("stats")).get("source") == "log"
