# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guards of a host: lease, ledger, caps, pause switch. They live in its state directory and serve every controller.

Each call holds the lock of the kernel on ``guard.flock``, so that two controllers cannot decide at once. Between calls
the lease in ``lease.json`` says who may act, and until when.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from ..errors import MediaOpsError, OptionError
from ..shapes import one_line
from ..times import from_text, to_text, utc_now
from .directory import alone, existing, failing, give_to_owner, read_file, replace_file

_FLOCK, _LEASE, _PAUSE, _LEDGER = "guard.flock", "lease.json", "pause.json", "ledger.jsonl"
_SMALL = 65536
_LEDGER_FILES = 5
LEDGER_MAX_BYTES = 1048576
ATTEMPTED = ("started", "done", "failed")  # a run that died after it had started may have done it


def guard(params: Mapping[str, Any], *, check_mode: bool = False) -> dict[str, Any]:
    """The result of module guard: what was asked for by ``state``, and how the host stands afterwards."""
    _check(params)
    now = utc_now()
    with existing(params["state_dir"]) as directory:
        looks_only = check_mode or params["state"] == "observed"
        with alone(directory, _FLOCK, params["state_dir"], create=not looks_only):
            board = _Board(directory, params, now, dry=check_mode)
            done: dict[str, Any] = getattr(board, params["state"])()
            return {"changed": False, **done, **board.status()}


class Ledger(NamedTuple):
    """What is on record of a host."""

    entries: list[dict[str, Any]]
    """Those of the last hours, oldest first."""
    bad_lines: int
    """How many lines of the whole ledger could not be read."""
    running: str
    """The run that holds the host, whose last line may be yet to come; "" where there is none."""


def ledger(directory: int, params: Mapping[str, Any]) -> Ledger:
    """Read the ledger.

    Args:
        directory: the state directory, opened.
        params: ``state_dir``, ``hours`` and ``ledger_max_bytes``, as for module guard.
    """
    with alone(directory, _FLOCK, params["state_dir"], create=False):
        board = _Board(directory, {"ttl": 0, **params}, utc_now(), dry=True)
        lease = board.lease()
    return Ledger(
        board.within(params["hours"] * 3600),
        board.bad_lines,
        running=lease["run_id"] if lease and not lease["expired"] else "",
    )


def _check(params: Mapping[str, Any]) -> None:
    state = params["state"]
    needed = {"leased": ("run_id", "reason"), "released": ("run_id",), "recorded": ("run_id",), "paused": ("reason",)}
    for option in needed.get(state, ()):
        if not params.get(option):
            raise OptionError(option, params.get(option), f"is needed with state={state}")
    for option in ("ttl", "hours"):
        if params[option] <= 0:
            raise OptionError(option, params[option], "must be above 0")
    if state == "paused" and not 0 < (params.get("pause_for") or 0) <= 30 * 86400:
        raise OptionError("pause_for", params.get("pause_for"), "is needed with state=paused: above 0, at most 30 days")
    for entry in params["entries"]:
        if not isinstance(entry.get("action"), str) or not entry["action"]:
            raise OptionError("entries", one_line(entry, 80), "each needs an action")
    if params.get("scheduled_for") and from_text(params["scheduled_for"]) is None:
        raise OptionError("scheduled_for", params["scheduled_for"], "is no ISO 8601 time")


def last_recovery(state_dir: str) -> str | None:
    """When the host was last seen to recover after a response within an hour, by its ledger.

    Returns:
        The time. None where there was none, and where the ledger cannot be read or its time lies ahead: what is not
        known excuses no alert.
    """
    try:
        with existing(state_dir) as directory:
            params = {"state_dir": state_dir, "hours": 1, "ledger_max_bytes": LEDGER_MAX_BYTES}
            found = ledger(directory, params).entries
    except MediaOpsError:
        return None
    now = utc_now()
    moments = [from_text(entry.get("at")) for entry in found if entry["action"] == "recovered"]
    past = [moment for moment in moments if moment and moment <= now]
    return to_text(max(past)) if past else None


