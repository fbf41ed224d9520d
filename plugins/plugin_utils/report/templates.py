# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jinja templates for people: HTML and Markdown out of documents whose text is foreign.

All text of a document is made one line, freed of control characters, and escaped for the template's language unless the
template itself says otherwise. What a template includes or extends is looked for beside it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Callable

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError, TemplateNotFound, TemplateSyntaxError
from markupsafe import Markup

from ...module_utils.errors import MediaOpsError, OptionError
from ...module_utils.shapes import Json, number, one_line
from ...module_utils.times import from_text
from ..judging.verdict import as_text
from .charts import FIGURE_MAX, seconds
from .compiled import CompiledTemplates, default_directory

WORDS = {"ok": "OK", "warning": "Warning", "unknown": "Unknown", "critical": "Critical"}
# A shape of its own for each state: colour alone tells some people nothing.
SYMBOLS = {"ok": "✓", "warning": "▲", "unknown": "?", "critical": "✕"}
_TEXT_MAX = 500
_KINDS = {".html.j2": True, ".html": True, ".md.j2": False, ".md": False}


def is_html(template_path: str) -> bool:
    """Whether a template makes HTML; else it makes Markdown.

    Raises:
        OptionError: its name tells neither.
    """
    html = next((html for suffix, html in _KINDS.items() if template_path.endswith(suffix)), None)
    if html is None:
        raise OptionError(
            "template_path", template_path, f"its name must end in {', '.join(_KINDS)}, to know how to escape"
        )
    return html


def seen(document: Json, view_of: Callable[[Json], dict[str, Any]], contract: str) -> tuple[Json, dict[str, Any]]:
    """The document made harmless, and what ``view_of`` makes of it for a template.

    Raises:
        OptionError: it is none that ``contract`` tells of.
    """
    cleaned = _clean(document)
    try:
        return cleaned, view_of(cleaned)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        why = f"it does not keep to {contract} ({type(error).__name__}: {one_line(error)})"
        raise OptionError("document", one_line(repr(document), 80), why) from error


def fill(template_path: str, **values: Any) -> str:
    """What a template makes of some values; ``*.html.j2`` gets HTML's escaping, ``*.md.j2`` Markdown's.

    Raises:
        OptionError: the template, or one that it needs, is none that can be used.
        MediaOpsError: the template fails; names the file, and the line where it is known.
    """
    path = Path(template_path)
    try:
        return _environment(path.parent, html=is_html(template_path)).get_template(path.name).render(**values)
    except TemplateNotFound as error:
        raise OptionError("template_path", template_path, f"there is no file {error.name} that can be read") from error
    except TemplateSyntaxError as error:
        raise MediaOpsError(f"template {error.filename or path}, line {error.lineno}: {error.message}") from error
    except TemplateError as error:
        raise MediaOpsError(f"template {path}: {error}") from error


@lru_cache(maxsize=8)  # templates are kept compiled, and compiled anew when their files change
def _environment(directory: Path, *, html: bool) -> Environment:
    # Markdown has no autoescape of its own in Jinja: finalize sees the value of each expression instead.
    environment = Environment(
        loader=FileSystemLoader(str(directory)),
        autoescape=html,  # noqa: S701  Markdown is escaped by finalize
        finalize=_unbroken if html else _markdown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        bytecode_cache=CompiledTemplates(default_directory(), __file__),
    )
    environment.filters.update(
        percent=percent,
        duration=duration,
        bytes=byte_size,
        when=when,
        figure=figure,
        state_label=state_label,
        state_symbol=state_symbol,
        code=_code,
        code_block=_code_block,
    )
    return environment


# --- filters of the templates -----------------------------------------------------------------------------------------

NOTHING = "\u2013"


def percent(ratio: object) -> str:
    """A ratio of 0..1 as per cent: 0.1 is "10 %"."""
    value = number(ratio)
    return NOTHING if value is None else as_text(value, "ratio")


def duration(value: object) -> str:
    """Seconds for people, two units at most."""
    known = number(value)
    if known is None or abs(known) > FIGURE_MAX:
        return NOTHING
    return ("-" if known < 0 else "") + seconds(abs(known))


def byte_size(value: object) -> str:
    """Bytes for people, in powers of 1024: 1536 is "1.5 KiB"."""
    size = number(value)
    if size is None:
        return NOTHING
    exponent = min(int(math.log(abs(size), 1024)), 5) if abs(size) >= 1024 else 0
    return f"{size / 1024**exponent:.3g} {('B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB')[exponent]}"


def when(text: object) -> str:
    """A time of the document for people: "2026-11-24 06:00 UTC"."""
    moment = from_text(text)
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment else NOTHING


def figure(value: object, unit: str = "") -> str:
    """An observed value with its unit."""
    known = number(value)
    if known is None:
        return NOTHING if value is None or value == "" else str(value)
    return duration(known) if unit == "s" else as_text(known, unit)


def state_label(state: str) -> str:
    """The word for a state."""
    return WORDS.get(state, WORDS["unknown"])


def state_symbol(state: str) -> str:
    """The sign of a state, which tells it without colour."""
    return SYMBOLS.get(state, SYMBOLS["unknown"])


def _unbroken(value: object) -> object:
    """A number stays on one line with its unit. What a template has escaped itself (a command) stays exact."""
    return _UNIT.sub("\u00a0", value) if isinstance(value, str) and not isinstance(value, Markup) else value


_UNIT = re.compile(r"(?<=\d) (?=(?:%|(?:ms|s|min|h|d)\b))")
_MARKDOWN = re.compile(r"([\\`*_\[\]|~#$])")


def _markdown(value: object) -> object:
    """Foreign text for Markdown: no table, emphasis, link, formula or HTML comes of it."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    text = re.sub(r"\s*[\r\n]\s*", " ", value).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKDOWN.sub(r"\\\1", text).replace("://", "\\://").replace("www.", "www\\.")


def _code(value: object, *, cell: bool = False) -> Markup:
    """A code span of Markdown. In a cell of a table a pipe must be escaped even there."""
    text = " ".join(str(value).split())
    if cell:
        text = text.replace("|", "\\|")
    fence = "`" * (_longest_run(text) + 1)
    pad = " " if text.startswith("`") or text.endswith("`") or not text else ""
    return Markup(f"{fence}{pad}{text}{pad}{fence}")  # noqa: S704  fenced


def _code_block(value: object) -> Markup:
    fence = "`" * max(3, _longest_run(str(value)) + 1)
    return Markup(f"{fence}sh\n{' '.join(str(value).split())}\n{fence}")  # noqa: S704  fenced


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall(r"`+", text)), default=0)


# --- foreign text -----------------------------------------------------------------------------------------------------


def _clean(value: Any, limit: int = _TEXT_MAX) -> Any:
    """A copy of plain types: text on one line and bounded, numbers finite, anything else None."""
    if isinstance(value, str):
        return _line(value, limit)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, (int, float)):
        return number(value)
    if isinstance(value, Mapping):
        # A command is to be copied: half of one is worse than a long one.
        return {_line(k): _clean(v, 100_000 if k == "command" else limit) for k, v in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        return [_clean(item, limit) for item in value]
    return None


def _line(text: object, limit: int = 200) -> str:
    fine = isinstance(text, str) and len(text) <= limit and text.isprintable()
    return str(text) if fine else one_line(text, limit)
