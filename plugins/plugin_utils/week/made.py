# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the reviews of the hosts to the files of the week, as texts by their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...module_utils.shapes import Json, mapping
from ..report.made import TEMPLATES, as_json
from .document import weekly_document
from .render import render_weekly

_PAGES = ("weekly.html", "weekly.md")


def week_of(hosts: Mapping[str, Any], run: Json, contacts: Sequence[Any]) -> dict[str, str]:
    """The page of the week for people, and its document.

    Args:
        hosts: what was found, by host, with its ``review``.
        run: facts of the run, as the result document has them.
        contacts: whom to call.
    """
    reviews = {host: mapping(found).get("review") or {} for host, found in hosts.items()}
    week = weekly_document(reviews, run=run, contacts=contacts)
    texts = render_weekly(week, *(str(TEMPLATES / f"{name}.j2") for name in _PAGES))
    return {**dict(zip(_PAGES, texts, strict=True)), "weekly.json": as_json(week)}
