"""Each shape has one type and one function that makes it, and both are what the shipped schema says."""

from __future__ import annotations

import re
import types
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NotRequired, Union, get_args, get_origin, get_type_hints, is_typeddict

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.alerts.transition import (
    AlertPolicy,
    Message,
    Run,
    fits,
    nothing_known,
    open_alerts,
    transition,
)
from ansible_collections.media_ops.runbook.plugins.module_utils.plan import Action, planned
from ansible_collections.media_ops.runbook.plugins.module_utils.times import from_text
from ansible_collections.media_ops.runbook.plugins.plugin_utils.host_action import documented
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.shapes import (
    Incident,
    Observation,
    Response,
    Rung,
    ShownResponse,
    Verdict,
    incident,
    observation,
    response,
    rung,
    shown,
    verdict,
)

from tests.schemas import part, problems, schema
from tests.unit.plugins.policy import ROOT, policy

_DOCUMENT = schema("result")
_KINDS = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null", list: "array"}
_KINDS |= {dict: "object", Mapping: "object"}


def resolved(of: Mapping[str, Any]) -> Mapping[str, Any]:
    """A schema with what it refers to put in its place."""
    if "$ref" not in of:
        return of
    return resolved(_DOCUMENT["$defs"][of["$ref"].rpartition("/")[2]])


def kinds_of_schema(of: Mapping[str, Any]) -> set[str]:
    """The types of JSON that a schema lets pass, none where it lets everything pass."""
    found = resolved(of)
    if "anyOf" in found:
        return {kind for one in found["anyOf"] for kind in kinds_of_schema(one)}
    if "enum" in found:
        return {_KINDS[type(value)] for value in found["enum"]}
    kinds = found.get("type", [])
    return {kinds} if isinstance(kinds, str) else set(kinds)


def members(kind: Any) -> tuple[Any, ...]:
    """The types that a union is of; any other type alone."""
    return get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)


def kinds_of_type(kind: Any) -> set[str]:
    """The same of a type."""
    found = set()
    for one in members(kind):
        if one is Any:
            return set()
        if get_origin(one) is Literal:
            found |= {_KINDS[type(value)] for value in get_args(one)}
        else:
            found.add("object" if is_typeddict(one) else _KINDS[get_origin(one) or one])
    return found


def differences(kind: Any, of: Mapping[str, Any], where: str) -> Iterator[str]:
    """How a type and a schema differ, down to the rows of lists."""
    found = resolved(of)
    if kinds_of_type(kind) != kinds_of_schema(found):
        yield f"{where}: the type is {kinds_of_type(kind)}, the schema {kinds_of_schema(found)}"
    for one in members(kind):
        if is_typeddict(one):
            yield from _of_object(one, found, where)
        elif get_origin(one) is list:
            yield from differences(get_args(one)[0], found["items"], f"{where}[]")
        elif get_origin(one) is Literal and list(get_args(one)) != found["enum"]:
            yield f"{where}: the type has {get_args(one)}, the schema {found['enum']}"
        elif get_origin(one) is dict and get_args(one)[1] is not Any:
            yield from differences(get_args(one)[1], found["additionalProperties"], f"{where}{{}}")


def _of_object(kind: Any, found: Mapping[str, Any], where: str) -> Iterator[str]:
    # __required_keys__ knows nothing of NotRequired where annotations are text.
    hints = get_type_hints(kind, include_extras=True)
    optional = {name for name, hint in hints.items() if get_origin(hint) is NotRequired}
    if set(hints) != set(found["properties"]):
        yield f"{where}: one alone has {sorted(set(hints) ^ set(found['properties']))}"
    if set(hints) - optional != set(found["required"]):
        yield f"{where}: one alone requires {sorted((set(hints) - optional) ^ set(found['required']))}"
    if found.get("additionalProperties") is not False:
        yield f"{where}: the schema lets other keys pass"
    for name, hint in hints.items():
        if name in found["properties"]:
            plain = get_args(hint)[0] if name in optional else hint
            yield from differences(plain, found["properties"][name], f"{where}.{name}")


SHAPES = {
    "observation": Observation,
    "verdict": Verdict,
    "incident": Incident,
    "action": Action,
    "rung": Rung,
    "response": ShownResponse,
}


@pytest.mark.parametrize("name", SHAPES)
def test_type_and_schema_are_the_same(name: str) -> None:
    assert list(differences(SHAPES[name], {"$ref": f"#/$defs/{name}"}, name)) == []


LADDER_ROW = {
    "rung": "Restart the service",
    "act": "service_control",
    "steps": ["P0-3C"],
    "args": {},
    "incident": "critical_system",
    "cause": "service",
    "priority": "P0",
    "when": {"service": ["down"]},
    "cured": {"service": ["ok"]},
}
PROCEDURE_ROW = {"rung": "Rotate", "act": "log_archive", "steps": ["WL-1"], "args": {"keep": 4}}
ACTION = planned("restart", "media.service", "it is down", ["P0-3C"], stable={"unit": "media.service"})
INCIDENT = incident(policy()["policy_incidents"][0], "service")
INCIDENT["checks"].append("overall_status")

