# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is planned for a service, and what of it the hash is of."""

from __future__ import annotations

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.plan import plan_hash
from ansible_collections.media_ops.runbook.plugins.module_utils.service.restart_plan import restart_plan
from ansible_collections.media_ops.runbook.plugins.module_utils.service.standing import Service
from ansible_collections.media_ops.runbook.plugins.module_utils.system.operated import Operated

from .test_by_unit import sample


@pytest.mark.parametrize(
    ("state", "planned_for"),
    [
        ("running", {"restarted", "force_restarted"}),
        ("activating", {"restarted", "force_restarted"}),
        ("dead", {"started", "restarted", "force_restarted"}),
        ("failed", {"started", "restarted", "force_restarted"}),
        ("restart_loop", {"started", "restarted", "force_restarted"}),
        ("start_limit", {"started", "restarted", "force_restarted"}),
        ("stopping", {"started", "restarted", "force_restarted"}),
        ("masked", set()),
        ("not_found", set()),
        ("unknown", set()),
    ],
)
def test_what_is_planned(state: str, planned_for: set[str]) -> None:
    service = Service(state, "a reason", sample())
    wanted = ("observed", "started", "restarted", "force_restarted")
    assert {one for one in wanted if restart_plan(service, Operated("unit"), one, [], None)} == planned_for


def test_the_hash_is_of_the_main_process_the_class_and_the_method() -> None:
    def of(state: str = "running", wanted: str = "restarted", why: str = "", **properties: object) -> str:
        return plan_hash(restart_plan(Service(state, why, sample(**properties)), Operated("unit"), wanted, ["X"], why))

    assert of() == of(why="other words") == of(TimeoutStopUSec="1s")
    others = [of(MainPID=101), of(ExecMainStartTimestampMonotonic=1), of("failed"), of(wanted="force_restarted")]
    assert len({of(), *others}) == 5


def test_the_plan_says_why() -> None:
    service = Service("failed", "203/EXEC", sample(MainPID=0))
    [action] = restart_plan(service, Operated("unit"), "restarted", ["P0-3C"], None)
    assert (action["why"], action["steps"]) == ("it is failed: 203/EXEC", ["P0-3C"])
    assert (
        restart_plan(service, Operated("unit"), "restarted", [], "line\nof \x1b[31mpeople")[0]["why"]
        == "line of [31mpeople"
    )