class _Board:
    """Lease, pause and ledger of one host, under the kernel's lock."""

    def __init__(self, directory: int, params: Mapping[str, Any], now: datetime, *, dry: bool) -> None:
        self._directory = directory
        self._params = params
        self._now = now
        self._dry = dry
        self._entries, self.bad_lines = self._read_ledger()

    # What module option `state` asks for.

    def observed(self) -> dict[str, Any]:
        return {}

    def leased(self) -> dict[str, Any]:
        """Take or renew the lease, unless something says no. Checks first, then the lease."""
        run_id = self._params["run_id"]
        lease = self.lease()
        mine = bool(lease and lease["run_id"] == run_id)
        refusals = [*self._paused_refusal(), *self._late_refusal(), *self._cap_refusals()]
        took_over = None
        if lease and not mine and not refusals:
            if not lease["expired"] and self._params.get("take_over") != lease["run_id"]:
                refusals.append(f"another run acts on this host: {_who(lease)}")
            else:
                took_over = lease
        if refusals:
            return {"permitted": False, "refusals": refusals, "took_over": None}
        self._write(
            _LEASE,
            {
                "run_id": run_id,
                "owner": self._params.get("owner") or "",
                "controller": self._params.get("controller") or "",
                "controller_pid": self._params.get("controller_pid"),
                "reason": one_line(self._params["reason"]),
                "taken_at": lease["taken_at"] if lease and mine else to_text(self._now),
                "expires_at": to_text(self._now + timedelta(seconds=self._params["ttl"])),
            },
        )
        return {"permitted": True, "refusals": [], "took_over": took_over, **self.recorded()}

    def released(self) -> dict[str, Any]:
        try:
            return self.recorded()
        finally:  # a ledger that cannot be written must not keep the host
            lease = self.lease()
            if lease and lease["run_id"] == self._params["run_id"]:
                self._remove(_LEASE)

    def recorded(self) -> dict[str, Any]:
        """Append entries to the ledger, each on a line, on disk before this returns."""
        lines = []
        for entry in self._params["entries"]:
            full = {"at": to_text(self._now), "run_id": self._params["run_id"], **entry}
            lines.append(json.dumps(full, sort_keys=True, allow_nan=False))
            self._entries.append(full)
        if lines and not self._dry:
            self._append("".join(line + "\n" for line in lines).encode())
        return {"recorded": len(lines)}

    def paused(self) -> dict[str, Any]:
        pause = {
            "reason": one_line(self._params["reason"]),
            "by": self._params.get("owner") or "",
            "since": to_text(self._now),
            "until": to_text(self._now + timedelta(seconds=self._params["pause_for"])),
        }
        self._write(_PAUSE, pause)
        return {"changed": True}

    def resumed(self) -> dict[str, Any]:
        there = self._load(_PAUSE) is not None
        if there:
            self._remove(_PAUSE)
        return {"changed": there}

    # What is known of the host.

    def status(self) -> dict[str, Any]:
        recent = self.within(self._params["hours"] * 3600)
        counts = Counter(f"{entry['action']} {entry.get('result', '')}".strip() for entry in recent)
        runs = {action: self._runs(action, self._params["hours"] * 3600) for action in {e["action"] for e in recent}}
        return {
            "lease": self.lease(),
            "pause": self._pause(),
            "recent": recent[-200:],
            "counts": dict(sorted(counts.items())),
            "repeated": {action: len(ids) for action, ids in sorted(runs.items()) if len(ids) > 1},
            "bad_lines": self.bad_lines,
        }

    def lease(self) -> dict[str, Any] | None:
        lease = self._load(_LEASE)
        if lease is None:
            return None
        expires = from_text(lease.get("expires_at"))
        if not isinstance(lease.get("run_id"), str) or expires is None:
            # Nobody can tell whose it is: it counts as held for one time to live from when it was written.
            expires = self._written(_LEASE) + timedelta(seconds=self._params["ttl"])
            lease = {
                "run_id": "?",
                "reason": "the lease cannot be read",
                "taken_at": None,
                "expires_at": to_text(expires),
            }
        return {**lease, "expired": expires <= self._now}

    def _pause(self) -> dict[str, Any] | None:
        pause = self._load(_PAUSE)
        if pause is None:
            return None
        until = from_text(pause.get("until"))
        # A pause whose end cannot be read goes on: a person wanted automation to stop.
        return pause if until is None or until > self._now else None

    def _paused_refusal(self) -> list[str]:
        pause = self._pause()
        if pause is None:
            return []
        return [f"automation is paused until {pause.get('until')} by {pause.get('by') or '?'}: {pause.get('reason')}"]

    def _late_refusal(self) -> list[str]:
        due = from_text(self._params.get("scheduled_for"))
        window = self._params.get("window")
        if due is None or window is None or self._now <= due + timedelta(seconds=window):
            return []
        return [f"the run was scheduled for {to_text(due)} and starts over {window:g} s late: nothing is acted upon"]

    def _cap_refusals(self) -> list[str]:
        wanted = set(self._params.get("actions") or [])
        refusals = []
        for cap in self._params.get("caps") or []:
            others = self._runs(cap["action"], cap["within"]) - {self._params["run_id"]}
            if cap["action"] in wanted and len(others) >= cap["at_most"]:
                refusals.append(
                    f"{cap['action']} was carried out {len(others)} times within {cap['within']:g} s, "
                    f"at most {cap['at_most']} are allowed: it does not help, a person must look"
                )
        return refusals

    def _runs(self, action: str, within_s: float) -> set[str]:
        """The runs that carried the action out. A run that does so for several targets counts once."""
        return {
            str(entry.get("run_id"))
            for entry in self.within(within_s)
            if entry["action"] == action and entry.get("result") in ATTEMPTED
        }

    def within(self, seconds: float) -> list[dict[str, Any]]:
        """Entries not older than that. One dated ahead counts: the clock may have been set back."""
        oldest = self._now - timedelta(seconds=seconds)
        return [entry for entry in self._entries if (from_text(entry.get("at")) or self._now) > oldest]

    # Files.

    def _load(self, name: str) -> dict[str, Any] | None:
        data, mode = read_file(self._directory, name, name, _SMALL)
        if mode is None and not data:
            return None
        try:
            found = json.loads(data)
        except (ValueError, RecursionError):
            found = None
        return found if isinstance(found, dict) else {}

    def _written(self, name: str) -> datetime:
        return datetime.fromtimestamp(os.stat(name, dir_fd=self._directory).st_mtime, self._now.tzinfo)

    def _write(self, name: str, content: Mapping[str, Any]) -> None:
        if not self._dry:
            data = json.dumps(content, sort_keys=True).encode() + b"\n"
            replace_file(self._directory, name, data, 0o600, name)

    def _remove(self, name: str) -> None:
        if not self._dry:
            with failing(f"cannot remove {name}"):
                os.unlink(name, dir_fd=self._directory)

    def _read_ledger(self) -> tuple[list[dict[str, Any]], int]:
        """All entries, oldest first, and how many lines are none."""
        entries: list[dict[str, Any]] = []
        bad = 0
        names = [f"{_LEDGER}.{number}" for number in range(_LEDGER_FILES, 0, -1)] + [_LEDGER]
        for name in names:
            for line in self._lines(name):
                try:
                    entry = json.loads(line)
                except (ValueError, RecursionError):
                    entry = None
                if isinstance(entry, dict) and isinstance(entry.get("action"), str):
                    entries.append(entry)
                else:
                    bad += 1
        return entries, bad

    def _lines(self, name: str) -> Sequence[bytes]:
        def opened(path: str, _flags: int) -> int:
            return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self._directory)

        try:
            with open(name, "rb", opener=opened) as file:
                data = file.read(self._params["ledger_max_bytes"] * 2)
        except FileNotFoundError:
            return []
        except OSError as error:
            # A ledger that cannot be read would lift every cap.
            raise MediaOpsError(f"cannot read the ledger {name}: {error.strerror}") from error
        return [line for line in data.splitlines() if line.strip()]

    def _append(self, data: bytes) -> None:
        self._rotate(len(data))
        with failing(f"cannot write the ledger {_LEDGER}"):
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            opened = os.open(_LEDGER, flags, 0o600, dir_fd=self._directory)
            with os.fdopen(opened, "rb+", buffering=0) as file:
                give_to_owner(opened, self._directory)
                size = os.fstat(opened).st_size
                # A line that a crash broke off must not swallow the next one.
                torn = size and os.pread(opened, 1, size - 1) != b"\n"
                file.write(b"\n" + data if torn else data)
                os.fsync(opened)

    def _rotate(self, coming: int) -> None:
        try:
            size = os.stat(_LEDGER, dir_fd=self._directory, follow_symlinks=False).st_size
        except FileNotFoundError:
            return
        if size + coming <= self._params["ledger_max_bytes"]:
            return
        with failing("cannot rotate the ledger"):
            for index in range(_LEDGER_FILES, 0, -1):
                older = f"{_LEDGER}.{index}"
                newer = f"{_LEDGER}.{index - 1}" if index > 1 else _LEDGER
                with contextlib.suppress(FileNotFoundError):
                    os.rename(newer, older, src_dir_fd=self._directory, dst_dir_fd=self._directory)
            os.fsync(self._directory)


def _who(lease: Mapping[str, Any]) -> str:
    who = f"{lease.get('owner') or 'somebody'} on {lease.get('controller') or 'an unknown controller'}"
    when = f"since {lease.get('taken_at')}, until {lease.get('expires_at')}"
    return f"{who}, run {lease['run_id']}, {when}: {lease.get('reason')}"
