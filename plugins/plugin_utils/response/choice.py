# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which incidents of a host are responded to, and what is to be looked at for them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...module_utils.errors import OptionError
from ...module_utils.shapes import Json, mapping


def kinds_of_site(kinds: Mapping[str, Json], incidents: Sequence[Json]) -> dict[str, Json]:
    """What each kind of incident calls for, those that a site adds among them.

    Args:
        kinds: those of role incident.
        incidents: rows of ``policy_site_incidents``, each with its ``subjects``.
    """
    return {**{row["incident"]: {"subjects": row.get("subjects") or [], "questions": []} for row in incidents}, **kinds}


def choose(found: Json, only: Sequence[str], kinds: Mapping[str, Json], looks: Mapping[str, Json]) -> dict[str, Any]:
    """The incidents to respond to, and the looks at the host that these call for, each once.

    Args:
        found: result of a check, ``incidents`` and ``observations``.
        only: kinds of incident to respond to, none for all. One that is asked for by name is looked into also where the
            check did not find it.
        kinds: what each kind calls for, its ``subjects`` of ``looks``, ``args`` by subject above those there, and its
            ``questions`` to the logs.
        looks: by subject, the ``module`` and its ``args``.

    Returns:
        ``incidents``; ``looks``, each with ``subject``, ``module`` and ``args``; and ``reached``, whether the host
        answers at all. One that does not is not looked at.
    """
    reached = is_reached(found)
    incidents = [incident for incident in found["incidents"] if not only or incident["incident"] in only]
    named = list(dict.fromkeys([*(incident["incident"] for incident in incidents), *only]))
    unknown = [name for name in named if name not in kinds]
    if unknown:
        raise OptionError("policy_incidents", unknown[0], f"only {', '.join(sorted(kinds))} can be looked into")
    asked = [kinds[name] for name in named] if reached else []
    subjects: dict[str, dict[str, Any]] = {}
    for kind in asked:
        for subject in kind["subjects"]:
            more = mapping(mapping(kind.get("args")).get(subject))
            subjects[subject] = {**subjects.get(subject, {}), **more}
    wanted = [
        *(
            {"module": "log_digest_info", **question}
            for kind in asked
            for question in kind["questions"]
            if mapping(question.get("args")).get("path") != ""  # the site says that it has no such log
        ),
        *(
            {"subject": name, **looks[name], "args": {**(looks[name].get("args") or {}), **more}}
            for name, more in subjects.items()
        ),
    ]
    return {"incidents": incidents, "looks": wanted, "reached": reached}


def is_reached(found: Json) -> bool:
    """Whether the host of a check's result could be asked."""
    return bool(mapping(mapping(found.get("observations")).get("host")).get("fault", "unknown") == "")
