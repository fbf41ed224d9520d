# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The evidence of an incident, gathered before anything is done about it: one archive, redacted, hashed and bounded.

Nothing that cannot be had stops the rest; the manifest names it with the reason. Each part is bounded, and passes the
redactor before it is kept. Files of the service are opened without following links; no program of the service is run.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import pwd
import re
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Callable

from ..deadline import Deadline, LateError, deadline_of
from ..errors import MediaOpsError, OptionError
from ..opener import open_directory, open_regular_at
from ..options import check_range, patterns_of
from ..redact import REMOVED, Redactor, is_secret_name, secret_values
from ..shapes import one_line
from ..state.directory import existing
from ..state.slots import NO_ROOM
from ..system.environment import running_environment, unit_environment
from ..system.environment_files import environment_files, read_environment_file
from ..system.operated import Operated, require_operated, service_pids, service_properties
from ..system.privilege import Ran, run
from ..system.proc import kernel_text, resident_bytes
from ..system.processes import TICKS, Process, snapshot
from ..system.systemd import unit_name
from ..times import to_text, utc_now
from .bundles import BUNDLES, Part, keep_bundle, pack

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}\Z")
_DOCUMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z")
_LOG_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}\Z")
_DOCUMENTS_MAX, _PROCESSES_MAX = 200, 500
_COMMAND_S = 20.0
# Settings that say how the service runs and hold no secret; of all others only the name is kept.
_HARMLESS = {
    *("PROCESSING_TIMEOUT", "MAX_CONCURRENT_SESSIONS", "LOG_LEVEL"),
    *("AWS_S3_BUCKET_NAME", "AWS_S3_REGION", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_S3_ENDPOINT_URL"),
    *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "PWD", "LANG", "LC_ALL", "TZ", "TMPDIR", "INVOCATION_ID"),
    *("PYTHONPATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV"),
}  # fmt: skip


@dataclass
class Collection:
    """What has been gathered so far."""

    redactor: Redactor
    max_bytes: int
    deadline: Deadline
    parts: list[Part] = field(default_factory=list)
    missing: list[dict[str, str]] = field(default_factory=list)

    def add(self, name: str, source: str, gather: Callable[[], tuple[str, bool]]) -> None:
        """Gather one part: its text, redacted already, and whether it was cut. What goes wrong is noted."""
        try:
            self.deadline.require("the bundle")
            text, truncated = gather()
        except (OSError, MediaOpsError, LateError, ValueError, RecursionError) as error:
            self.miss(name, getattr(error, "strerror", None) or str(error))
            return
        data = text.encode("utf-8", "replace")
        cut = len(data) > self.max_bytes
        self.parts.append(Part(name, source, data[: self.max_bytes], truncated or cut))

    def miss(self, name: str, why: str) -> None:
        """Note what could not be had."""
        self.missing.append({"name": name, "why": one_line(self.redactor.text(why))})

    def document(self, name: str, source: str, data: Any) -> None:
        """Take a part that is data."""
        self.add(name, source, lambda: (_json(self.redactor.data(data)), False))


@dataclass(frozen=True)
class Settings:
    """Options that were checked; ``patterns`` are those of ``redact_patterns``."""

    run_id: str
    service: Operated
    log_dir: str
    log_files: Sequence[str]
    tail_lines: int
    tail_bytes: int
    journal_lines: int
    documents: Mapping[str, Any]
    max_bytes: int
    secret_values: Sequence[str] = field(repr=False)
    harmless: Sequence[str]
    state_dir: str
    keep: int
    keep_bytes: int
    send_bytes: int
    patterns: Sequence[re.Pattern[str]]


def evidence_bundle(params: Mapping[str, Any], *, check_mode: bool = False) -> dict[str, Any]:
    """The result of module evidence_bundle."""
    deadline = deadline_of("evidence_bundle", params)
    settings = _settings(params)
    place = os.path.join(settings.state_dir, BUNDLES)
    with existing(settings.state_dir) as state_dir:
        made_at = utc_now()
        collection, known = _collect(settings, deadline)
        parts = sorted(collection.parts, key=lambda part: part.name)
        files = [part.as_result() for part in parts]
        manifest = {
            "run_id": settings.run_id,
            "made_at": to_text(made_at),
            "host": os.uname().nodename,
            "unit": settings.service.unit or None,
            "process": vars(settings.service.process) if settings.service.process else None,
            "redaction": known,
            "files": files,
            "missing": collection.missing,
        }
        archive = pack(settings.run_id, int(made_at.timestamp()), _json(manifest), parts)
        kept: dict[str, Any] = {}
        try:
            name, removed = keep_bundle(
                state_dir,
                archive,
                place,
                settings.run_id,
                keep=settings.keep,
                keep_bytes=settings.keep_bytes,
                check_mode=check_mode,
            )
        except MediaOpsError as error:
            if error.details.get("errno") not in NO_ROOM or len(archive) > settings.send_bytes:
                raise
            name, removed = f"{settings.run_id}.tar.gz", []
            kept = {"archive": base64.b64encode(archive).decode(), "not_kept": str(error)}
    return {
        **kept,
        "changed": True,
        "path": os.path.join(place, name),
        "sha256": hashlib.sha256(archive).hexdigest(),
        "bytes": len(archive),
        "files": files,
        "missing": collection.missing,
        "redaction": known,
        "removed": removed,
    }


