"""tell: what is told of a fleet goes out from ansible-playbook itself, and nothing on the way to it fails the task."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleActionFail
from ansible_collections.media_ops.runbook.plugins.action import tell as action
from ansible_collections.media_ops.runbook.plugins.plugin_utils.report.telling import Findings, Told, Way

from tests.unit.plugins.action.acting import Run, act
from tests.unit.plugins.message_factory import alert, message

BAD = message("media1")
NOTHING = {"messages": [], "new": 0, "acked": 0, "open": [], "suppressed": {}, "dropped": 0, "reset": ""}
SECRET = "https://hooks.example.com/services/canarysecret"
CHANNELS = [{"name": "chat", "type": "slack", "url": SECRET}]
VERDICT = {"check": "overall_status", "title": "Overall status", "state": "critical", "message": "it is critical"}
HOSTS: dict[str, Any] = {
    "media1": {"__report_alerts": {**NOTHING, "messages": [BAD], "open": [alert(BAD)]}},
    "media2": {"healthcheck_result": {"verdicts": [VERDICT]}, "__report_alerts": {"failed": True, "msg": "no room"}},
    "media3": {},
}
TOLD: Told = {"headlines": ["CRITICAL"], "delivered": {}, "problem": "", "late": False, "changed": True}


class HostVars:
    """As far as an action looks into them."""

    def raw_get(self, host: str) -> dict[str, Any]:
        """Variables of a host, as they were set."""
        return dict(HOSTS[host])


def tell(
    directory: Path, *, check_mode: bool = False, variables: Mapping[str, Any] | None = None, **changes: Any
) -> Run:
    options = {"state_dir": str(directory / "reports/alerts"), "channels": CHANNELS, "title": "Watch", **changes}
    known = {"hostvars": HostVars(), "ansible_play_hosts_all": list(HOSTS), "groups": {"all": ["media1", "media9"]}}
    return act("tell", options, variables={**known, **(variables or {})}, check_mode=check_mode)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What the action hands on."""
    calls: list[tuple[Any, ...]] = []

    def keep(*given: Any, check_mode: bool) -> Told:
        calls.append((*given, check_mode))
        return TOLD

    monkeypatch.setattr(action, "tell_all", keep)
    monkeypatch.setattr(action, "tell_of_report", keep)
    return calls


@pytest.fixture
def warnings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the screen shows."""
    shown: list[str] = []
    monkeypatch.setattr(
        "ansible.plugins.action.display.warning", lambda text, *_more, **_named: shown.append(str(text))
    )
    return shown


def test_what_was_found_on_each_host_is_handed_on_and_no_host_is_asked(tmp_path: Path, asked: list[Any]) -> None:
    run = tell(
        tmp_path,
        source="watch_health",
        settle=2,
        report_directory=str(tmp_path / "r"),
        variables={"ansible_inventory_sources": ["/i"]},
    )
    ((found, way, check_mode),) = asked
    assert isinstance(found, Findings)
    assert (found.verdicts["media2"], found.verdicts["media3"]) == ([VERDICT], [])
    assert found.answers is not None
    assert found.answers["media1"]["messages"] == [BAD]
    assert (found.inventory, found.everyone, check_mode) == ("/i", ["media1", "media9"], False)
    assert isinstance(way, Way)
    assert (way.source, way.settle, way.title) == ("watch_health", 2, "Watch")
    place = run.result.pop("place")
    assert way.report == str(tmp_path / "r" / place / "report.html")
    assert list((tmp_path / "r" / place).iterdir()) == [], "the place is taken, and written later"
    assert run.modules == []
    assert run.result == {**TOLD, "changed": True}
    assert action.ActionModule._requires_connection is False


@pytest.mark.parametrize("name", ["ansible_limit", "awx_job_id", "tower_job_id"])
def test_a_run_that_may_see_a_part_says_nothing_of_who_left(tmp_path: Path, asked: list[Any], name: str) -> None:
    tell(tmp_path, variables={name: "web1"})
    assert asked[0][0].everyone is None


@pytest.mark.parametrize("problem", ["No space left on device", ""])
def test_the_second_message_is_of_the_report_alone(tmp_path: Path, asked: list[Any], problem: str) -> None:
    tell(tmp_path, report_problem=problem, check_mode=True)
    ((_way, given, check_mode),) = asked
    assert (given, check_mode) == (problem, True)


def test_what_breaks_on_the_way_is_a_value_without_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warnings: list[str]
) -> None:
    def broken(*_given: Any, **_named: Any) -> Told:
        raise RuntimeError(f"cannot send to {SECRET}")

    monkeypatch.setattr(action, "tell_all", broken)
    problem = tell(tmp_path).result["problem"]
    assert problem == "Not notified: RuntimeError: cannot send to [removed]"
    assert warnings == [problem], "it is seen where no gate follows"


def test_what_a_site_has_set_wrong_is_named_and_not_in_the_way(
    tmp_path: Path, asked: list[Any], warnings: list[str]
) -> None:
    run = tell(tmp_path, settle="soon", variables={"report_contacts": [{"area": "x"}]})
    assert asked[0][1].settle == 1
    assert "option 'settle' of tell cannot be used, and so 1 holds" in run.result["problem"]
    assert "report_contacts" in run.result["problem"]
    assert len(warnings) == 1


def test_misuse_names_the_option(tmp_path: Path) -> None:
    with pytest.raises(AnsibleActionFail, match=r"media_ops.runbook.tell.*: chanels"):
        tell(tmp_path, chanels=[])


def test_what_is_needed_is_named() -> None:
    with pytest.raises(AnsibleActionFail, match="missing required arguments: state_dir, title"):
        act("tell", {})
