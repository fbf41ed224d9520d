"""An action takes the options that the module of its name documents, each with the same type, default and choices."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.api.settings import api_argument_spec
from ansible_collections.media_ops.runbook.plugins.plugin_utils.host_action import documented, has_fragment, options_of

from tests.unit.plugins.reading import PLUGINS

ACTIONS = sorted(path.stem for path in (PLUGINS / "action").glob("[a-z]*.py"))
KEPT = ("type", "elements", "required", "default", "choices")


def said(option: dict[str, Any]) -> dict[str, Any]:
    """What of an option both sides say, with what is left out filled in."""
    shown = {"required": False, "default": None, "choices": None, "elements": None, "type": "str"}
    return {key: option.get(key, shown[key]) for key in KEPT}


def test_each_action_is_documented_by_a_module() -> None:
    assert [name for name in ACTIONS if not (PLUGINS / f"modules/{name}.py").is_file()] == []
    assert len(ACTIONS) >= 5


@pytest.mark.parametrize("name", ACTIONS)
def test_an_action_takes_what_its_module_documents(name: str) -> None:
    arguments = import_module(f"ansible_collections.media_ops.runbook.plugins.action.{name}")._ARGUMENTS
    written = documented(name, "DOCUMENTATION").get("options") or {}
    assert {key: said(option) for key, option in arguments.items()} == {
        key: said(option) for key, option in written.items()
    }
    # What is not its own comes from a fragment: the connection to the API.
    assert options_of(name) - set(written) == (set(api_argument_spec()) if has_fragment(name, "api") else set())
