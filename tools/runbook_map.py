"""Write docs/runbook_map.md: each step of the runbook, the playbook, role and module that carry it out, and its tests.

usage: runbook_map.py [--check]

A step is named by a comment line of the form `# runbook: DM-1, DM-2`. In YAML it belongs to the task that it stands in
or above (before the `---`: to the whole file), in a module to the module, in a test to the function that it stands in
or above. Comments below tests/ and molecule/ name tests. `# runbook-differs: DM-1: why` is a remark on a step that is
carried out otherwise than by the runbook's shell line. --check writes nothing and fails when the map is stale.
Both fail when a step that docs/runbook_open.yml does not list has no task or no test.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import sys
import tokenize
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
NAMESPACE = "media_ops.runbook."
BUILTIN = "ansible.builtin."
NEVER_OPEN = ("DM-", "DE-", "TQ-", "QR-")
COMMENT = re.compile(r"\s*# runbook(?P<differs>-differs)?:\s+(?P<text>.*?)\s*$")
LOOKS_LIKE = re.compile(r"\s*#+\s*runbook[-_ ]?(differs)?\s*:", re.IGNORECASE)
FQCN = re.compile(r"[a-z_]+\.[a-z_]+\.[a-z0-9_]+")
INCLUDE_ROLE = ("include_role", "import_role")
INCLUDE_TASKS = ("include_tasks", "import_tasks")
NESTED = ("block", "rescue", "always", "tasks", "pre_tasks", "post_tasks", "handlers")


class MapError(Exception):
    """Something that a person wrote wrongly, with its place."""


@dataclass(frozen=True)
class Remark:
    """One comment: the ids it names, and the reason when it is a remark."""

    path: Path
    line: int
    ids: tuple[str, ...]
    differs: str = ""


@dataclass
class Task:
    """A task, block or play, with the line of its first key."""

    line: int
    data: dict[str, Any]
    children: list[Task] = field(default_factory=list)

    @property
    def name(self) -> str:
        return str(self.data.get("name", "")) or next((key for key in self.data if FQCN.fullmatch(key)), "")

    def walk(self) -> Iterator[Task]:
        yield self
        for child in self.children:
            yield from child.walk()

    def arguments(self, *actions: str) -> Iterator[dict[str, Any]]:
        """The arguments with which this task alone calls one of the actions; `_raw` is the free form."""
        for action in actions:
            for key in (action, f"ansible.builtin.{action}"):
                if key in self.data:
                    given = self.data[key]
                    yield given if isinstance(given, dict) else {"_raw": given}


@dataclass(frozen=True, order=True)
class Place:
    """Where a step is carried out."""

    playbooks: tuple[str, ...]
    entries: tuple[str, ...]
    what: str
    path: str
    modules: tuple[str, ...]


@dataclass(frozen=True, order=True)
class Test:
    """What proves a step."""

    path: str
    name: str


@dataclass
class Row:
    """One step of the map."""

    says: str
    places: set[Place] = field(default_factory=set)
    tests: set[Test] = field(default_factory=set)
    remarks: list[str] = field(default_factory=list)

    @property
    def playbooks(self) -> list[str]:
        return sorted({name for place in self.places for name in place.playbooks})

    @property
    def lacking(self) -> list[str]:
        return [what for what, found in (("task", self.playbooks), ("test", self.tests)) if not found]


def plain(node: yaml.Node) -> Any:
    """A YAML node as Python data; tags such as !vault are passed over."""
    if isinstance(node, yaml.MappingNode):
        return {str(plain(key)): plain(value) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [plain(value) for value in node.value]
    return node.value


def tasks_of(node: yaml.Node | None) -> list[Task]:
    """The tasks or plays of a list, with those nested in them."""
    if not isinstance(node, yaml.SequenceNode):
        return []
    tasks = []
    for item in node.value:
        if isinstance(item, yaml.MappingNode):
            children = [child for key, value in item.value if key.value in NESTED for child in tasks_of(value)]
            tasks.append(Task(item.start_mark.line + 1, plain(item), children))
    return tasks


def read_tasks(path: Path) -> list[Task]:
    """The tasks or plays of a file; none when it is a file of variables."""
    try:
        return tasks_of(yaml.compose(path.read_text(encoding="utf-8")))
    except yaml.YAMLError as error:
        raise MapError(f"{path}: {error}") from error


def as_pattern(name: object) -> str:
    """A name that may be a template, as a pattern of file names."""
    return re.sub(r"\{\{.*?\}\}", "*", str(name))


def role_name(listed: object) -> str:
    """The name of an entry of a list of roles."""
    return str(listed.get("role", listed.get("name")) if isinstance(listed, dict) else listed)


def read_comments(path: Path) -> Iterator[Remark]:
    """The comments of fixed form of one file."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        tokens = tokenize.generate_tokens(io.StringIO(text).readline)
        lines = [(token.start[0], token.string) for token in tokens if token.type == tokenize.COMMENT]
    else:
        lines = list(enumerate(text.splitlines(), 1))
    for number, line in lines:
        match = COMMENT.fullmatch(line)
        if not match:
            if LOOKS_LIKE.match(line):
                raise MapError(
                    f"{path}:{number}: '{line.strip()}' is not '# runbook: ID, ID' or '# runbook-differs: ID: why'"
                )
            continue
        ids, _, why = match["text"].partition(":") if match["differs"] else (match["text"], "", "")
        if match["differs"] and not why.strip():
            raise MapError(f"{path}:{number}: a remark needs its reason: '# runbook-differs: ID: why'")
        yield Remark(path, number, tuple(part.strip() for part in ids.split(",")), why.strip())