def _settings(params: Mapping[str, Any]) -> Settings:
    service = require_operated(params)
    if not _RUN_ID.match(params["run_id"]):
        raise OptionError("run_id", params["run_id"], "must be letters, digits, _ . and -, 80 at most")
    for name in params["documents"]:
        if not _DOCUMENT.match(name):
            raise OptionError("documents", name, "names must be letters, digits, _ and -, 64 at most")
    if len(params["documents"]) > _DOCUMENTS_MAX:
        raise OptionError("documents", len(params["documents"]), f"must be at most {_DOCUMENTS_MAX}")
    for name in params["log_files"]:
        if not _LOG_NAME.match(name):
            raise OptionError("log_files", name, "must be names of files, without a directory")
    for option, low, high in (
        ("tail_lines", 1, 100000),
        ("tail_bytes", 1024, 64 << 20),
        ("journal_lines", 1, 10000),
        ("max_bytes", 1024, 64 << 20),
        ("keep", 1, 1000),
        ("keep_bytes", 1 << 20, 1 << 40),
        ("send_bytes", 0, 4 << 20),
    ):
        check_range(params, option, low, high)
    patterns = patterns_of(params, "redact_patterns")
    given = {one.name: params[one.name] for one in fields(Settings) if one.name not in ("patterns", "service")}
    return Settings(**given, patterns=patterns, service=service)


# Gathering.


def _collect(settings: Settings, deadline: Deadline) -> tuple[Collection, dict[str, Any]]:
    try:
        properties, not_seen = service_properties(settings.service), ""
    except MediaOpsError as error:
        properties, not_seen = {}, str(error)
    environment = _Environment(properties, {*_HARMLESS, *settings.harmless})
    redactor = Redactor([*environment.secrets, *settings.secret_values], settings.patterns)
    collection = Collection(redactor, settings.max_bytes, deadline)
    for name, document in sorted(settings.documents.items()):
        collection.document(f"documents/{name}.json", "the controller", document)
    if not_seen:
        collection.miss("service", not_seen)
    else:
        if settings.service.process:
            collection.miss("service/journal.jsonl", "the service has no unit of systemd, whose journal would be kept")
        else:
            _collect_unit(collection, settings.service.unit, environment, settings.journal_lines)
        _collect_service(collection, settings.service, properties, environment)
    for name in settings.log_files:
        _collect_log(collection, settings, name)
    _collect_host(collection, settings, properties)
    known = {"environment": environment.source, "secrets_known": len(environment.secrets)}
    return collection, known


class _Environment:
    """The service's settings: what may be shown of them, and what must be found nowhere."""

    def __init__(self, properties: dict[str, str], harmless: set[str]) -> None:
        self._harmless = harmless
        running = running_environment(properties) if properties else None
        unit = unit_environment(properties) if properties else None
        self.running = running.variables if running else None
        self.denied = unit.denied if unit else ()
        self.files: dict[str, dict[str, str]] = {}
        for path in environment_files(properties) if properties else []:
            with contextlib.suppress(OSError):
                self.files[path] = read_environment_file(path)
        self.inline = _inline(properties.get("Environment", ""))
        everywhere = [self.running or {}, self.inline, *self.files.values(), unit.variables if unit else {}]
        self.secrets = sorted(set().union(*(secret_values(variables) for variables in everywhere)))
        self.source = "process" if running else "unit" if unit else "none"

    def shown(self, variables: Mapping[str, str]) -> dict[str, str]:
        """By name; the value only of what is known to be harmless, or empty."""
        return {
            name: value if name in self._harmless and not is_secret_name(name) else (REMOVED if value else "")
            for name, value in sorted(variables.items())
        }


