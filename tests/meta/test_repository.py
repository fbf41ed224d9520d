"""What holds for the repository as a whole, and what reviewers would otherwise have to look for."""

from __future__ import annotations

import ast
import re
import stat
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2 import Environment, nodes
from packaging.requirements import Requirement

from tools.runbook_map import ROOT, Collection, Task, read_tasks

LINK = "playbooks/collections/ansible_collections/media_ops/runbook"
MODULES = sorted((ROOT / "plugins/modules").glob("*.py"))
HOST_CODE = sorted([*MODULES, *(ROOT / "plugins/module_utils").rglob("*.py")])
PLUGIN_FILES = sorted(path for path in (ROOT / "plugins").rglob("*.py") if path.name != "__init__.py")
ROLES = sorted(path for path in (ROOT / "roles").iterdir() if path.is_dir())
PLAYBOOKS = sorted((ROOT / "playbooks").glob("*.yml"))
HEAVY = {"requests", "urllib3", "boto3", "botocore", "psutil", "jmespath"}
API_GROUP = "group/media_ops.runbook.api"


def short(path: Path) -> str:
    return str(path.relative_to(ROOT))


def by_path(paths: list[Path]) -> pytest.MarkDecorator:
    assert paths, "nothing to look at"
    return pytest.mark.parametrize("path", paths, ids=short)


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], check=True, capture_output=True, text=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).exists()]


def constant(path: Path, name: str) -> Any:
    """The YAML text that a plugin keeps in a constant."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and [name] == [getattr(target, "id", "") for target in node.targets]:
            return yaml.safe_load(ast.literal_eval(node.value))
    return None


@pytest.fixture(scope="module")
def collection() -> Collection:
    return Collection(ROOT)


# --- the tree


def test_collection_finds_itself_through_the_committed_link() -> None:
    assert (ROOT / LINK).is_symlink()
    assert str((ROOT / LINK).readlink()) == "../../../.."
    assert (ROOT / LINK).resolve() == ROOT


def test_no_big_file() -> None:
    assert [short(path) for path in tracked() if not path.is_symlink() and path.stat().st_size > 500_000] == []


def test_no_package_registry_is_named() -> None:
    """Registries are the machine's own business: a mirror must do as well."""
    names = [("pypi", "org"), ("pythonhosted", "org"), ("registry", "npmjs"), ("galaxy", "ansible", "com")]
    names += [("deb", "debian", "org"), ("quay", "io"), ("ghcr", "io"), ("docker", "io")]
    pattern = re.compile("|".join(re.escape(".".join(parts)) for parts in names))
    found = [short(path) for path in tracked() if path.is_file() and pattern.search(path.read_text("utf-8", "ignore"))]
    assert found == []


@by_path(sorted([*(ROOT / "tools").glob("*.sh"), ROOT / ".ci/run"]))
def test_script_can_be_run_and_stops_at_errors(path: Path) -> None:
    assert path.stat().st_mode & stat.S_IXUSR
    assert "\nset -euo pipefail\n" in path.read_text(encoding="utf-8")


def test_versions_of_ansible_agree() -> None:
    required = load(ROOT / "meta/runtime.yml")["requires_ansible"]
    assert re.fullmatch(r">=\d+\.\d+\.0", required)
    least = required.removeprefix(">=").removesuffix(".0")
    assert f'"ansible-core>={least},' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for role in ROLES:
        assert load(role / "meta/main.yml")["galaxy_info"]["min_ansible_version"] == least, role.name


def test_steps_are_those_of_the_runbook() -> None:
    original = ROOT.parent / "shared/runbook_steps.yml"
    if not original.exists():
        pytest.skip("no shared/ beside this clone")
    assert (ROOT / "docs/runbook_steps.yml").read_text(encoding="utf-8") == original.read_text(encoding="utf-8")


# --- plugins


@by_path(PLUGIN_FILES)
def test_plugin_names_its_licence(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    head = lines[1:4] if path in MODULES else lines[:3]
    assert head[0].startswith("# Copyright: (c) ")
    assert head[1].startswith("# GNU General Public License v3.0+ (see LICENSE or ")
    assert head[2] == "# SPDX-License-Identifier: GPL-3.0-or-later"


@by_path(MODULES)
def test_module_is_documentation_and_a_short_main(path: Path) -> None:
    documentation = constant(path, "DOCUMENTATION")
    assert documentation["module"] == path.stem
    assert documentation["version_added"]
    assert constant(path, "EXAMPLES")
    assert constant(path, "RETURN")
    functions = [node for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef)]
    lengths = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in functions}
    if "HostModule" not in (ROOT / "plugins/action" / path.name).read_text(encoding="utf-8"):
        assert lengths == {}, "the action does the work"
    else:
        assert lengths["main"] <= 30