class Collection:
    """The collection's files below a root, and who takes in whom."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.sections: dict[str, dict[str, dict[str, str]]] = yaml.safe_load(
            (root / "docs/runbook_steps.yml").read_text(encoding="utf-8")
        )
        self.open: list[str] = (
            yaml.safe_load((root / "docs/runbook_open.yml").read_text(encoding="utf-8"))["open"] or []
        )
        self.role_tasks = {path: read_tasks(path) for path in sorted((root / "roles").glob("*/tasks/**/*.yml"))}
        self.playbooks = {path: read_tasks(path) for path in sorted((root / "playbooks").glob("*.yml"))}

    def comments(self, *patterns: str) -> list[Remark]:
        """The comments in files by pattern, without what the tools leave behind."""
        paths = [path for pattern in patterns for path in sorted(self.root.glob(pattern)) if path.is_file()]
        left = {"collections", "output", "__pycache__"}
        return [
            one
            for path in paths
            if not left.intersection(path.relative_to(self.root).parts)
            for one in read_comments(path)
        ]

    def role_of(self, path: Path) -> str:
        return path.relative_to(self.root / "roles").parts[0]

    def entry_name(self, path: Path) -> str:
        """A task file as people call it: role/entry."""
        return f"{self.role_of(path)}/{'/'.join(path.relative_to(self.root / 'roles').with_suffix('').parts[2:])}"

    def entry(self, role: str, tasks_from: str) -> set[Path]:
        """The files of a role's entry point, and the role's directory, which stands for its defaults and templates."""
        role = role.removeprefix(NAMESPACE)
        pattern = f"roles/{role}/tasks/{tasks_from.removesuffix('.yml')}.yml"
        return {path for path in self.role_tasks if path.match(pattern)} | {self.root / "roles" / role}

    def included(self, task: Task, role: str) -> set[Path]:
        """What a task, play or block of a role takes in: task files, and directories of roles."""
        found: set[Path] = set()
        for one in task.walk():
            for call in one.arguments(*INCLUDE_TASKS):
                pattern = as_pattern(call.get("file", call.get("_raw")))
                found.update(path for path in self.role_tasks if role and path.match(f"roles/{role}/tasks/{pattern}"))
            for call in one.arguments(*INCLUDE_ROLE):
                found |= self.entry(as_pattern(call.get("name")), as_pattern(call.get("tasks_from", "main")))
            for listed in one.data.get("roles", []):
                found |= self.entry(role_name(listed), "main")
        return found

    def closure(self, start: set[Path]) -> set[Path]:
        """All that is taken in, directly or not."""
        seen: set[Path] = set()
        todo = list(start)
        while todo:
            path = todo.pop()
            if path in seen:
                continue
            seen.add(path)
            if path in self.role_tasks:
                todo += [more for task in self.role_tasks[path] for more in self.included(task, self.role_of(path))]
            elif (meta := path / "meta/main.yml").is_file():
                needed = (yaml.safe_load(meta.read_text(encoding="utf-8")) or {}).get("dependencies") or []
                todo += [more for listed in needed for more in self.entry(role_name(listed), "main")]
        return seen

    def plays(self, playbook: Path) -> Iterator[Task]:
        """The plays of a playbook, with those of the playbooks that it imports."""
        for play in self.playbooks.get(playbook, []):
            yield play
            for call in play.arguments("import_playbook"):
                name = str(call["_raw"]).removeprefix(NAMESPACE).removesuffix(".yml")
                yield from self.plays(playbook.with_name(f"{name}.yml"))

    @cached_property
    def reached(self) -> dict[Path, dict[str, set[str]]]:
        """For each task file and role directory: the playbooks that reach it, and by which entry points."""
        reached: dict[Path, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        for playbook in self.playbooks:
            for play in self.plays(playbook):
                for first in self.included(play, ""):
                    entries = {self.entry_name(first)} if first in self.role_tasks else set()
                    for path in self.closure({first}):
                        reached[path][playbook.stem] |= entries
        return reached

    def modules_of(self, tasks: list[Task], path: Path) -> set[str]:
        """This collection's modules that tasks of a file call, here or in what they include; else the others."""
        role = self.role_of(path) if path in self.role_tasks else ""
        taken = self.closure({more for task in tasks for more in self.included(task, role)})
        reachable = [*tasks, *(task for file in taken for task in self.role_tasks.get(file, []))]
        called = {key for task in reachable for one in task.walk() for key in one.data if FQCN.fullmatch(key)}
        own = {name.removeprefix(NAMESPACE) for name in called if name.startswith(NAMESPACE)}
        return own or {name.removeprefix(BUILTIN) for name in called} - {*INCLUDE_ROLE, *INCLUDE_TASKS}

    def users(self, module: str) -> set[Path]:
        """The task files and playbooks that call a module themselves."""
        everything = {**self.role_tasks, **self.playbooks}
        name = NAMESPACE + module
        return {
            path for path, tasks in everything.items() if any(name in one.data for task in tasks for one in task.walk())
        }

    def place(self, remark: Remark, named: set[str]) -> Place:
        """Where a comment says that its steps are carried out. `named`: the playbooks that name the step themselves."""
        path = remark.path
        relative = path.relative_to(self.root)
        where = f"{relative}:{remark.line}: names {', '.join(remark.ids)}, but"
        tasks = self.role_tasks.get(path) or self.playbooks.get(path) or []
        task = owner(tasks, path, remark.line)
        if relative.parts[:2] == ("plugins", "modules"):
            modules, files = {path.stem}, self.users(path.stem)
        elif relative.parts[0] == "plugins":
            raise MapError(f"{where} that is said at the module or task using this")
        elif path in self.role_tasks or path in self.playbooks:
            modules, files = self.modules_of([task] if task else tasks, path), {path}
        else:
            # Variables and templates of a role serve all that use it: they say what, the tasks say from which playbook.
            return Place((), (), "", str(relative), ())
        hits = [self.reached[file] for file in files if file in self.reached]
        playbooks = {name for hit in hits for name in hit} | {file.stem for file in files if file in self.playbooks}
        if not playbooks:
            raise MapError(f"{where} no playbook reaches it")
        entries = {entry for hit in hits for group in hit.values() for entry in group}
        return Place(
            tuple(sorted(playbooks & named or playbooks)),
            tuple(sorted(entries)),
            task.name if task else "",
            str(relative),
            tuple(sorted(modules)),
        )

    def test(self, remark: Remark) -> Test:
        """The test that a comment names: a function, or a task of a molecule scenario."""
        path = str(remark.path.relative_to(self.root))
        if remark.path.suffix == ".py":
            name = python_owner(remark.path.read_text(encoding="utf-8"), remark.line)
        else:
            task = owner(read_tasks(remark.path), remark.path, remark.line)
            name = task.name if task else None
        if not name:
            raise MapError(f"{path}:{remark.line}: names {', '.join(remark.ids)}, but stands in or above no test")
        return Test(path, name)