def _inline(text: str) -> dict[str, str]:
    try:
        entries = shlex.split(text)
    except ValueError:
        entries = text.split()
    return {name: value for name, _equals, value in (entry.partition("=") for entry in entries)}


def _collect_unit(collection: Collection, unit: str, environment: _Environment, journal_lines: int) -> None:
    name = unit_name(unit)

    def show() -> tuple[str, bool]:
        lines = _output(["systemctl", "show", "--no-pager", "--", name]).splitlines()
        shown = environment.shown(environment.inline)
        inline = " ".join(f"{variable}={value}" for variable, value in shown.items())
        kept = [f"Environment={inline}" if line.startswith("Environment=") else line for line in lines]
        return collection.redactor.text("\n".join(kept) + "\n"), False

    def status() -> tuple[str, bool]:
        command = ["systemctl", "status", "--no-pager", "--full", "--lines=0", "--", name]
        return collection.redactor.text(_output(command, codes=(0, 1, 2, 3))), False

    collection.add("service/show.txt", f"systemctl show {name}", show)
    collection.add("service/status.txt", f"systemctl status {name}", status)
    collection.add(
        "service/journal.jsonl",
        f"journalctl --unit {name}",
        lambda: _journal(name, journal_lines, collection.redactor),
    )


def _collect_service(
    collection: Collection, service: Operated, properties: dict[str, str], environment: _Environment
) -> None:
    collection.add(
        "service/processes.json",
        "/proc: processes of the service, and others of its user",
        lambda: _processes(service, properties, collection.redactor),
    )
    configuration = {
        "running": None if environment.running is None else environment.shown(environment.running),
        "unit": environment.shown(environment.inline),
        "files": {path: environment.shown(variables) for path, variables in environment.files.items()},
        "unreadable": list(environment.denied),
    }
    # Not by its names again: they are all that is left of most settings.
    text = collection.redactor.text(_json(configuration))
    collection.add("service/configuration.json", "environment of the service, values removed", lambda: (text, False))
    for path in environment.denied:
        collection.miss(f"service/configuration.json: {path}", "cannot be read; its secrets are not known by value")
    if environment.running is None and properties.get("MainPID", "0") != "0":
        collection.miss("service/configuration.json: running", "the environment of the main process cannot be read")


def _output(command: Sequence[str], codes: Sequence[int] = (0,)) -> str:
    ran: Ran = run(command, timeout_s=_COMMAND_S)
    if ran.rc not in codes or not ran.out:
        raise MediaOpsError("no answer in time" if ran.timed_out else ran.msg or f"exit code {ran.rc}, and no output")
    return ran.out


def _journal(name: str, lines: int, redactor: Redactor) -> tuple[str, bool]:
    """The newest entries, oldest first. They are asked for newest first, since output is cut at its end."""
    fields = "MESSAGE,PRIORITY,_PID,SYSLOG_IDENTIFIER"
    command = ["journalctl", "--no-pager", "--quiet", "--reverse", "--output=json", f"--output-fields={fields}"]
    ran = run([*command, f"--lines={lines}", f"--unit={name}"], timeout_s=_COMMAND_S)
    if ran.rc != 0:
        raise MediaOpsError("no answer in time" if ran.timed_out else ran.msg or f"exit code {ran.rc}")
    entries, cut = [], False
    for line in ran.out.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            cut = True
            continue
        microseconds = str(entry.get("__REALTIME_TIMESTAMP", ""))
        entries.append(
            {
                "at": _iso(int(microseconds) / 1e6) if microseconds.isdecimal() else None,
                "priority": entry.get("PRIORITY"),
                "identifier": entry.get("SYSLOG_IDENTIFIER"),
                "pid": entry.get("_PID"),
                "message": redactor.text(_message(entry.get("MESSAGE"))),
            }
        )
    if not entries:
        raise MediaOpsError("there are no entries, or this user may not read the journal")
    text = "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in reversed(entries))
    return text, cut or len(entries) >= lines


def _message(found: object) -> str:
    if isinstance(found, list):  # bytes that are no UTF-8
        return bytes(byte for byte in found if isinstance(byte, int) and 0 <= byte < 256).decode("utf-8", "replace")
    return "" if found is None else str(found)


def _iso(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds * 1000) % 1000:03d}Z"


