"""The breaker: what many hosts have in common, what one host's word can do, and what of a fleet was not seen."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.errors import OptionError
from ansible_collections.media_ops.runbook.plugins.plugin_utils.response.breaker import breaker_refusals, fleet_breaker

POLICY = {"share": 0.2, "at_least": 1, "within": 3600, "unseen_share": 0.5, "partial": False}
DOWN = {"unreachable": True, "msg": "ssh: connect to host media9 port 22: No route to host"}


def found(*causes: str, **acted_for: float) -> dict[str, Any]:
    return {"incidents": [{"cause": cause} for cause in causes], "acted_for": acted_for}


def fleet(size: int, ill: int, cause: str = "cloud_storage") -> dict[str, Any]:
    return {f"media{n:02}": found(cause) if n < ill else found() for n in range(size)}


def look(
    hosts: dict[str, Any], others: dict[str, Any] | None = None, *, size: int = 0, **policy: Any
) -> dict[str, Any]:
    return fleet_breaker(hosts, others or {}, {**POLICY, **policy}, size=size)


def test_a_cause_of_many_hosts_opens_it() -> None:
    assert look(fleet(10, 2)) == {"open": {}, "unseen": {}, "findings": [], "refusals": []}
    opened = look(fleet(10, 3))["open"]
    assert opened["cloud_storage"]["allowed"] == 2
    (line,) = breaker_refusals([{"cause": "cloud_storage"}], opened)
    assert "3 of 10 hosts" in line
    assert "cloud_storage" in line
    assert breaker_refusals([{"cause": "ffmpeg"}], opened) == []


def test_one_host_may_always_be_acted_upon() -> None:
    assert look(fleet(1, 1))["open"] == {}


def test_what_was_done_within_the_hour_counts_also_on_hosts_that_are_well_or_left_out() -> None:
    ill = {"a": found("ffmpeg")}
    for acted in ({"ffmpeg": 1800}, {"ffmpeg": 0, "service": 5}, {"ffmpeg": 3600}):
        assert list(look(ill, {"b": found(**acted)})["open"]) == ["ffmpeg"]
        assert list(look({**ill, "b": found(**acted)})["open"]) == ["ffmpeg"]
    for acted in ({"ffmpeg": 3601}, {"service": 5}, {}):
        assert look(ill, {"b": found(**acted)})["open"] == {}


def test_one_host_s_ledger_counts_as_one_host_for_the_causes_that_it_names() -> None:
    """Many entries, many causes, times ahead, and what is no age: however it lies, it is one host."""
    liar = {"acted_for": {**{f"cause{n}": 0 for n in range(1000)}, "ffmpeg": -1e9, "service": "soon", "disk": None}}
    assert look(fleet(10, 1), {"liar": liar})["open"] == {}
    assert look(fleet(10, 1, "ffmpeg"), {"liar": liar})["open"] == {}
    assert look({"a": found("ffmpeg"), "b": found()}, {"liar": liar})["open"] == {
        "ffmpeg": {"hosts": ["a", "liar"], "allowed": 1, "fleet": 3}
    }
    assert look({"a": found("storage"), "b": found()}, {"liar": liar})["open"] == {}


@pytest.mark.parametrize("answer", [DOWN, {}, {"failed": True, "msg": "cannot read the ledger"}, {"acted_for": "all"}])
def test_a_host_that_is_not_seen_is_said_and_counts_for_nothing_and_among_none(answer: dict[str, Any]) -> None:
    seen = look(fleet(9, 1), {"media9": answer})
    assert list(seen["unseen"]) == ["media9"]
    assert seen["open"] == {}
    assert seen["refusals"] == []
    (row,) = seen["findings"]
    assert row["finding"].startswith("1 of 10 hosts of the fleet could not be seen: media9 (")
    # Two of ten may have one cause, and one of nine.
    assert look(fleet(9, 2), {"media9": found()})["open"] == {}
    assert look(fleet(9, 2), {"media9": answer})["open"]["cloud_storage"]["fleet"] == 9


def test_a_host_of_the_run_that_is_not_judged_yet_does_not_count_as_well() -> None:
    hosts = {"a": found("ffmpeg"), "b": {}, "c": {}}
    seen = look(hosts)
    assert seen["unseen"] == {"b": "it was not judged", "c": "it was not judged"}
    (line,) = seen["refusals"]
    assert line.startswith("2 of 3 hosts of the fleet could not be seen")
    assert "-e incident_partial_fleet=true" in line


def test_what_a_host_has_counts_where_its_ledger_cannot_be_read() -> None:
    hosts = {"a": found("service"), "b": {"incidents": [{"cause": "service"}], "acted_for": None}}
    seen = look(hosts)
    assert seen["open"]["service"]["hosts"] == ["a", "b"]
    assert seen["unseen"] == {"b": "its ledger was not read"}


@pytest.mark.parametrize(("dark", "refused"), [(5, False), (6, True), (9, True)])
def test_where_more_than_half_cannot_be_seen_a_person_decides(dark: int, refused: bool) -> None:
    others = {f"other{n}": DOWN if n < dark else found() for n in range(9)}
    seen = look({"a": found("ffmpeg")}, others)
    assert bool(seen["refusals"]) is refused
    assert look({"a": found("ffmpeg")}, others, partial=True)["refusals"] == []
    assert bool(look({"a": found("ffmpeg")}, others, unseen_share=0.9)["refusals"]) is False


def test_a_run_that_knows_a_part_of_the_fleet_only_acts_by_a_person_s_word() -> None:
    hosts = fleet(10, 1)
    assert look(hosts, size=10)["refusals"] == []
    (line,) = look(hosts, size=11)["refusals"]
    assert line.startswith("this run knows 10 of the 11 hosts of the fleet (media_ops_fleet_size)")
    assert look(hosts, size=11, partial=True)["refusals"] == []


@pytest.mark.parametrize("key", ["share", "unseen_share"])
@pytest.mark.parametrize("share", [-0.1, 1.1, "many", None])
def test_a_share_that_is_none_is_refused(key: str, share: Any) -> None:
    with pytest.raises(OptionError, match="policy_breaker_"):
        look(fleet(2, 1), **{key: share})
