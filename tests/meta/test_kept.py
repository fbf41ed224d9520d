"""tests/kept: runs of Ansible use what earlier ones worked out, and nothing of it that is outdated."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
MODULE = """
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.media_ops.runbook.plugins.module_utils.word import WORD
module = AnsibleModule({})
module.exit_json(said=WORD)
"""
ACTION = """
from ansible.plugins.action import ActionBase
from ansible_collections.media_ops.runbook.plugins.plugin_utils.mark import MARK
class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        return {**self._execute_module(module_name="media_ops.runbook.say", task_vars=task_vars), "mark": MARK}
"""

Say = Callable[[], tuple[str, str]]


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    """A small collection of our name: what its module and its action say is in a file of each side."""
    root = tmp_path / "ansible_collections" / "media_ops" / "runbook"
    for name, content in {
        "modules/say.py": MODULE,
        "action/say.py": ACTION,
        "module_utils/word.py": "WORD = 'one'\n",
        "plugin_utils/mark.py": "MARK = 'a'\n",
    }.items():
        path = root / "plugins" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return root


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return tmp_path / "kept"


@pytest.fixture
def say(collection: Path, kept: Path) -> Say:
    """Run the action; what its module said, and its own mark."""

    def run() -> tuple[str, str]:
        done = subprocess.run(
            [str(Path(sys.executable).with_name("ansible")), "localhost", "-m", "media_ops.runbook.say"],
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT / "tests" / "kept"),
                "MEDIA_OPS_KEPT": str(kept),
                "ANSIBLE_COLLECTIONS_PATH": str(collection.parents[2]),
                "NO_COLOR": "1",
            },
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        answer = yaml.safe_load(done.stdout.partition("=>")[2])
        return answer["said"], answer["mark"]

    return run


def test_a_later_run_uses_what_is_kept_and_nothing_outdated(say: Say, collection: Path, kept: Path) -> None:
    assert say() == ("one", "a")
    first = {path.name: path.stat().st_mtime_ns for path in kept.iterdir()}
    kinds = {name.partition("-")[0] for name in first}
    assert kinds == {"code", "documentation", "meta", "payload", "settings"}
    assert say() == ("one", "a")
    assert {path.name: path.stat().st_mtime_ns for path in kept.iterdir()} == first

    (collection / "plugins/module_utils/word.py").write_text("WORD = 'two'\n", encoding="utf-8")
    (collection / "plugins/plugin_utils/mark.py").write_text("MARK = 'b'\n", encoding="utf-8")
    assert say() == ("two", "b")
    module = collection / "plugins/modules/say.py"
    module.write_text(MODULE.replace("said=WORD", "said=WORD * 2"), encoding="utf-8")
    assert say() == ("twotwo", "b")


def test_where_nothing_can_be_kept_ansible_works_as_without(say: Say, kept: Path) -> None:
    kept.write_text("no directory", encoding="utf-8")
    assert say() == ("one", "a")
    assert kept.read_text(encoding="utf-8") == "no directory"


def test_code_of_an_archive_is_that_of_its_source_and_knows_its_file(tmp_path: Path, kept: Path) -> None:
    kept.mkdir()
    archive = tmp_path / "first.zip"
    program = "import a.b; print(a.b.__file__, a.b.NAME, a.b.tell.__code__.co_filename); a.b.tell()"

    def run() -> tuple[str, str]:
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONPATH": f"{archive}:{ROOT / 'tests' / 'kept'}", "MEDIA_OPS_KEPT": str(kept)},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        return done.stdout, done.stderr

    for number in range(3):
        # The third has a new source; the second lies elsewhere, with the same.
        archive = tmp_path / f"{number}.zip"
        with zipfile.ZipFile(archive, "w") as made:
            made.writestr("a/__init__.py", b"")
            made.writestr("a/b.py", b"NAME = %d\r\ndef tell():\r\n    raise ValueError(NAME)\r\n" % (number // 2))
        said, wrong = run()
        assert said == f"{archive}/a/b.py {number // 2} {archive}/a/b.py\n"
        assert f'File "{archive}/a/b.py", line 3, in tell' in wrong
        assert len(list(kept.iterdir())) == 2 + number // 2
