"""The house rules of plugins/: who imports whom, and where a module's logic lies."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from tools.house import CONTROLLER, HOST, PICTURE, ROOT, House, circle, main, package

HOUSE = House(ROOT)
MODULES = [name for name in HOUSE.files if name[0] == "modules"]
HOST_FILES = [name for name in HOUSE.files if name[0] == HOST]
# The ground: what all subjects stand on knows none of them.
GROUND = ("system", "state")


def named_by_the_table() -> set[tuple[str, str]]:
    """The arrows of the table `| package | may import |` in docs/architecture.md."""
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    head, rows = text.partition("| package | may import |\n")[1:]
    assert head, "docs/architecture.md has no table of packages"
    arrows = set()
    for line in rows.splitlines()[1:]:
        if not line.startswith("|"):
            break
        one, others = (re.findall(r"`(\w+)`", cell) for cell in line.strip("|").split("|"))
        arrows |= {(name, other) for name in one for other in others}
    return arrows


def test_packages_import_each_other_in_no_circle() -> None:
    assert circle(HOUSE.arrows) == []


def test_files_import_each_other_in_no_circle() -> None:
    arrows = {("/".join(name), "/".join(other)) for name, others in HOUSE.imports.items() for other in others}
    assert circle(arrows) == []


def test_every_arrow_is_named_in_the_table_and_every_arrow_of_the_table_is_there() -> None:
    named = named_by_the_table()
    assert sorted(HOUSE.arrows - named) == [], "the table of docs/architecture.md does not allow it"
    assert sorted(named - HOUSE.arrows) == [], "nothing imports it any more: take it out of the table"


@pytest.mark.parametrize("name", GROUND)
def test_the_ground_imports_no_subject(name: str) -> None:
    assert {other for one, other in HOUSE.arrows if one == name} <= {"shared"}


def test_what_runs_on_hosts_imports_nothing_of_the_controller() -> None:
    found = {(name, other) for name in [*HOST_FILES, *MODULES] for other in HOUSE.imports[name]}
    assert sorted((name, other) for name, other in found if other[0] not in (HOST, "modules")) == []


def done_by_an_action(name: tuple[str, ...]) -> bool:
    """Whether a module is documentation alone, because the action of its name does the work."""
    body = ast.parse(HOUSE.files[name].read_text(encoding="utf-8")).body
    return ("action", name[1]) in HOUSE.files and not any(isinstance(node, ast.FunctionDef) for node in body)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, id=name[1]) for name in MODULES if not done_by_an_action(name)],
)
def test_logic_of_a_module_lies_in_a_file_of_its_name(name: tuple[str, ...]) -> None:
    imported = sorted(other for other in HOUSE.imports[name] if other[0] == HOST)
    assert [other for other in imported if len(other) == 3 and other[2] == name[1]], imported


def test_what_lies_in_module_utils_runs_on_hosts() -> None:
    """What only the controller needs lies in plugin_utils, so that nobody takes it for code of hosts."""
    assert sorted("/".join(name) for name in set(HOST_FILES) - HOUSE.closure(MODULES)) == []


def test_what_lies_in_plugin_utils_is_needed_by_a_plugin() -> None:
    plugins = [name for name in HOUSE.files if name[0] not in (HOST, CONTROLLER)]
    below = {name for name in HOUSE.files if name[0] == CONTROLLER}
    assert sorted("/".join(name) for name in below - HOUSE.closure(plugins)) == []


def test_no_package_hands_names_on() -> None:
    """Nothing but what a module imports travels to a host; an `__init__` that imports would take its package along."""
    inits = [path for path in HOUSE.root.rglob("__init__.py") if ast.parse(path.read_text(encoding="utf-8")).body]
    assert inits == []


def test_picture_is_shown_where_the_house_is_described() -> None:
    assert f"]({Path(PICTURE).name})" in (ROOT / "docs/architecture.md").read_text(encoding="utf-8")


# --- the tool itself, on a small made-up house

Write = Callable[[dict[str, str]], House]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def put(files: dict[str, str]) -> House:
        for name, text in files.items():
            path = tmp_path / "plugins" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        (tmp_path / "docs").mkdir(exist_ok=True)
        return House(tmp_path)

    return put


SMALL = {
    "modules/look.py": "from ..module_utils.eye.look import look\n",
    "module_utils/eye/look.py": "from ..errors import E\nfrom . import lens\ndef f():\n    from ..hand import hold\n",
    "module_utils/eye/lens.py": "import json\n",
    "module_utils/hand/hold.py": "import ansible_collections.media_ops.runbook.plugins.module_utils.errors\n",
    "module_utils/errors.py": "from ansible.errors import AnsibleError\n",
    "filter/tell.py": "from ansible_collections.media_ops.runbook.plugins.plugin_utils.words import say\n",
    "plugin_utils/words/say.py": "",
}


def test_imports_are_followed_in_every_form(write: Write) -> None:
    house = write(SMALL)
    assert house.arrows == {
        ("modules", "eye"),
        ("eye", "shared"),
        ("eye", "hand"),
        ("hand", "shared"),
        ("filter", "words"),
    }
    assert house.imports["module_utils", "eye", "look"] == {
        ("module_utils", "errors"),
        ("module_utils", "eye", "lens"),
        ("module_utils", "hand", "hold"),
    }
    assert house.floors == {"shared": 0, "hand": 1, "eye": 2, "modules": 3, "words": 0, "filter": 1}
    assert package(("doc_fragments", "clock")) == ""


def test_circle_is_an_error(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    house = write({**SMALL, "module_utils/hand/hold.py": "from ..eye import lens\n"})
    assert circle(house.arrows) == ["eye", "hand"]
    assert main(["--root", str(house.root.parent)]) == 1
    assert "in a circle: eye, hand" in capsys.readouterr().out


def test_check_passes_on_what_was_written_and_fails_on_a_stale_picture(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write(SMALL).root.parent
    assert main(["--check", "--root", str(root)]) == 1
    assert "docs/house.svg is stale: run make docs" in capsys.readouterr().out
    assert main(["--root", str(root)]) == 0
    assert main(["--check", "--root", str(root)]) == 0
    write({"module_utils/hand/hold.py": ""})
    assert main(["--check", "--root", str(root)]) == 1


def test_boxes_of_the_picture_do_not_lie_on_each_other() -> None:
    text = (ROOT / PICTURE).read_text(encoding="utf-8")
    found = re.findall(r'<rect x="(\d+)" y="(\d+)" width="(\d+)" height="34"', text)
    boxes = sorted((int(y), int(x), int(wide)) for x, y, wide in found)
    assert len(boxes) == len(HOUSE.packages)
    for (y, x, wide), (next_y, next_x, _wide) in pairwise(boxes):
        assert next_y >= y + 34 or next_x > x + wide
