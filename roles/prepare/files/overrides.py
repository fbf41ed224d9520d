# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Replace the service's overrides by those given as a JSON object on stdin; an empty object removes them all.

systemd reads the file as root, so root writes it. Who may run this as root, by the sudo rule of role
media_ops.runbook.prepare, chooses among what ALLOWED permits, and nothing else: it takes no argument, goes by no
variable and follows no path of the caller's.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import sys
from typing import Any

DIRECTORY = "/etc/media-ops"
ALLOWED, WRITTEN, TEMPORARY = "overrides.json", "overrides.env", ".overrides.env.new"
HEADER = "# Overrides, by media_ops.runbook.service_config. The service reads them after its own files.\n"
MAX_BYTES = 16384
NAME = re.compile(r"[A-Z][A-Z0-9_]{0,63}\Z")
# What needs no quoting in an environment file
PLAIN = re.compile(r"[A-Za-z0-9_.:/+-]{1,200}\Z")
WHOLE = re.compile(r"[0-9]{1,12}\Z")
# Names that change how programs load, or where they look. A test holds this and module_utils/service/rules.py together.
LOADS = re.compile(
    r"(LD_|DYLD_|GLIBC_|GCONV_|MALLOC_|PYTHON|PERL|RUBY|JAVA_|JDK_|LUA_|BASH|COR_|CORECLR_|DOTNET_)"
    r"|(IFS|ENV|HOME|SHELL|SHELLOPTS|PS4|TMPDIR|HOSTALIASES|LOCALDOMAIN|TERMINFO|TERMCAP)\Z"
    r"|.*(PATH|PRELOAD|OPTIONS|_OPTS|_ARGS|_FLAGS|_HOME|_ENV)\Z"
)


class RefusedError(Exception):
    """What is said of what was not done, in one line."""


def main() -> int:
    """Exit code: 0 done, 1 refused or failed, 2 for arguments, with a line on stderr."""
    if len(sys.argv) > 1:
        print("usage: overrides, without arguments and with a JSON object on stdin", file=sys.stderr)
        return 2
    try:
        given = read_given(sys.stdin.buffer.read(MAX_BYTES + 1))
        directory = os.open(DIRECTORY, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(directory, fcntl.LOCK_EX)
            replace(directory, checked(given, read_allowed(directory)))
        finally:
            os.close(directory)
    except (RefusedError, OSError) as error:
        print(f"nothing is set: {error}", file=sys.stderr)
        return 1
    return 0


def read_given(data: bytes) -> dict[str, Any]:
    """The overrides that are to hold, not yet checked."""
    if len(data) > MAX_BYTES:
        raise RefusedError(f"more than {MAX_BYTES} bytes on stdin")
    given = parsed(data, "stdin")
    if not isinstance(given, dict):
        raise RefusedError("no JSON object on stdin")
    return given


def read_allowed(directory: int) -> dict[str, Any]:
    """Which may be set, as root has written it."""
    with os.fdopen(os.open(ALLOWED, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=directory), "rb") as file:
        allowed = parsed(file.read(), f"{DIRECTORY}/{ALLOWED}")
    if not isinstance(allowed, dict):
        raise RefusedError(f"{DIRECTORY}/{ALLOWED} is not a JSON object")
    return allowed


def parsed(data: bytes, where: str) -> object:
    """What a JSON text says."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise RefusedError(f"{where} is not JSON") from None


def checked(given: dict[str, Any], allowed: dict[str, Any]) -> dict[str, str]:
    """The overrides by name, each as it is written."""
    return {name: value_of(name, given[name], allowed) for name in sorted(given)}


def value_of(name: str, given: object, allowed: dict[str, Any]) -> str:
    """The value as it is written, where the name and the value are allowed."""
    rule = allowed.get(name)
    if not NAME.match(name) or LOADS.match(name) or not isinstance(rule, dict):
        raise RefusedError(f"{name[:80]!a} is not a setting that {DIRECTORY}/{ALLOWED} allows")
    value = str(given)
    if rule.get("type") == "choice":
        choices = [str(choice) for choice in rule.get("choices") or ()]
        if value in choices and PLAIN.match(value):
            return value
        raise RefusedError(f"{name} is {value[:80]!a}: must be one of {', '.join(choices)}")
    low, high = int(rule.get("min", 1)), int(rule.get("max", 0))
    if rule.get("type") == "int" and WHOLE.match(value) and low <= int(value) <= high:
        return str(int(value))
    raise RefusedError(f"{name} is {value[:80]!a}: must be a whole number from {low} to {high}")


def replace(directory: int, overrides: dict[str, str]) -> None:
    """Write the file whole or not at all; without overrides there is none."""
    if not overrides:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(WRITTEN, dir_fd=directory)
        os.fsync(directory)
        return
    text = HEADER + "".join(f"{name}={value}\n" for name, value in overrides.items())
    opened = os.open(TEMPORARY, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600, dir_fd=directory)
    with os.fdopen(opened, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        # Whatever umask the caller has: numbers and choices are no secrets.
        os.fchmod(opened, 0o644)
        os.fsync(opened)
    os.rename(TEMPORARY, WRITTEN, src_dir_fd=directory, dst_dir_fd=directory)
    os.fsync(directory)


if __name__ == "__main__":
    sys.exit(main())
