# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The programs that role prepare installs for root: what they refuse. That they give nothing away is tests/lab's."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.errors import OptionError
from ansible_collections.media_ops.runbook.plugins.module_utils.ffmpeg import packages as on_hosts
from ansible_collections.media_ops.runbook.plugins.module_utils.service import overrides as of_service
from ansible_collections.media_ops.runbook.plugins.module_utils.service.rules import read_rules
from ansible_collections.media_ops.runbook.plugins.module_utils.system.environment_files import parse_environment_file

FILES = Path(__file__).resolve().parents[3] / "roles/prepare/files"
ALLOWED: dict[str, Any] = {
    "PROCESSING_TIMEOUT": {"type": "int", "min": 60, "max": "3600", "step": "P1-3A"},
    "LOG_LEVEL": {"type": "choice", "choices": ["DEBUG", "INFO"]},
}
# Names that change how programs load, and names of settings that only look like them
LOADING = [
    *("LD_PRELOAD", "LD_LIBRARY_PATH", "PATH", "IFS", "ENV", "HOME", "TMPDIR", "BASH_ENV", "GCONV_PATH"),
    *("PYTHONPATH", "PYTHONINSPECT", "PYTHONSTARTUP", "PERL5LIB", "PERL5OPT", "PERLLIB", "RUBYOPT", "RUBYLIB"),
    *("NODE_OPTIONS", "NODE_PATH", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "JAVA_OPTS", "CLASSPATH", "LUA_PATH"),
    *("GLIBC_TUNABLES", "MALLOC_CHECK_", "DOTNET_STARTUP_HOOKS", "UWSGI_ARGS", "GUNICORN_CMD_ARGS"),
]
HARMLESS = [
    "PROCESSING_TIMEOUT",
    "MAX_CONCURRENT_SESSIONS",
    "LOG_LEVEL",
    "PATHS_MAX",
    "HOMES",
    "ENVIRONMENT",
    "LDAP_PORT",
]


def program(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"prepare_{name}", FILES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


Run = Callable[[bytes], tuple[int, str]]


def test_the_restart_takes_no_argument_and_runs_what_root_alone_could_write(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    restart = program("restart")
    monkeypatch.setattr(restart, "SETTINGS", str(tmp_path / "restart.json"))
    monkeypatch.setattr(restart.signal, "signal", lambda *_: None)

    def run(*arguments: str, **settings: object) -> tuple[int, str]:
        (tmp_path / "restart.json").write_text(json.dumps(settings), encoding="utf-8")
        monkeypatch.setattr(sys, "argv", ["restart", *arguments])
        return restart.main(), "".join(capfd.readouterr())

    assert run("media", argv=["/bin/true"]) == (2, "usage: restart, without arguments\n")
    wrong: tuple[dict[str, object], ...] = ({}, {"argv": []}, {"argv": "/bin/true"}, {"argv": ["/bin/true", 1]})
    for settings in wrong:
        assert "does not hold a command" in run(**settings)[1]
    own = tmp_path / "own"
    own.write_text("#!/bin/sh\necho no\n", encoding="ascii")
    own.chmod(0o777)
    (tmp_path / "link").symlink_to("/bin/true")
    # Below a directory that everybody may write to
    for other in (own, tmp_path / "link"):
        code, said = run(argv=[str(other)])
        assert (code, "is not root's alone" in said) == (1, True), said
    assert "absolute path" in run(argv=["true"])[1]
    code, said = run(argv=["/bin/sh", "-c", "echo $HOME $1 $LD_PRELOAD; exit 3", "sh", "restart"])
    assert (code, said) == (3, "/root restart\n")


@pytest.fixture
def overrides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The program, with a directory of ours in the place of root's; gives its exit code and what it says."""
    module = program("overrides")
    monkeypatch.setattr(module, "DIRECTORY", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["overrides"])
    (tmp_path / "overrides.json").write_text(json.dumps(ALLOWED), encoding="utf-8")

    def run(data: bytes) -> tuple[int, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        return module.main(), capsys.readouterr().err

    return run


def test_what_is_allowed_is_written_whole_and_goes_with_the_last(overrides: Run, tmp_path: Path) -> None:
    written = tmp_path / "overrides.env"
    umask = os.umask(0o077)
    try:
        assert overrides(b'{"PROCESSING_TIMEOUT": "0600", "LOG_LEVEL": "DEBUG"}') == (0, "")
    finally:
        os.umask(umask)
    assert parse_environment_file(written.read_text()) == {"PROCESSING_TIMEOUT": "600", "LOG_LEVEL": "DEBUG"}
    assert written.stat().st_mode & 0o777 == 0o644
    assert overrides(b'{"PROCESSING_TIMEOUT": 3600}') == (0, "")
    assert parse_environment_file(written.read_text()) == {"PROCESSING_TIMEOUT": "3600"}
    assert overrides(b"{}") == overrides(b"{}") == (0, "")
    assert [path.name for path in tmp_path.iterdir()] == ["overrides.json"]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "stdin is not JSON"),
        (b"PROCESSING_TIMEOUT=600\n", "stdin is not JSON"),
        (b"[" * 16000, "stdin is not JSON"),
        (b"\xff\xfe", "stdin is not JSON"),
        (b"[]", "no JSON object on stdin"),
        (b'{"PROCESSING_TIMEOUT": "600"' + b" " * 16384 + b"}", "more than 16384 bytes on stdin"),
        (b'{"SOMETHING": "600"}', "'SOMETHING' is not a setting"),
        (b'{"LD_PRELOAD": "/tmp/x.so"}', "'LD_PRELOAD' is not a setting"),
        (b'{"PROCESSING_TIMEOUT\\nLD_PRELOAD": "600"}', r"'PROCESSING_TIMEOUT\nLD_PRELOAD' is not a setting"),
        (b'{"": "600"}', "'' is not a setting"),
        (b'{"PROCESSING_TIMEOUT": "600\\nLD_PRELOAD=/tmp/x.so"}', "must be a whole number from 60 to 3600"),
        (b'{"PROCESSING_TIMEOUT": "600 "}', "must be a whole number"),
        (b'{"PROCESSING_TIMEOUT": "59"}', "must be a whole number"),
        (b'{"PROCESSING_TIMEOUT": "3601"}', "must be a whole number"),
        (b'{"PROCESSING_TIMEOUT": "-600"}', "must be a whole number"),
        (b'{"PROCESSING_TIMEOUT": 6e2}', "must be a whole number"),
        (b'{"PROCESSING_TIMEOUT": NaN}', "must be a whole number"),
        (b'{"PROCESSING_TIMEOUT": true}', "must be a whole number"),
        (b'{"PROCESSING_TIMEOUT": ["600"]}', "must be a whole number"),
        ('{"PROCESSING_TIMEOUT": "٦٠٠"}'.encode(), "must be a whole number"),
        (b'{"LOG_LEVEL": "debug"}', "must be one of DEBUG, INFO"),
        (b'{"LOG_LEVEL": "DEBUG\\n"}', "must be one of DEBUG, INFO"),
        (b'{"LOG_LEVEL": null}', "must be one of DEBUG, INFO"),
    ],
)
def test_all_else_is_refused_and_what_holds_stays(overrides: Run, tmp_path: Path, data: bytes, why: str) -> None:
    assert overrides(b'{"LOG_LEVEL": "INFO"}') == (0, "")
    code, said = overrides(data)
    assert (code, said.count("\n")) == (1, 1)
    assert said.startswith("nothing is set: ")
    assert why in said
    assert parse_environment_file((tmp_path / "overrides.env").read_text()) == {"LOG_LEVEL": "INFO"}


