# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secrets taken out of texts, documents and command lines, before any of it is kept or shown.

By shape (keys, tokens, webhooks), by name (whatever is assigned to a name such as API_TOKEN, in any common notation),
and by value (what is known to be a secret of the service, wherever it stands). Removes rather too much than too little.
"""

from __future__ import annotations

import base64
import functools
import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlsplit

REMOVED = "[removed]"
# A shorter value says nothing, and to replace it everywhere would leave a text that says nothing either.
_VALUE_MIN = 6

_FUSED = re.compile(r"secret|token|passw|passphrase|credential|apikey|webhook|cookie|signature")
_WORDS = {"auth", "authorization", "bearer", "jwt", "pwd", "sig", "key", "keys", "dsn", "dbpass", "passin", "passout"}
_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)", re.S),
        REMOVED,
    ),
    (re.compile(r"\b(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{12,}"), REMOVED),
    # Whole, or the first characters of one, as services log them
    (re.compile(r"\beyJ[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*)*"), REMOVED),
    # In prose: secret key (first 10): x1, JWT secret is 'x1', token prefix x1
    (
        re.compile(
            r"(?i)((?<![a-z])(?:token|secret|password|passphrase|(?:secret|signing|api)[_ -]?key)"
            r"(?:\s{1,4}(?:is|was|loaded|received|prefix|used|value|starts?|begins?|with|first|\([^()\n]{0,40}\))){0,4}"
            r"\s{0,4}[:=]?\s{1,4}[\"']?)(?=[^\s\"',}]{0,80}[0-9])[A-Za-z0-9+/=_-]{6,}"
        ),
        rf"\1{REMOVED}",
    ),
    (re.compile(r"(?i)\b(bearer|basic)[ +]+(?:(?=[^\s\"',]*[0-9=])[^\s\"',]{8,}|[^\s\"',]{20,})"), rf"\1 {REMOVED}"),
    # A password may hold a slash that should be written %2F; a port before a path is none.
    (
        re.compile(r"(?<=://)(?:[^/\s\"'<>?#:]{0,100}:(?!\d{1,5}[/?#])[^\s\"'<>]{1,300}|[^/\s\"'<>?#]{1,300})@"),
        f"{REMOVED}@",
    ),
    (
        re.compile(
            r"(?i)(hooks\.slack(?:-gov)?\.com|discord(?:app)?\.com/api/webhooks|webhook\.office\.com"
            r"|events(?:\.eu)?\.pagerduty\.com/integration|/webhook[\w.-]{0,40})/[^\s\"'<>\\]+"
        ),
        rf"\1/{REMOVED}",
    ),
    (re.compile(r"\b(?:xox[a-z]-|xapp-|gh[pousr]_|github_pat_|glpat-|hvs\.|AIza|sk-)[A-Za-z0-9_-]{10,}"), REMOVED),
    # 40 characters of base64, as secret keys of AWS are; a commit has no capitals
    (
        re.compile(r"(?<![\w+/.-])(?=\S{0,39}[a-z])(?=\S{0,39}[A-Z])(?=\S{0,39}\d)[A-Za-z0-9+/]{40}(?![\w+/.-])"),
        REMOVED,
    ),
    # command lines: curl -u user:password, mysql -ppassword, openssl -passin pass:password
    (
        re.compile(r"(?<!\S)(-[uU]\s{0,4}|--(?:proxy-)?user[\s=]{1,4})([\"']?[^\s:\"']{1,100}):[^\s\"']+"),
        rf"\1\2:{REMOVED}",
    ),
    (
        re.compile(
            r"\b((?:mysql|mariadb|sshpass)[^\n]{0,200}?\s-p|sshpass\s{1,4}-p\s{1,4}|redis-cli\b[^\n]{0,200}?\s-a\s{1,4}"
            r"|ldapsearch\b[^\n]{0,200}?\s-w\s{1,4})[^\s\"']+"
        ),
        rf"\1{REMOVED}",
    ),
    (re.compile(r"(?<![\w.-])pass:[^\s\"',]+"), f"pass:{REMOVED}"),
)
# What follows these options is a secret, though their names say nothing.
_SECRET_FLAGS = {"sshpass": "-p", "redis-cli": "-a", "ldapsearch": "-w"}
_USER_FLAGS = ("-u", "-U", "--user", "--proxy-user")
_JOINED_FLAG = re.compile(r"-p.", re.S)
# A name that may be a secret's, and what stands between it and its value. The bounds keep it linear.
_NAMED = re.compile(
    r"""(?:(?<![A-Za-z0-9_.-])(?!(?<=\\)[nrt])|(?<=\\[nrt]))(?P<option>-{0,2})(?P<name>[A-Za-z_][A-Za-z0-9_.-]{0,100})
    (?:
        \\{0,8}["']?\]?[ \t]{0,4}(?P<sign>=>|:=|=|:)[ \t]{0,4}  # NAME=value, "name": "value", x["name"] = 'value'
        |[ \t]+(?=[^\s-])                                      # --name value
        |\\{0,8}["'],[ \t]{0,4}(?=\\{0,8}["'])                # ['--name', 'value']
    )""",
    re.X,
)
# Texts that can hold none of the above, which are most of a document's: words, times, hexadecimal ids
_PLAIN = re.compile(r"[A-Za-z0-9_]{0,13}|[0-9T:.+Z-]{0,40}|[0-9a-f-]*")
_ESCAPE = re.compile(r"%[0-9A-F]{2}")
_QUOTE = re.compile(r"\\{0,8}[\"']")
_LIST = re.compile(r"\[[^\[\]{}]*\]")
# What may stand before a name that begins a line; the line ends its value.
_LINE_HEAD = re.compile(r"(?:\A|\n|\\[nr])[ \t]{0,20}(?:- |export |# ?)?\Z")
_LINE = re.compile(r"[^\r\n]*")
_HEADER = re.compile(r"[^\r\n\"',]+")
_PARAMETER = re.compile(r"[^\s\"'&]+")
_WORD = re.compile(r"[^\s\"']+")
_HARMLESS = re.compile(r"(?i)(?:true|false|null|none|[{\[]|" + re.escape(REMOVED) + r")[\s})\]]*")


@functools.lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Whether what goes by this name is taken for a secret: API_TOKEN, secretAccessKey, X-Amz-Signature, key."""
    if name.endswith(("Error", "Exception")):
        return False
    lowered = name.lower()
    if _FUSED.search(lowered):
        return True
    words = [word for word in re.split(r"[^a-z0-9]+", re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower()) if word]
    return bool(words) and (
        words[-1] in _WORDS
        or words[-2:] in (["key", "id"], ["key", "b64"], ["key", "base64"], ["key", "pem"])
        or (len(words) > 1 and words[-1] == "pass")
    )


def secret_values(variables: Mapping[str, str]) -> set[str]:
    """The values of an environment that are secrets by their name, and the passwords in its URLs."""
    found = {value for name, value in variables.items() if is_secret_name(name)}
    for value in variables.values():
        if "://" in value and "@" in value:
            try:
                found.add(urlsplit(value).password or "")
            except ValueError:
                found.add(value)
    # Of a value in several lines, each line may stand alone in a log.
    return {part for value in found for part in (value, *value.splitlines()) if len(part) >= _VALUE_MIN}


class Redactor:
    """Takes secrets out.

    Args:
        values: known secrets; those shorter than six characters are left to the other rules.
        patterns: further regular expressions; each whole match goes.
    """

    def __init__(self, values: Iterable[str] = (), patterns: Sequence[re.Pattern[str]] = ()) -> None:
        known = {value for value in values if len(value) >= _VALUE_MIN}
        written = {form for value in known for form in _written(value)}
        longest_first = sorted(written, key=lambda form: (-len(form), form))
        self._values = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None
        self._patterns = tuple(patterns)

    def text(self, text: str) -> str:
        """Any text: a log, output of a command, a configuration file."""
        if self._values:
            text = self._values.sub(REMOVED, text)
        for pattern in self._patterns:
            text = pattern.sub(REMOVED, text)
        if _PLAIN.fullmatch(text):
            return text
        for pattern, replacement in _SHAPES:
            text = pattern.sub(replacement, text)
        return _without_named(text)

    def data(self, data: Any, keep: Collection[str] = ()) -> Any:
        """A JSON document; of what goes by a secret's name, all texts and numbers go.

        Args:
            data: the document.
            keep: names of which the values stay as they are.
        """
        if isinstance(data, Mapping):
            return {self.text(str(key)): self._named(str(key), value, keep) for key, value in data.items()}
        if isinstance(data, (list, tuple)):
            return [self.data(element, keep) for element in data]
        return self.text(data) if isinstance(data, str) else data

    def _named(self, name: str, value: Any, keep: Collection[str]) -> Any:
        if name in keep:
            return value
        return _emptied(value) if is_secret_name(name) else self.data(value, keep)

    def argv(self, argv: Sequence[str]) -> list[str]:
        """The arguments of a process, its program first."""
        program = argv[0].rpartition("/")[2] if argv else ""
        shown: list[str] = []
        before = ""
        for argument in argv:
            name, equals, _value = argument.partition("=")
            if _is_secret_option(before) or before == _SECRET_FLAGS.get(program):
                shown.append(REMOVED)
            elif before in _USER_FLAGS and ":" in argument:
                shown.append(f"{argument.partition(':')[0]}:{REMOVED}")
            elif program.startswith(("mysql", "mariadb", "sshpass")) and _JOINED_FLAG.match(argument):
                shown.append(f"-p{REMOVED}")
            elif equals and (is_secret_name(name.lstrip("-")) or name == "--pass"):
                shown.append(f"{name}={REMOVED}")
            else:
                shown.append(self.text(argument))
            before = argument
        return shown


def _is_secret_option(argument: str) -> bool:
    """Whether the next argument is a secret. To ffmpeg, -pass is the number of a pass."""
    return argument == "--pass" or (
        argument.startswith("-") and "=" not in argument and is_secret_name(argument.lstrip("-"))
    )


def _written(value: str) -> list[str]:
    """The ways in which a value may stand in a text. Bytes that are no UTF-8 are read differently here and there."""
    raw = value.encode("utf-8", "surrogateescape")
    quoted, escaped = quote(value, safe="", errors="surrogateescape"), json.dumps(value)[1:-1]
    forms = [value, raw.decode("utf-8", "replace"), raw.hex(), raw.hex().upper()]
    forms += [quoted, _ESCAPE.sub(lambda match: match[0].lower(), quoted)]
    forms += [escaped, escaped.replace("/", "\\/")]
    # What stands before it in the same base64 moves it by up to two bytes; its ends are mixed with what is beside it.
    for before, lost in ((0, 0), (1, 2), (2, 3)):
        coded = base64.b64encode(bytes(before) + raw).decode("ascii")
        own = coded[lost : (before + len(raw)) * 4 // 3]
        forms += [own, own.replace("+", "-").replace("/", "_")]
    return [form for form in forms if len(form) >= _VALUE_MIN]


def redact(text: str) -> str:
    """A text without what looks like a secret."""
    return Redactor().text(text)


def _emptied(data: Any) -> Any:
    if isinstance(data, Mapping):
        return {key: _emptied(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_emptied(element) for element in data]
    return data if data is None or isinstance(data, bool) or data == "" else REMOVED


def _without_named(text: str) -> str:
    """Remove what is assigned to a secret's name. What another name has is searched too: it may hold a secret's."""
    pieces: list[str] = []
    kept = position = 0
    while match := _NAMED.search(text, position):
        position = match.end("name")
        if not _names_a_secret(text, match):
            continue
        begin, end = _value_span(text, match)
        if end > begin and not _HARMLESS.fullmatch(text, begin, end):
            pieces += [text[kept:begin], REMOVED]
            kept = position = end
    return "".join([*pieces, text[kept:]])


def _names_a_secret(text: str, match: re.Match[str]) -> bool:
    if match["sign"] is None and not match["option"]:
        return False
    # A line break that is written as \\n ends before the name, unless its letter is the first of it: \\token.
    escaped = text[max(0, match.start() - 2) : match.start()]
    return (
        is_secret_name(match["name"])
        or (match["option"] == "--" and match["name"] == "pass")
        or (escaped[:1] == "\\" and not match["option"] and is_secret_name(escaped[1:] + match["name"]))
    )


def _value_span(text: str, match: re.Match[str]) -> tuple[int, int]:
    """Where the value begins and ends, without its quotes."""
    begin = match.end()
    opening = _QUOTE.match(text, begin)
    if opening:
        return opening.end(), _closing(text, opening)
    in_list = _LIST.match(text, begin)
    if in_list:
        return in_list.span()
    before = text[max(0, match.start() - 32) : match.start()]
    if before[-1:] in ("?", "&"):
        value = _PARAMETER.match(text, begin)
    elif match["sign"] and _LINE_HEAD.search(before if match.start() > 32 else "\n" + before):
        value = _LINE.match(text, begin)
    else:
        value = (_HEADER if match["sign"] == ":" else _WORD).match(text, begin)
    return value.span() if value else (begin, begin)


def _closing(text: str, opening: re.Match[str]) -> int:
    """Where the quoted value ends: at the same quote with as many backslashes, else at the end of the line."""
    slashes, mark = len(opening.group()) - 1, opening.group()[-1]
    position = opening.end()
    while (found := text.find(mark, position)) >= 0:
        before = text[position:found]
        if "\n" in before:
            break
        if len(before) - len(before.rstrip("\\")) <= slashes:
            return found - (len(before) - len(before.rstrip("\\")))
        position = found + 1
    line_end = text.find("\n", position)
    return len(text) if line_end < 0 else line_end