def following(lines: list[str], line: int) -> int:
    """The number of the first line after a line that is neither blank nor a comment; 0 where there is none."""
    return next(
        (
            number
            for number, text in enumerate(lines[line:], line + 1)
            if text.strip() and not text.lstrip().startswith("#")
        ),
        0,
    )


def owner(tasks: list[Task], path: Path, line: int) -> Task | None:
    """The task that a comment stands in or above; none above the `---` or in a file without tasks."""
    lines = path.read_text(encoding="utf-8").splitlines()
    after = following(lines, line) or line
    candidates = [one for task in tasks for one in task.walk() if one.line <= after]
    return max(candidates, key=lambda task: task.line, default=None)


def python_owner(text: str, line: int) -> str | None:
    """The test function or class that a comment stands in, or right above."""
    after = following(text.splitlines(), line)
    best: str | None = None
    todo: list[tuple[ast.AST, str]] = [(ast.parse(text), "")]
    for node, prefix in todo:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                start = min([child.lineno, *(decorator.lineno for decorator in child.decorator_list)])
                name = f"{prefix}{child.name}"
                if child.name.startswith(("test_", "Test")) and (
                    start == after or start <= line <= (child.end_lineno or start)
                ):
                    best = name
                todo.append((child, f"{name}."))
    return best