MADE: list[tuple[str, Any]] = [
    ("observation", observation()),
    ("observation", observation(0.1, "ratio", note="a note", at="2026-11-24T06:00:00Z", endpoint="stats")),
    ("observation", observation(None, "state", fault="missing", reason="there is none")),
    ("verdict", verdict("host", "Host", "")),
    ("verdict", verdict("host", "Host", "DM-1", "critical", "Bad", observed="critical", action="Look", playbook="x")),
    ("incident", INCIDENT),
    ("action", ACTION),
    ("rung", rung(LADDER_ROW, [ACTION], plan_hash="0123456789ab", changed=True)),
    ("rung", rung(PROCEDURE_ROW, failed=True, msg="no answer", as_of=1795500000.5)),
    ("response", shown(response("20261124T060000Z-1234", "plan"))),
]


@pytest.mark.parametrize(("name", "made"), MADE)
def test_what_is_made_is_what_the_schema_says(name: str, made: Any) -> None:
    assert problems(part("result", name), made) == []


@pytest.mark.parametrize(("name", "made"), MADE)
def test_nothing_that_is_required_may_be_left_out(name: str, made: Any) -> None:
    for key in resolved({"$ref": f"#/$defs/{name}"})["required"]:
        assert problems(part("result", name), {other: value for other, value in made.items() if other != key}), key


def test_an_unknown_part_of_a_shape_is_refused() -> None:
    with pytest.raises(TypeError, match="colour"):
        observation(1, colour="red")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="since"):
        verdict("host", "Host", "", since=None)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="recovered"):
        response("run", "plan", recovered=True)  # type: ignore[call-arg]


def test_a_rung_that_was_planned_can_be_made_anew_by_what_was_done() -> None:
    once = rung(LADDER_ROW, [ACTION], plan_hash="0123456789ab", as_of=5.0)
    again = rung(once, msg="done")
    assert again == {**rung(LADDER_ROW), "msg": "done"}
    assert "as_of" not in again


def test_each_response_has_lists_of_its_own() -> None:
    refusals = ["automation is paused"]
    first, second = response("a", "plan", refusals=refusals), response("b", "apply")
    first["refusals"].append("more")
    first["acted"].append(rung(PROCEDURE_ROW))
    assert (refusals, second["refusals"], second["acted"]) == (["automation is paused"], [], [])


def test_a_response_has_all_that_its_type_names_and_shows_what_the_schema_has() -> None:
    made = response("20261124T060000Z-1234", "apply", procedure="weekly_system_cleanup", title="Weekly system cleanup")
    assert set(made) == set(get_type_hints(Response))
    assert set(shown(made)) == set(_DOCUMENT["$defs"]["response"]["properties"])
    assert set(shown({**made, "answers": {}})) == set(shown(made))


NOW = from_text("2026-11-24T06:00:00Z")


def messages_of(**of: Any) -> tuple[list[Message], Any]:
    assert NOW is not None
    run = Run("watch_health", "20261124T060000Z", "media1", NOW)
    row = verdict("overall_status", "Overall status", "DM-1", "critical", "Overall status: critical", **of)
    state, made = transition(nothing_known(), [row], run, AlertPolicy())
    return made, state


def test_a_message_is_what_its_type_says_and_the_modules_document() -> None:
    (made,), _state = messages_of(action="Look", playbook="incident_critical_system")
    assert fits(made, Message)
    assert (made["message"], made["action"], made["playbook"]) == (
        "Overall status: critical",
        "Look",
        "incident_critical_system",
    )
    (sample,) = documented("alert_state", "RETURN")["messages"]["sample"]
    assert fits(sample, Message)


def test_an_open_alert_is_what_the_module_documents() -> None:
    _made, state = messages_of()
    (alert,) = open_alerts(state)
    text = " ".join(documented("alert_state", "RETURN")["open"]["description"])
    assert sorted(alert) == sorted(word.partition(")")[0] for word in text.split("C(")[1:])


def test_an_incident_of_the_fleet_is_that_of_a_host_with_its_hosts_and_what_to_run() -> None:
    one, fleet = _DOCUMENT["$defs"]["incident"], _DOCUMENT["properties"]["incidents"]["items"]
    more = {name: fleet["properties"][name] for name in ("hosts", "command")}
    assert fleet["properties"] == {**one["properties"], **more}
    assert fleet["required"] == [*one["required"], *more]


SECTIONS = {
    "### Observation": Observation,
    "### Verdict": Verdict,
    "### Incident": Incident,
    "### Plan, action, record (incidents)": Response,
    "### Alert message": Message,
}


@pytest.mark.parametrize("heading", SECTIONS)
def test_the_architecture_names_each_part_of_a_shape(heading: str) -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    section = text.partition(f"{heading}\n")[2].partition("\n### ")[0]
    assert sorted(set(get_type_hints(SECTIONS[heading])) - set(re.findall(r"\w+", section))) == []
