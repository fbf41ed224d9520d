"""What a template of Ansible's can come to, as far as that follows from values that are written down."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from itertools import product
from typing import Any

from jinja2 import Environment, TemplateError, nodes

Known = Mapping[str, Any]
Values = list[Any] | None  # the values that are possible; None where that cannot be told
SAME = ("list", "unique", "string", "trim")
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda one, other: bool(one == other),
    "ne": lambda one, other: bool(one != other),
    "in": lambda one, other: one in other,
    "notin": lambda one, other: one not in other,
}
PARSER = Environment(autoescape=False)  # noqa: S701 (nothing is rendered)


class Missing:
    """A key that a known mapping lacks."""

    def __bool__(self) -> bool:
        return False


MISSING = Missing()


def is_template(value: object) -> bool:
    return isinstance(value, str) and ("{{" in value or "{%" in value)


def plainly(values: list[Any]) -> Values:
    """Values, unless one is itself a template."""
    return None if any(is_template(value) for value in values) else values


def item(value: Any, key: Any) -> Any:
    if isinstance(value, Mapping):
        return value.get(key, MISSING)
    if isinstance(value, list) and isinstance(key, int) and -len(value) <= key < len(value):
        return value[key]
    return MISSING


def either(node: Any, known: Known) -> Values:
    """`left or right`, `left and right`: what they leave open only where it matters."""
    left, right = of_node(node.left, known), of_node(node.right, known)
    decides = isinstance(node, nodes.Or)
    if left is None:
        # `unknown and false` is false, whatever the left is.
        return right if not decides and right is not None and not any(right) else None
    done = [value for value in left if bool(value) == decides]
    if len(done) == len(left):
        return done
    return None if right is None else done + right


def compared(node: Any, known: Known) -> Values:
    left, right = of_node(node.expr, known), of_node(node.ops[0].expr, known)
    compare = COMPARE.get(node.ops[0].op)
    if left is None or right is None or compare is None or len(node.ops) > 1:
        return None
    try:
        return [compare(one, other) for one, other in product(left, right)]
    except TypeError:
        return None


def filtered(node: Any, known: Known) -> Values:
    values = of_node(node.node, known) if node.node else None
    if values is None:
        return None
    if node.name in ("default", "d"):
        other = of_node(node.args[0], known) if node.args else [""]
        lacks = any(value is MISSING for value in values)
        return values if not lacks else None if other is None else [v for v in values if v is not MISSING] + other
    if node.name == "bool" and all(isinstance(value, bool) for value in values):
        return values
    return values if node.name in SAME else None


def joined(parts: list[nodes.Expr], known: Known) -> list[Any]:
    """Texts put together; `*` stands for a part that is not known."""
    options = [of_node(part, known) for part in parts]
    texts = [["*"] if values is None else [str(value) for value in values] for values in options]
    return ["".join(one) for one in product(*texts)]


def chosen(node: Any, known: Known) -> Values:
    """`a if test else b`: both where the test is not known."""
    test = of_node(node.test, known)
    tests = {True, False} if test is None else {bool(value) for value in test}
    found: list[Any] = []
    for wanted, branch in ((True, node.expr1), (False, node.expr2)):
        if wanted in tests:
            values = of_node(branch, known) if branch else [""]
            if values is None:
                return None
            found += values
    return found


def looked_up(node: Any, known: Known) -> Values:
    values = of_node(node.node, known)
    keys = [node.attr] if isinstance(node, nodes.Getattr) else of_node(node.arg, known)
    if values is None or keys is None:
        return None
    return plainly([item(value, key) for value, key in product(values, keys)])


def listed(node: Any, known: Known) -> Values:
    options = [of_node(one, known) for one in node.items]
    return None if None in options else [list(one) for one in product(*(one or [] for one in options))]


def negated(node: Any, known: Known) -> Values:
    values = of_node(node.node, known)
    return None if values is None else [not value for value in values]


OF_KIND: dict[type[nodes.Node], Callable[[Any, Known], Values]] = {
    nodes.Const: lambda node, _known: [node.value],
    nodes.TemplateData: lambda node, _known: [node.data],
    nodes.Name: lambda node, known: plainly([known[node.name]]) if node.name in known else None,
    nodes.Getattr: looked_up,
    nodes.Getitem: looked_up,
    nodes.List: listed,
    nodes.CondExpr: chosen,
    nodes.Or: either,
    nodes.And: either,
    nodes.Not: negated,
    nodes.Compare: compared,
    nodes.Filter: filtered,
    nodes.Concat: lambda node, known: joined(node.nodes, known),
}


def of_node(node: nodes.Node, known: Known) -> Values:
    """The values that an expression can have; a kind that is not listed can have any."""
    of_kind = OF_KIND.get(type(node))
    return of_kind(node, known) if of_kind else None


def parsed(text: str) -> list[nodes.Node] | None:
    """The parts of a template; none for one that is more than text and expressions."""
    try:
        with warnings.catch_warnings():  # of the escapes in a regular expression
            warnings.simplefilter("ignore", DeprecationWarning)
            body = PARSER.parse(text).body
    except TemplateError:
        return None
    if not all(isinstance(one, nodes.Output) for one in body):
        return None
    return [part for one in body if isinstance(one, nodes.Output) for part in one.nodes]


def values_of(given: Any, known: Known) -> Values:
    """What a value of YAML can be: itself, or what its template comes to."""
    if isinstance(given, str) and is_template(given):
        parts = parsed(given)
        if parts is None:
            return None
        return of_node(parts[0], known) if len(parts) == 1 else joined(list(parts), known)  # type: ignore[arg-type]
    if given in ("true", "false"):
        return [given == "true"]
    return [given]


def names_in(given: Any) -> set[str]:
    """The variables that a template mentions."""
    return {
        name.name
        for part in parsed(str(given)) or []
        for name in [part, *part.find_all(nodes.Name)]
        if isinstance(name, nodes.Name)
    }


def patterns(given: Any, known: Known) -> list[str]:
    """A name that may be a template, as patterns of names."""
    values = values_of(given, known)
    return ["*"] if values is None else [str(value) for value in values]


def matching(value: Any, names: list[str]) -> Values:
    """A value with an open part, as those of the names that it can be."""
    if not isinstance(value, str) or "*" not in value:
        return [value]
    return [name for name in names if fnmatchcase(name, value)] or None


def certainly_not(conditions: Any, known: Known) -> bool:
    """Whether a `when` is known to be false."""
    for one in conditions if isinstance(conditions, list) else [conditions]:
        values = values_of("{{ " + str(one) + " }}", known)
        if values is not None and not any(values):
            return True
    return False