def add(collection: Collection, rows: dict[str, Row], remarks: Iterable[Remark], *, tests: bool) -> Iterator[str]:
    """Put what comments say into the rows; yields what is wrong."""
    remarks = list(remarks)
    named: dict[str, set[str]] = defaultdict(set)
    for remark in remarks:
        if remark.path in collection.playbooks and not remark.differs:
            for step in remark.ids:
                named[step].add(remark.path.stem)
    for remark in remarks:
        for step in remark.ids:
            row = rows.get(step)
            try:
                if row is None:
                    where = f"{remark.path.relative_to(collection.root)}:{remark.line}"
                    yield f"{where}: '{step}' is no step of the runbook (docs/runbook_steps.yml)"
                elif remark.differs:
                    row.remarks.append(remark.differs)
                elif tests:
                    row.tests.add(collection.test(remark))
                else:
                    row.places.add(collection.place(remark, named[step]))
            except MapError as error:
                yield str(error)


def gaps(collection: Collection, rows: dict[str, Row]) -> Iterator[str]:
    """Steps that lack something and are not listed as open, and the other way round."""
    yield from (
        f"docs/runbook_open.yml: '{step}' is no step of the runbook" for step in collection.open if step not in rows
    )
    for step, row in rows.items():
        listed = step in collection.open
        if listed and step.startswith(NEVER_OPEN):
            yield f"docs/runbook_open.yml: {step} may not be open"
        elif listed and not row.lacking:
            yield f"docs/runbook_open.yml: {step} has a task and a test by now: take it out"
        elif row.lacking and not listed:
            yield f"{step} ({row.says}) has no {' and no '.join(row.lacking)}"


def trace(collection: Collection) -> tuple[dict[str, Row], list[str]]:
    """The rows of the map, and what is wrong with them."""
    rows = {step: Row(facts["says"]) for section in collection.sections.values() for step, facts in section.items()}
    carrying_out = collection.comments("playbooks/**/*.yml", "roles/**/*.yml", "roles/**/*.j2", "plugins/**/*.py")
    testing = collection.comments("tests/**/*.py", "molecule/**/*.yml")
    errors = [*add(collection, rows, carrying_out, tests=False), *add(collection, rows, testing, tests=True)]
    return rows, sorted({*errors, *gaps(collection, rows)})


def code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def link(path: str, text: str) -> str:
    return f"[{text or Path(path).name}](../{path})".replace("|", "\\|")


def render(collection: Collection, rows: dict[str, Row]) -> str:
    """The map as Markdown."""
    done = sum(not row.lacking for row in rows.values())
    lines = [
        "# Runbook map",
        "",
        "Written by `make docs` from the comments `# runbook: ID` in playbooks, roles, modules and tests; do not edit.",
        f"{done} of {len(rows)} steps are carried out and tested; the others are marked *open*.",
    ]
    for section, steps in collection.sections.items():
        lines += ["", f"## {section.replace('_', ' ').capitalize()}", ""]
        lines += [
            "| Step | Runbook | Playbook | Role entry: task | Module | Test | Carried out differently |",
            "| --- | --- | --- | --- | --- | --- | --- |",
        ]
        for step in steps:
            row = rows[step]
            places = sorted(row.places)
            cells = [
                step,
                row.says,
                code(row.playbooks) or "*open*",
                "<br>".join(
                    ": ".join(part for part in (code(place.entries), link(place.path, place.what)) if part)
                    for place in places
                ),
                code(sorted({name for place in places for name in place.modules})),
                "<br>".join(link(test.path, test.name) for test in sorted(row.tests)),
                " ".join(row.remarks),
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main(argv: list[str]) -> int:
    """Write or check the map; 1 when something is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing, compare")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    target = args.root / "docs/runbook_map.md"
    try:
        collection = Collection(args.root)
        rows, errors = trace(collection)
    except MapError as error:
        print(f"error: {error}")
        return 1
    text = render(collection, rows)
    if not args.check:
        target.write_text(text, encoding="utf-8")
    elif not target.exists() or target.read_text(encoding="utf-8") != text:
        errors.append("docs/runbook_map.md is stale: run make docs")
    for line in errors:
        print(f"error: {line}")
    print(
        f"runbook map: {sum(not row.lacking for row in rows.values())} of {len(rows)} steps done, {len(errors)} errors"
    )
    return int(bool(errors))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
