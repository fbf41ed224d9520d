"""The JSON Schema of the result document: sound documents pass, and each way of going wrong is caught."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.shapes import STATES

from tests import result_factory
from tests.schemas import RESULT, problems, schema


def test_the_schema_is_one() -> None:
    RESULT.check_schema(schema("result"))
    assert schema("result")["$defs"]["state"]["enum"] == list(STATES)


@pytest.mark.parametrize("case", result_factory.CASES)
def test_what_the_collection_makes_is_valid(case: str) -> None:
    # A large fleet has nothing that a smaller one has not, and takes long.
    made = result_factory.fleet(30) if case == "fleet" else result_factory.CASES[case]()
    assert problems(RESULT, made) == []


def _drop_state(document: dict[str, Any]) -> None:
    del document["state"]


def _own_key(document: dict[str, Any]) -> None:
    document["hosts"][0]["verdicts"][0]["colour"] = "red"


def _fifth_state(document: dict[str, Any]) -> None:
    document["hosts"][0]["state"] = "fine"


def _local_time(document: dict[str, Any]) -> None:
    document["run"]["finished_at"] = "2026-11-24T06:00:10+01:00"


def _no_verdict(document: dict[str, Any]) -> None:
    document["hosts"][0]["verdicts"] = []


def _new_fault(document: dict[str, Any]) -> None:
    document["hosts"][0]["verdicts"][0]["fault"] = "moon"


def _other_version(document: dict[str, Any]) -> None:
    document["schema_version"] = 2


def _share_over_100(document: dict[str, Any]) -> None:
    document["hosts"][0]["details"]["metrics"][0]["cpu_percent"] = 101


@pytest.mark.parametrize(
    "spoil",
    [_drop_state, _own_key, _fifth_state, _local_time, _no_verdict, _new_fault, _other_version, _share_over_100],
)
def test_a_spoiled_document_is_not_valid(spoil: Callable[[dict[str, Any]], None]) -> None:
    document = json.loads(json.dumps(result_factory.mixed()))
    assert problems(RESULT, document) == []
    spoil(document)
    assert problems(RESULT, document)
