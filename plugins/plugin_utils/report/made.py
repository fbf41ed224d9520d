# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what was found on the hosts to the report's files, as texts by their names; what could not be made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ...module_utils.errors import OptionError
from ...module_utils.shapes import STATES, Json, mapping, number, one_line
from .commands import Commands
from .render import render
from .result import build

TEMPLATES = Path(__file__).resolve().parents[3] / "roles" / "report" / "templates"
_PAGES = ("report.html", "report.md")


def news_of(found: Mapping[str, Any], since: float) -> dict[str, Any]:
    """What was found on each host after a moment, nothing where it was before.

    What was found for an earlier report of the same ansible-playbook is no news of a host that has been silent since.
    """
    return {host: one if (number(mapping(one).get("judged_at")) or 0) > since else {} for host, one in found.items()}


class Made(NamedTuple):
    """What a run has to say, and what of it could not be said.

    Attributes:
        document: the result document.
        files: the report's files, as texts by their names.
        problems: what could not be made, each a sentence.
    """

    document: dict[str, Any]
    files: dict[str, str]
    problems: list[str]


def report_of(hosts: Mapping[str, Any], run: Json, options: Json, call: Json) -> Made:
    """The result document, and the files of the report. A page that cannot be made costs no verdict.

    Args:
        hosts: what was found, by host.
        run: facts of the run, as ``result.build`` wants them.
        options: ``contacts``, ``fail_on``, and the ``directory`` with the reports of the runs before.
        call: how the run was called, as ``commands.Commands`` wants it.

    Raises:
        OptionError: a state of ``fail_on`` is none.
    """
    wrong = [state for state in options["fail_on"] if state not in STATES]
    if wrong:
        raise OptionError("policy_fail_on", wrong[0], f"one of {', '.join(STATES)} is needed")
    problems: list[str] = []
    # In check mode nothing is written that a command could name.
    place = "" if run.get("check_mode") else f"{options['directory']}/{options.get('place') or run['id']}"
    commands = Commands(call, hosts, place)
    document = _document(hosts, run, options, commands)
    files: dict[str, str] = {}
    try:
        texts = render(document, *(str(TEMPLATES / f"{name}.j2") for name in _PAGES))
        files.update(zip(_PAGES, texts, strict=True))
    except Exception as error:  # noqa: BLE001  whatever a template or a chart raises
        problems.append(f"the pages of the report could not be made: {one_line(error, 300)}")
    document = {**document, "failed": document["failed"] or bool(problems)}
    return Made(document, {**files, "result.json": as_json(document), **commands.files}, problems)


def _document(hosts: Mapping[str, Any], run: Json, options: Json, commands: Commands) -> dict[str, Any]:
    given = {"run": run, "contacts": options["contacts"], "fail_on": options["fail_on"], "commands": commands}
    try:
        return build(hosts, previous=_previous(Path(options["directory"])), **given)
    except Exception:  # noqa: BLE001  the document of an earlier run may hold anything, and says only since when
        return build(hosts, **given)


def _previous(directory: Path) -> object:
    """The document of the run before; None where there is none that can be read, which costs no run its report."""
    try:
        return json.loads((directory / "latest" / "result.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def as_json(document: Json) -> str:
    """A document as it is kept."""
    return json.dumps(document, indent=4, sort_keys=True)
