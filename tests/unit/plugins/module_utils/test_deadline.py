"""The time of each module: from its options, and really over when it is over."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.media_ops.runbook.plugins.module_utils import deadline
from ansible_collections.media_ops.runbook.plugins.module_utils.deadline import Deadline, LateError, limited, longest_s
from ansible_collections.media_ops.runbook.plugins.module_utils.errors import run_module

PLUGINS = Path(__file__).resolve().parents[4] / "plugins"
MODULES = sorted(
    path.stem for path in (PLUGINS / "modules").glob("*.py") if "run_module(" in path.read_text(encoding="utf-8")
)


def documented(module: str) -> dict[str, Any]:
    """The options of a module, those of its documentation fragments with them."""
    code = (PLUGINS / "modules" / f"{module}.py").read_text(encoding="utf-8")
    found = yaml.safe_load(code.split('DOCUMENTATION = r"""')[1].split('"""')[0])
    options: dict[str, Any] = {}
    for fragment in found.get("extends_documentation_fragment", []):
        if fragment.startswith("media_ops.runbook."):
            name, _dot, part = fragment.removeprefix("media_ops.runbook.").partition(".")
            text = (PLUGINS / "doc_fragments" / f"{name}.py").read_text(encoding="utf-8")
            wanted = f"{part.upper() or 'DOCUMENTATION'} = r"
            options.update(yaml.safe_load(text.split(wanted + '"""')[1].split('"""')[0])["options"])
    return {**options, **(found.get("options") or {})}


@pytest.mark.parametrize("module", MODULES)
def test_every_module_has_its_time_and_the_table_its_defaults(module: str) -> None:
    defaults, seconds = deadline._LONGEST[module]
    options = documented(module)
    for name, default in defaults.items():
        assert options[name].get("default", default) == default, name
    assert longest_s(f"media_ops.runbook.{module}", {}) == seconds(defaults) > 0
    for name, default in defaults.items():
        assert (longest_s(module, {name: default + 100}) or 0) > seconds(defaults), f"{name} counts"


def test_the_table_has_no_module_that_is_not_there() -> None:
    assert sorted(deadline._LONGEST) == MODULES
    assert longest_s("ansible.builtin.copy", {}) is None


def test_nothing_is_taken_for_the_default_but_what_is_not_given() -> None:
    assert longest_s("session_terminate", {"wait": 0}) == (longest_s("session_terminate", {"wait": None}) or 0) - 60


def test_a_deadline_says_what_was_not_done() -> None:
    Deadline(60).require("reading")
    with pytest.raises(LateError, match=r"reading: not done within 0 s"):
        Deadline(0).require("reading")


def wait_for_a_pipe() -> None:
    reader, _writer = os.pipe()
    os.read(reader, 1)


def wait_without_end() -> None:
    while True:
        pass


@pytest.mark.parametrize("hang", [wait_for_a_pipe, wait_without_end, lambda: time.sleep(60)])
def test_what_hangs_is_ended_and_the_timer_with_it(hang: Any) -> None:
    began = time.monotonic()
    with pytest.raises(LateError, match=r"not done within 0\.2 s"), limited(0.2):
        hang()
    assert time.monotonic() - began < 10
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


DEAF = """
import signal, sys, time
from ansible_collections.media_ops.runbook.plugins.module_utils import deadline
deadline.GRACE_S = 0.5
with deadline.limited(0.2):
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    time.sleep(120)
"""


def test_what_hears_no_error_ends_with_its_process() -> None:
    env = {"PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run([sys.executable, "-c", DEAF], env=env, capture_output=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert b"Timeout" in ended.stderr


class Module:
    """What run_module takes of an AnsibleModule."""

    params: Mapping[str, Any] = {}
    _name = "media_ops.runbook.guard"

    def exit_json(self, **result: Any) -> Any:
        raise SystemExit(json.dumps(result))

    def fail_json(self, msg: str, **_result: Any) -> Any:
        raise SystemExit(f"failed: {msg}")


def test_a_module_that_hangs_fails_by_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(deadline._LONGEST, "guard", ({}, lambda _: 0.2 - deadline.GRACE_S))
    with pytest.raises(SystemExit, match=r"failed: not done within 0\.2 s, and ended"):
        run_module(Module(), lambda: wait_for_a_pipe() or {})  # type: ignore[func-returns-value]
    with pytest.raises(SystemExit, match="true"):
        run_module(Module(), lambda: {"changed": True})
