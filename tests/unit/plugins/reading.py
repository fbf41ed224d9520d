"""What code and templates read of a thing, by their text, to be held against what is given to them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

from ansible_collections.media_ops.runbook.plugins.plugin_utils.host_action import documented
from jinja2 import Environment, nodes

ROOT = Path(__file__).resolve().parents[3]
PLUGINS = ROOT / "plugins"
TEMPLATES = ROOT / "roles/report/templates"


@cache
def _tree(name: str) -> ast.Module:
    return ast.parse((PLUGINS / name).read_text(encoding="utf-8"))


def _bare(node: ast.expr) -> str:
    """The name of what is looked at, without what only makes a mapping of it, as `mapping(x)`, `x or {}`."""
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "mapping":
        return _bare(node.args[0])
    if isinstance(node, ast.BoolOp):
        return _bare(node.values[0])
    return ast.unparse(node)


def _text(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _looks(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Each look by a fixed key: what is looked at, and the key."""
    for node in ast.walk(tree):
        at: ast.expr | None = None
        key: str | None = None
        if isinstance(node, ast.Subscript):
            at, key = node.value, _text(node.slice)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("get", "pop"):
            at, key = node.func.value, _text(node.args[0]) if node.args else None
        elif isinstance(node, ast.Compare) and isinstance(node.ops[0], (ast.In, ast.NotIn)):
            at, key = node.comparators[0], _text(node.left)
        if at is not None and key is not None:
            yield _bare(at), key


def read_by(name: str, *variables: str, functions: tuple[str, ...] = ()) -> set[str]:
    """The keys that a file below plugins/ reads of variables, or only some functions of it do.

    A test that asks for what is not there is of no use, so that nothing read is an error.
    """
    trees: list[ast.AST] = [_tree(name)]
    if functions:
        trees = [n for n in ast.walk(_tree(name)) if isinstance(n, ast.FunctionDef) and n.name in functions]
        assert sorted(n.name for n in trees if isinstance(n, ast.FunctionDef)) == sorted(functions)
    keys = {key for tree in trees for at, key in _looks(tree) if at in variables}
    assert keys, f"{name} reads nothing of {', '.join(variables)}"
    return keys


def shown_by(template: str, *variables: str) -> set[str]:
    """The keys that a template of role report reads of variables."""
    text = (TEMPLATES / template).read_text(encoding="utf-8")
    tree = Environment(autoescape=True).parse(text)
    keys = {
        node.attr
        for node in tree.find_all(nodes.Getattr)
        if isinstance(node.node, nodes.Name) and node.node.name in variables
    }
    assert keys, f"{template} shows nothing of {', '.join(variables)}"
    return keys


def returned(module: str, *path: str) -> set[str]:
    """What a module's RETURN names, at its top or within one of its values."""
    found: dict[str, Any] = documented(module, "RETURN")
    for name in path:
        found = found[name]["contains"]
    return set(found)


def sampled(module: str, name: str, *path: str | int) -> set[str]:
    """The keys of what a module's RETURN shows as an example."""
    found: Any = documented(module, "RETURN")[name]["sample"]
    for part in path:
        found = found[part]
    return set(found)


def told(module: str, name: str, *within: str) -> set[str]:
    """The names that a module's RETURN describes in words, C(one) and C(another)."""
    value: dict[str, Any] = documented(module, "RETURN")[name]
    for part in within:
        value = value["contains"][part]
    described = value["description"]
    text = described if isinstance(described, str) else " ".join(described)
    return {word.partition(")")[0] for word in text.split("C(")[1:]}


def keys_of(kind: Any) -> set[str]:
    """The keys of a TypedDict."""
    return set(get_type_hints(kind))
