"""The JSON Schemas that role report ships, ready to validate with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

_FILES = Path(__file__).resolve().parents[1] / "roles/report/files"


def schema(name: str) -> dict[str, Any]:
    """The schema ``NAME.schema.json``."""
    loaded: dict[str, Any] = json.loads((_FILES / f"{name}.schema.json").read_text(encoding="utf-8"))
    return loaded


def part(name: str, of: str) -> Draft202012Validator:
    """What validates one shape of a schema, ``#/$defs/OF`` of ``NAME.schema.json``."""
    return Draft202012Validator({"$ref": f"#/$defs/{of}", "$defs": schema(name)["$defs"]})


RESULT = Draft202012Validator(schema("result"))
WEEKLY = Draft202012Validator(schema("weekly"))
DAILY_REPORT = Draft202012Validator(schema("daily_report"))
# What a host keeps of its week is a part of the fleet's document.
REVIEW = part("weekly", "review")


def problems(validator: Draft202012Validator, document: Any) -> list[str]:
    """What is wrong with a document as it is written: place and message of each error."""
    written = json.loads(json.dumps(document))
    return [f"{'/'.join(map(str, error.path))}: {error.message}"[:300] for error in validator.iter_errors(written)]