def _processes(service: Operated, properties: dict[str, str], redactor: Redactor) -> tuple[str, bool]:
    try:
        uid = pwd.getpwnam(properties.get("User") or "root").pw_uid
    except KeyError:
        uid = -1
    pids = service_pids(service, properties)
    found = [
        process for process in snapshot(deep_uid=-2).values() if process.pid in pids or (process.uid == uid and uid > 0)
    ]
    found.sort(key=lambda process: process.key)
    shown = [_process(process, process.pid in pids, redactor) for process in found[:_PROCESSES_MAX]]
    return _json(shown), len(found) > _PROCESSES_MAX


def _process(process: Process, in_unit: bool, redactor: Redactor) -> dict[str, Any]:
    return {
        "pid": process.pid,
        "ppid": process.ppid,
        "pgid": process.pgid,
        "in_unit": in_unit,
        "state": process.state,
        "name": redactor.text(process.name),
        "started_at": to_text(process.started_at),
        "cpu_s": round(process.cpu / TICKS, 2),
        "rss_bytes": resident_bytes(process.pid),
        "argv": redactor.argv([argument.encode("utf-8", "replace").decode() for argument in process.argv]),
    }


def _collect_log(collection: Collection, settings: Settings, name: str) -> None:
    """The end of a log; where it was rotated a short while ago, the end of the one before as well."""
    lines, size = settings.tail_lines, min(settings.tail_bytes, settings.max_bytes)

    def tail(file_name: str) -> tuple[str, bool]:
        text, cut = read_tail(settings.log_dir, file_name, size, lines)
        return collection.redactor.text(text), cut

    before = len(collection.parts)
    collection.add(f"logs/{name}", os.path.join(settings.log_dir, name), lambda: tail(name))
    rotated = f"{name}.1"
    new = collection.parts[before:]
    short = not new or (not new[0].truncated and new[0].data.count(b"\n") < lines)
    if short and os.path.lexists(os.path.join(settings.log_dir, rotated)):
        collection.add(f"logs/{rotated}", os.path.join(settings.log_dir, rotated), lambda: tail(rotated))


def read_tail(directory: str, name: str, max_bytes: int, max_lines: int) -> tuple[str, bool]:
    """The last whole lines of a regular file that is no link, and whether that is not all of it.

    A first line that is cut goes: the half of a secret would not be known for one.
    """
    inside = open_directory(directory)
    try:
        opened = open_regular_at(inside, name)
    finally:
        os.close(inside)
    with os.fdopen(opened, "rb") as file:
        begin = max(0, os.fstat(opened).st_size - max_bytes)
        file.seek(begin)
        data = file.read(max_bytes)
    if begin:
        first = data.find(b"\n")
        data = data[first + 1 :] if first >= 0 else b""
    lines = data.splitlines(keepends=True)
    kept = b"".join(lines[-max_lines:]).decode("utf-8", "replace")
    return kept, bool(begin) or len(lines) > max_lines


def _collect_host(collection: Collection, settings: Settings, properties: Mapping[str, str]) -> None:
    working = properties.get("WorkingDirectory", "")
    paths = ["/", settings.state_dir, settings.log_dir, *([working] if working.startswith("/") else [])]

    def disks(option: str) -> tuple[str, bool]:
        ran = run(["df", "-P", option, "--", *dict.fromkeys(paths)], timeout_s=_COMMAND_S)
        return collection.redactor.text(ran.out + ran.err), ran.timed_out

    def kernel() -> tuple[str, bool]:
        text = ""
        for path in ("loadavg", "uptime", "meminfo", "pressure/cpu", "pressure/memory", "pressure/io"):
            try:
                text += f"== {path}\n{kernel_text(path)}"
            except OSError as error:
                text += f"== {path}: {error.strerror}\n"
        return text, False

    collection.add("host/disk_bytes.txt", "df -k", lambda: disks("-k"))
    collection.add("host/disk_inodes.txt", "df -i", lambda: disks("-i"))
    collection.add("host/kernel.txt", "/proc: load, memory, pressure", kernel)
    collection.add("host/versions.json", "os-release, uname, dpkg-query", lambda: (_json(_versions()), False))


def _versions() -> dict[str, Any]:
    release = read_environment_file("/etc/os-release")
    # The service's own ffmpeg is not run: it is the service's user's to replace.
    packages = run(["dpkg-query", "--show", "ffmpeg", "systemd", "python3", "libavcodec*"], timeout_s=_COMMAND_S)
    return {
        "os": release.get("PRETTY_NAME"),
        "kernel": " ".join(os.uname()[:3:2]),
        "packages": [line.replace("\t", " ") for line in packages.out.splitlines() if not line.endswith("\t")],
    }


def _json(data: Any) -> str:
    return json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
