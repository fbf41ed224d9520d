# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reports of a run made and written, by action ``report`` or, where a run ended before it, by the callback.

Nothing here costs a run its verdict: what could not be made or written is told beside it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ...module_utils.errors import MediaOpsError, OptionError
from ...module_utils.redact import Redactor
from ...module_utils.shapes import Json, mapping, one_line
from ...module_utils.times import to_text
from ..host_action import plain
from ..report.made import Made, news_of, report_of
from ..report.report_files import report_files
from ..report.result import summarise

_NOT_SHOWN = ("answers", "log", "review")


def written_report(found: Mapping[str, Any], given: Json, facts: Json, call: Json, now: datetime) -> dict[str, Any]:
    """Make the reports and write them; the result of action ``report``, without what Ansible wants of it.

    Args:
        found: by host, ``healthcheck_result`` as it may be shown.
        given: options of action ``report``.
        facts: ``playbook``, ``check_mode``, ``ansible_version`` of the run.
        call: how the run was called, as ``invocation.call_of`` gives it.
        now: when the run ended.

    Raises:
        OptionError: a state of ``fail_on`` is none.
    """
    run = {
        "id": now.strftime("%Y%m%dT%H%M%SZ"),
        "check": given["check"],
        "title": given["title"],
        "finished_at": to_text(now),
        **facts,
    }
    directory = os.path.expanduser(given["directory"])
    news = news_of(found, given["since"])
    made = report_of(news, run, {**given, "directory": directory}, call)
    files = {**_of_week(news, made, given), **made.files}
    wanted = {"directory": directory, "run": run["id"], "files": files, "link": "latest", "keep": given["keep"]}
    wanted["place"] = given["place"]
    try:
        written = report_files(wanted, check_mode=facts["check_mode"])
    except OptionError:
        raise
    except (MediaOpsError, OSError) as error:
        made.problems.append(f"the report could not be written: {one_line(error, 300)}")
        written = {"path": None, "files": [], "link": None, "removed": [], "not_removed": [], "kept": None}
    there = [] if facts["check_mode"] else written["files"]
    page = next((file for file in there if file.endswith(".html")), None)
    problems = [*([given["not_told"]] if given["not_told"] else []), *made.problems]
    summary = summarise(made.document, there, problems)
    return {
        **written,
        "page": page,
        "problem": "; ".join(made.problems),
        "made_at": now.timestamp(),
        "summary": {**summary, "failed": summary["failed"] or bool(problems)},
    }


def shown(found: Mapping[str, Any], redactor: Redactor) -> dict[str, Any]:
    """What was found, by host, as it may be shown: ids and paths, too, which were left as they are to be acted on."""
    return {host: redactor.data(plain(one), _NOT_SHOWN) for host, one in found.items()}


def _of_week(news: Mapping[str, Any], made: Made, given: Json) -> dict[str, str]:
    if not any(mapping(host).get("review") for host in news.values()):
        return {}
    # Only here: the runs of each day need none of it.
    from ..week.made import week_of

    try:
        return week_of(news, made.document["run"], given["contacts"])
    except Exception as error:  # noqa: BLE001  whatever a template or a chart raises
        made.problems.append(f"the pages of the week could not be made: {one_line(error, 300)}")
        return {}