@by_path(MODULES)
def test_module_is_in_the_action_group_exactly_when_it_has_its_options(path: Path) -> None:
    fragments = (constant(path, "DOCUMENTATION") or {}).get("extends_documentation_fragment") or []
    has_options = "media_ops.runbook.api" in ([fragments] if isinstance(fragments, str) else fragments)
    assert (path.stem in load(ROOT / "meta/runtime.yml")["action_groups"]["api"]) == has_options


def test_action_group_names_modules_only() -> None:
    listed = load(ROOT / "meta/runtime.yml")["action_groups"]["api"]
    assert sorted(listed) == sorted(set(listed) & {path.stem for path in MODULES})


@by_path(HOST_CODE)
def test_code_for_hosts_runs_on_python_3_9_and_imports_heavy_libraries_late(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))
    imported = {alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in tree.body if isinstance(node, ast.ImportFrom)}
    assert not HEAVY & {name.partition(".")[0] for name in imported}


@by_path([path for path in HOST_CODE if path not in MODULES])
def test_logic_below_modules_knows_no_ansible_module(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert "AnsibleModule" not in names


# --- roles


@by_path(ROLES)
def test_role_is_documented(path: Path) -> None:
    assert (path / "README.md").is_file()
    assert load(path / "meta/argument_specs.yml")["argument_specs"]


@by_path(ROLES)
def test_argument_specs_and_entry_points_agree(path: Path, collection: Collection) -> None:
    specs = load(path / "meta/argument_specs.yml")["argument_specs"]
    files = {file.stem for file in (path / "tasks").glob("*.yml")}
    assert {entry for entry in specs if files} <= files
    entries = {name for hit in collection.reached.values() for group in hit.values() for name in group}
    called = {name.partition("/")[2] for name in entries if name.startswith(f"{path.name}/")}
    assert called <= set(specs), "called without having its arguments checked"


@by_path(ROLES)
def test_documented_defaults_are_the_defaults(path: Path) -> None:
    files = [*(path / "defaults").glob("*.yml"), *(path / "defaults/main").glob("*.yml")]
    defaults = {key: value for file in files for key, value in (load(file) or {}).items()}
    for entry, spec in load(path / "meta/argument_specs.yml")["argument_specs"].items():
        for name, option in (spec.get("options") or {}).items():
            assert option.get("required") or name in defaults, f"{entry}: {name} has no default and is not required"
            if "default" in option:
                assert option["default"] == defaults.get(name), f"{entry}: {name}"


def conditions(task: Task) -> Iterator[str]:
    """The expressions of a task, and of its asserts, that decide something."""
    assertion = task.data.get("ansible.builtin.assert")
    asserted = assertion.get("that") if isinstance(assertion, dict) else None
    keys = ("when", "until", "failed_when", "changed_when")
    for found in (asserted, *(task.data.get(key) for key in keys)):
        yield from map(str, found if isinstance(found, list) else [] if found is None else [found])


@by_path(sorted([*PLAYBOOKS, *(path for path in (ROOT / "roles").glob("*/tasks/**/*.yml"))]))
def test_no_threshold_outside_the_policy(path: Path) -> None:
    """0 and 1 say whether there is something; any other figure of a condition belongs to role policy."""
    literal = re.compile(r"(?:[<>]=?|[=!]=)\s*(-?\d+(?:\.\d+)?)")
    texts = [text for task in read_tasks(path) for one in task.walk() for text in conditions(one)]
    assert [text for text in texts if set(literal.findall(text)) - {"0", "1"}] == []


GUARDS = {"gather_facts": False, "strategy": "linear", "any_errors_fatal": False, "debugger": "never", "timeout": 0}
"""What a play says itself, since a site's configuration or environment could say otherwise."""


@by_path(PLAYBOOKS)
def test_each_play_asks_for_its_hosts_and_switches_no_guard_off(path: Path) -> None:
    plays = [play for play in load(path) if "hosts" in play]
    for play in plays:
        assert play["hosts"].startswith("{{ lookup('media_ops.runbook.fleet'"), play["name"]
        assert {key: play.get(key) for key in GUARDS} == GUARDS, play["name"]
        # One host after the other: one that is lost does not end the turn of the next.
        acts = "serial" in play or "carry_out" in str(play)
        assert play.get("ignore_unreachable", False) == acts, play["name"]


@by_path([*PLAYBOOKS, *sorted((ROOT / "playbooks/vars").glob("*.yml")), *sorted((ROOT / "roles").glob("*/*/**/*.yml"))])
def test_an_undefined_name_in_a_variable_of_a_site_is_no_default(path: Path) -> None:
    """`x | default(y)` gives y also where a name inside of x is undefined; a lookup of the variable x does not."""
    ours = re.compile(
        r"\b(?:media_ops|policy|report|incident|automation|schedule|prepare|healthcheck|emergency)_(?!result)\w+"
    )
    texts = [text for text in expressions(load(path)) if re.search(r"\|\s*default\(", text)]
    named = [match for text in texts for match in ours.findall(text.partition("|")[0])]
    assert named == []


def test_checks_of_the_policy_name_steps_of_the_runbook(collection: Collection) -> None:
    steps = {step for section in collection.sections.values() for step in section}
    checks = load(ROOT / "roles/policy/defaults/main/checks.yml")["policy_checks"]
    assert {check["step"] for check in checks} <= steps


# --- playbooks


def test_playbooks_are_flat() -> None:
    """The link in playbooks/collections finds the collection from here, and from nowhere below."""
    below = [path for path in (ROOT / "playbooks").glob("*/**/*.yml") if "collections" not in path.parts]
    assert {path.parent.name for path in below} <= {"vars"}


@by_path(PLAYBOOKS)
def test_playbook_is_short_and_gives_its_modules_their_connection(path: Path, collection: Collection) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 45, "logic belongs to a role"
    api = set(load(ROOT / "meta/runtime.yml")["action_groups"]["api"])
    for play in collection.playbooks[path]:
        assert play.name
        if api & collection.modules_of([play], path):
            assert API_GROUP in play.data["module_defaults"]


@by_path(PLAYBOOKS)
def test_playbook_that_reports_ends_with_the_gate(path: Path, collection: Collection) -> None:
    """Without it a run that found something critical would end with exit code 0."""
    for play in collection.playbooks[path]:
        roles = [list(task.arguments("import_role", "include_role")) for task in play.children]
        calls = [(call["name"], call.get("tasks_from", "main")) for task in roles for call in task]
        if ("media_ops.runbook.report", "main") in calls:
            assert calls[-1] == ("media_ops.runbook.report", "gate")
        if ("media_ops.runbook.report", "watched") in calls:
            assert calls[-1] == ("media_ops.runbook.report", "watched")


def test_a_watch_tells_people_first_and_ends_with_the_gate() -> None:
    ends = [task["ansible.builtin.import_tasks"] for task in load(ROOT / "roles/report/tasks/watched.yml")]
    assert ends == ["notify.yml", "main.yml", "told.yml", "metrics.yml", "gate.yml"]


def test_observing_goes_on_when_a_host_does_not_answer(collection: Collection) -> None:
    """A host that is unreachable, or whose module fails, must come to a verdict: action check sees to that."""
    asking = [
        (short(path), one)
        for path, tasks in collection.role_tasks.items()
        if collection.role_of(path) == "healthcheck"
        for task in tasks
        for one in task.walk()
        if any(re.fullmatch(r"media_ops\.runbook\.(check|\w+_(info|probe))", key) for key in one.data)
    ]
    assert asking
    for path, task in asking:
        assert "media_ops.runbook.check" in task.data, (path, task.name)
        assert task.data.get("register") == "healthcheck_result", (path, task.name)


# --- expressions: YAML says what, Python says how

BARE = {"when", "until", "failed_when", "changed_when", "that"}


def expressions(value: Any, key: str = "") -> Iterator[str]:
    """Every expression in a task file, of templates and of keywords that take a bare one."""
    if isinstance(value, dict):
        for name, entry in value.items():
            yield from expressions(entry, str(name))
    elif isinstance(value, list):
        for entry in value:
            yield from expressions(entry, key)
    elif isinstance(value, str):
        found = re.findall(r"\{\{(.*?)\}\}", value, re.DOTALL)
        yield from found or ([value] if key in BARE else [])


def complicated(path: Path) -> list[str]:
    """Expressions with more than one filter or one test, or that join texts."""
    environment = Environment(autoescape=True)
    wrong = []
    for text in expressions(load(path)):
        tree = environment.parse("{{ " + text + " }}")
        counts = [len(list(tree.find_all(kind))) for kind in (nodes.Filter, nodes.Test, nodes.Concat)]
        if counts[0] > 1 or counts[1] > 1 or counts[2]:
            wrong.append(text.strip())
    return wrong


@by_path([*PLAYBOOKS, *sorted((ROOT / "roles").glob("*/tasks/**/*.yml"))])
def test_an_expression_decides_nothing(path: Path) -> None:
    assert complicated(path) == []


# --- what is installed


@pytest.mark.parametrize("group", ["run", "dev"])
def test_every_package_is_locked_within_its_range(group: str) -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        groups = tomllib.load(file)["dependency-groups"]
    wanted = [Requirement(text) for text in [*groups["run"], *groups[group]] if isinstance(text, str)]
    text = (ROOT / f"tools/locks/{group}.txt").read_text(encoding="utf-8").replace("\\\n", " ")
    locked: dict[str, list[str]] = {}
    for line in text.splitlines():
        requirement, *hashes = line.split(" --hash=sha256:")
        assert hashes, line
        locked.setdefault(Requirement(requirement).name.lower(), []).append(requirement.split("==")[1].split()[0])
    lacking = [one for one in wanted if not all(one.specifier.contains(v) for v in locked.get(one.name.lower(), ["0"]))]
    assert lacking == [], "run tools/lock.sh"