@pytest.mark.parametrize("content", [None, "{", "[]", "{}", '{"LOG_LEVEL": "any"}', '{"LOG_LEVEL": {"type": "any"}}'])
def test_a_list_that_cannot_be_read_or_allows_nothing_allows_nothing(
    overrides: Run, tmp_path: Path, content: str | None
) -> None:
    allowed = tmp_path / "overrides.json"
    allowed.unlink() if content is None else allowed.write_text(content)
    assert overrides(b'{"LOG_LEVEL": "INFO"}')[0] == 1
    assert not (tmp_path / "overrides.env").exists()


def test_a_list_that_is_a_link_is_not_followed(overrides: Run, tmp_path: Path) -> None:
    (tmp_path / "overrides.json").rename(tmp_path / "elsewhere")
    (tmp_path / "overrides.json").symlink_to("elsewhere")
    assert overrides(b'{"LOG_LEVEL": "INFO"}')[0] == 1


@pytest.mark.parametrize("name", LOADING)
def test_a_name_that_changes_how_programs_load_is_refused_by_root_and_before(
    overrides: Run, tmp_path: Path, name: str
) -> None:
    rule = {"type": "int", "min": 0, "max": 9}
    (tmp_path / "overrides.json").write_text(json.dumps({name: rule}))
    assert f"'{name}' is not a setting" in overrides(json.dumps({name: 1}).encode())[1]
    with pytest.raises(OptionError, match="changes how programs load"):
        read_rules("policy_overrides_allowed", {name: rule})


@pytest.mark.parametrize("name", HARMLESS)
def test_a_name_that_only_looks_like_one_is_allowed_by_both(overrides: Run, tmp_path: Path, name: str) -> None:
    rule = {"type": "int", "min": 0, "max": 9}
    (tmp_path / "overrides.json").write_text(json.dumps({name: rule}))
    assert overrides(json.dumps({name: 1}).encode()) == (0, "")
    assert set(read_rules("policy_overrides_allowed", {name: rule})) == {name}


def test_root_and_the_modules_mean_the_same() -> None:
    root, packages = program("overrides"), program("packages")
    assert f"{root.DIRECTORY}/{root.WRITTEN}" == of_service.ENV_FILE
    assert packages.NAME.pattern == on_hosts.NAME.pattern
    assert f"DPkg::Lock::Timeout={on_hosts.LOCK_TIMEOUT_S}" in packages.COMMANDS["reinstall"]
    for command in (on_hosts.UPDATE, on_hosts.CONFIGURE, on_hosts.reinstall("ffmpeg")):
        assert command[1] in packages.COMMANDS


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["install"],
        ["update", "-o"],
        ["configure", "bash"],
        ["reinstall"],
        ["reinstall", "ffmpeg", "bash"],
        ["reinstall", "-o"],
        ["reinstall", "./x.deb"],
        ["reinstall", "/tmp/x.deb"],
        ["reinstall", "ffmpeg-"],
        ["reinstall", "ffmpeg=1"],
        ["reinstall", "ffmpeg/sid"],
        ["reinstall", "ffmpeg\n"],
    ],
)
def test_other_packages_and_options_are_refused_before_anything_is_run(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-I", FILES / "packages.py", *arguments], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: packages")
