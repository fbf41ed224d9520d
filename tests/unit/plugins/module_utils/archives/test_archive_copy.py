# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan of archive_copy, a pure function: from archives and what the store has to what is to be done."""

from __future__ import annotations

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.archives.archive_copy import Archive, Seen, make_plan
from ansible_collections.media_ops.runbook.plugins.module_utils.plan import plan_hash

TO = "s3://backups/web1/"
ONE = Archive("archived_logs_20261101.tar.gz", 1000, "a" * 64)
TWO = Archive("archived_logs_20261108.tar.zst", 2000, "b" * 64)


# runbook: WL-3
@pytest.mark.parametrize(
    ("copy", "does"),
    [
        (None, ("copy", "missing")),
        ({"bytes": 1000, "marked": ONE.sha256}, None),
        ({"bytes": 1000, "marked": ""}, ("verify", "unverified")),
        ({"bytes": 1000, "marked": TWO.sha256}, ("verify", "unverified")),
        ({"bytes": 999, "marked": ONE.sha256}, ("copy", "differing")),
    ],
)
def test_what_becomes_of_an_archive(copy: dict[str, object] | None, does: tuple[str, str] | None) -> None:
    seen = Seen(copies={ONE.name: copy} if copy else {})
    plan = make_plan([ONE], seen, TO)
    assert [(action["action"], action["stable"]["kind"]) for action in plan] == ([does] if does else [])
    for action in plan:
        assert action["stable"]["archive"] == list(ONE)
        assert action["steps"] == ["WL-3"]
        assert TO in action["target"]


def test_a_store_that_cannot_be_asked_gives_one_action_for_all() -> None:
    (action,) = make_plan([ONE, TWO], Seen("refused", "nothing there"), TO)
    assert action["target"] == f"2 archives to {TO}"
    assert action["stable"]["kind"] == "unknown"
    assert make_plan([], Seen("refused", "nothing there"), TO) == []


def test_the_hash_is_of_content_and_destination() -> None:
    seen = Seen()
    known = plan_hash(make_plan([ONE, TWO], seen, TO))
    assert known == plan_hash(make_plan([ONE, TWO], seen, TO))
    others = (
        make_plan([ONE], seen, TO),
        make_plan([ONE, TWO], seen, "s3://backups/web2/"),
        make_plan([ONE._replace(sha256="c" * 64), TWO], seen, TO),
        make_plan([ONE, TWO], Seen(copies={ONE.name: {"bytes": 1000, "marked": ""}}), TO),
        make_plan([ONE, TWO], Seen("timeout", "late"), TO),
    )
    assert len({known, *map(plan_hash, others)}) == 6
