# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""JMESPath expressions that options give, checked before anything is asked. The library is loaded only where one is."""

from __future__ import annotations

from typing import Any, Callable

from .errors import MissingLibraryError, OptionError


class UnfitError(ValueError):
    """An expression does not fit the data that it was given."""


def compiled(option: str, expression: str) -> Callable[[Any], Any]:
    """Check an expression, down to its functions' names, and return what searches data by it.

    Args:
        option: the option that gives it.
        expression: of JMESPath.

    Returns:
        A function that takes data and gives what is found; it raises UnfitError where the data do not fit.

    Raises:
        MissingLibraryError: jmespath is not there.
        OptionError: it is no expression.
    """
    try:
        import jmespath
        import jmespath.exceptions
        import jmespath.functions
    except ImportError as error:
        raise MissingLibraryError("jmespath", "python3-jmespath", f"option '{option}' needs it") from error
    try:
        parsed = jmespath.compile(expression)
    except jmespath.exceptions.JMESPathError as error:
        position = getattr(error, "lexer_position", getattr(error, "lex_position", None))
        where = "" if position is None else f" at character {position}"
        raise OptionError(
            option, expression, f"is no JMESPath expression{where}: {str(error).partition(chr(10))[0]}"
        ) from error
    except RecursionError:
        raise OptionError(option, expression[:100], "is nested too deep") from None
    known = jmespath.functions.Functions.FUNCTION_TABLE
    waiting = [parsed.parsed]
    while waiting:
        node = waiting.pop()
        if node["type"] == "function_expression" and node["value"] not in known:
            where = f" at character {expression.find(node['value'])}"
            raise OptionError(
                option,
                expression,
                f"has the unknown function '{node['value']}'{where}; known are {', '.join(sorted(known))}",
            )
        waiting.extend(child for child in node["children"] if isinstance(child, dict))

    def search(data: Any) -> Any:
        try:
            return parsed.search(data)
        except (jmespath.exceptions.JMESPathError, TypeError, ValueError, RecursionError) as error:
            raise UnfitError(str(error)[:300]) from error

    return search
