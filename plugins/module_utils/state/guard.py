# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guards of a host: lease, ledger, caps, pause, mutes. They live in its state directory and serve every controller.

Each call holds the lock of the kernel on ``guard.flock``, so that two controllers cannot decide at once. Between calls
the lease in ``lease.slots`` says who may act, and until when.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any, Callable, NamedTuple

from ..errors import MediaOpsError, OptionError
from ..shapes import json_object, one_line
from ..times import from_text, to_text, utc_now
from ..words import number_of
from .directory import alone, existing, failing, read_if_there
from .mutes import Mutes, mute_name, sound_mute
from .slots import NO_ROOM, LineFiles, TornError, is_there, read_slots, write_slots

FLOCK = "guard.flock"
_LEASE, _PAUSE, _LEDGER = "lease.slots", "pause.slots", "ledger.jsonl"
_OLD_LEASE, _OLD_PAUSE, _OLD_MAX_BYTES = "lease.json", "pause.json", 65536
_NOBODY = "?"
_LEDGER_FILES = 5
_CAUSES_MAX = 50
_REASONS_MAX = 500
LEDGER_MAX_BYTES = 1048576
_LEDGER_READ_MAX = 16 << 20  # one from before its bound was lowered is read still
_ATTEMPTED = ("done", "failed")


def guard(params: Mapping[str, Any], *, check_mode: bool = False) -> dict[str, Any]:
    """The result of module guard: what was asked for by ``state``, and how the host stands afterwards."""
    _check(params)
    now = utc_now()
    with existing(params["state_dir"]) as directory:
        looks_only = check_mode or params["state"] == "observed"
        with alone(directory, FLOCK, params["state_dir"], create=not looks_only):
            host = _Host(
                Lease(directory, now, params["ttl"], dry=check_mode),
                Pause(directory, now, dry=check_mode),
                Ledger(directory, now, params["ledger_max_bytes"], dry=check_mode),
                Mutes(directory, now, dry=check_mode),
            )
            done = _ASKED[params["state"]](host, params)
            return {"changed": False, **done, **_status(host, params)}


class OnRecord(NamedTuple):
    """Entries of the last hours, oldest first; how many lines are none; the run that holds the host now, else ""."""

    entries: list[dict[str, Any]]
    bad_lines: int
    running: str


def on_record(directory: int, path: str, *, hours: float, max_bytes: int) -> OnRecord:
    """Read the ledger of a state directory, which is open; ``path`` names it in errors."""
    now = utc_now()
    with alone(directory, FLOCK, path, create=False):
        ledger, lease = Ledger(directory, now, max_bytes, dry=True), Lease(directory, now, 0, dry=True).holder()
    running = lease["run_id"] if lease and not lease["expired"] else ""
    return OnRecord(ledger.within(hours * 3600), ledger.bad_lines, running)


def _check(params: Mapping[str, Any]) -> None:
    state = params["state"]
    needed = {"leased": ("run_id", "reason"), "released": ("run_id",), "recorded": ("run_id",), "paused": ("reason",)}
    needed |= {"muted": ("run_id", "mute"), "unmuted": ("run_id", "unmute")}
    for option in needed.get(state, ()):
        if not params.get(option):
            raise OptionError(option, params.get(option), f"is needed with state={state}")
    for option in ("ttl", "hours"):
        if params[option] <= 0:
            raise OptionError(option, params[option], "must be above 0")
    if state == "paused" and not 0 < (params.get("pause_for") or 0) <= 30 * 86400:
        raise OptionError("pause_for", params.get("pause_for"), "is needed with state=paused: above 0, at most 30 days")
    _check_rows(params)


def _check_rows(params: Mapping[str, Any]) -> None:
    for need in params.get("after") or []:
        if need["hours"] <= 0:
            raise OptionError("after", need["hours"], "hours must be above 0")
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
            found = on_record(directory, state_dir, hours=1, max_bytes=LEDGER_MAX_BYTES).entries
    except MediaOpsError:
        return None
    now = utc_now()
    moments = [from_text(entry.get("at")) for entry in found if entry["action"] == "recovered"]
    past = [moment for moment in moments if moment and moment <= now]
    return to_text(max(past)) if past else None


class _Host(NamedTuple):
    lease: Lease
    pause: Pause
    ledger: Ledger
    mutes: Mutes

    def take_room(self, *, needed: bool) -> bool:
        """Room for what is to be written when the disk is full; whether it was taken now.

        Raises:
            MediaOpsError: it cannot be taken; where it is not ``needed``, only for another reason than a full disk.
        """
        taken = []
        for part in (self.lease, self.pause, self.ledger):
            try:
                taken.append(part.take_room())
            except MediaOpsError as error:
                if needed or error.details.get("errno") not in NO_ROOM:
                    raise
        return any(taken)


# What option `state` asks for.


def _leased(host: _Host, params: Mapping[str, Any]) -> dict[str, Any]:
    """Take or renew the lease, unless something says no. Checks first, then the lease."""
    run_id = params["run_id"]
    refusals = [*_late(params, host.lease.now), *_capped(params, host.ledger), *_not_yet(params, host.ledger)]
    if (pause := host.pause.holds()) is not None:
        refusals.insert(0, pause_said(pause))
    lease = host.lease.holder()
    took_over = None
    if lease and lease["run_id"] != run_id and not refusals:
        if lease["run_id"] == _NOBODY and not lease["expired"]:
            refusals.append(lease["reason"])
        elif not lease["expired"] and params.get("take_over") != lease["run_id"]:
            refusals.append(lease_said(lease))
        else:
            took_over = lease
    if refusals:
        return {"permitted": False, "refusals": refusals, "took_over": None}
    of_whom = {
        "owner": one_line(params.get("owner") or ""),
        "controller": one_line(params.get("controller") or ""),
        "controller_process": _process(params.get("controller_process")),
        "reason": one_line(params["reason"]),
    }
    host.lease.take(run_id, of_whom)
    host.take_room(needed=False)
    return {"permitted": True, "refusals": [], "took_over": took_over, **_recorded(host, params)}


def _process(given: object) -> dict[str, Any]:
    """What tells the run's process from every other, in bounded texts and whole numbers."""
    found = given if isinstance(given, Mapping) else {}
    texts = {key: one_line(found.get(key) or "", 100) for key in ("machine_id", "boot_id", "namespaces")}
    numbers = {key: found.get(key) for key in ("pid", "start")}
    return {
        **texts,
        **{key: value for key, value in numbers.items() if isinstance(value, int) and not isinstance(value, bool)},
    }


def _late(params: Mapping[str, Any], now: datetime) -> list[str]:
    due, window = from_text(params.get("scheduled_for")), params.get("window")
    if due is None or window is None or now <= due + timedelta(seconds=window):
        return []
    return [f"the run was scheduled for {to_text(due)} and starts over {window:g} s late: nothing is acted upon"]


def _capped(params: Mapping[str, Any], ledger: Ledger) -> list[str]:
    """What was done too often: for the cause that the run acts for, and with `of_all` for whatever cause."""
    wanted = set(params.get("actions") or [])
    caps = [cap for cap in params.get("caps") or [] if cap["action"] in wanted]
    return [why for cap in caps if (why := _reached(cap, params.get("taken_for"), ledger, params["run_id"]))]


def _reached(cap: Mapping[str, Any], taken_for: str | None, ledger: Ledger, run_id: str | None) -> str:
    """Why an action may not be carried out once more, "" where it may."""
    of_cause = None if cap.get("of_all") else taken_for
    others = ledger.runs(cap["action"], cap["within"], of_cause) - {run_id}
    if len(others) < cap["at_most"]:
        return ""
    why = f" for {one_line(of_cause, 100)}" if of_cause else ""
    return (
        f"{cap['action']} was carried out {number_of(len(others), 'time')}{why} within {cap['within']:g} s, "
        f"at most {cap['at_most']} are allowed: it does not help, a person must look. "
        f"""The way past it, for one who has looked, is -e '{{"policy_action_caps": []}}'"""
    )


def _caps_reached(params: Mapping[str, Any], ledger: Ledger) -> list[dict[str, str]]:
    """The actions that may not be carried out once more, and for what: of each cap, for each cause on record."""
    found: list[dict[str, str]] = []
    for cap in params.get("caps") or []:
        past = [entry for entry in ledger.within(cap["within"]) if entry["action"] == cap["action"]]
        causes = [""] if cap.get("of_all") else sorted({str(entry.get("taken_for") or "") for entry in past})
        found += [
            {"action": str(cap["action"]), "taken_for": one_line(cause, 100), "why": why}
            for cause in causes[:_CAUSES_MAX]
            if (why := _reached(cap, cause, ledger, params.get("run_id")))
        ]
    return found


def _not_yet(params: Mapping[str, Any], ledger: Ledger) -> list[str]:
    """Procedures that must come before on this host, and have not done so lately by its own ledger."""
    refusals = []
    for need in params.get("after") or []:
        name, act = need["procedure"], need.get("act") or ""
        ends = [entry for entry in ledger.past(need["hours"] * 3600) if entry.get("procedure") == name]
        if any(_succeeded(entry, act) for entry in ends):
            continue
        last = next((entry for entry in reversed(ledger.past(None)) if entry.get("procedure") == name), None)
        said = (
            f"{last['action']} at {last.get('at')}: {last.get('why') or 'no reason given'}" if last else "none is known"
        )
        what = f"{name} ({act})" if act else name
        refusals.append(
            one_line(f"{what} has not succeeded on this host within {need['hours']:g} h, its last end: {said}")
        )
    return refusals


def _succeeded(entry: Mapping[str, Any], act: str) -> bool:
    """Whether a procedure ended well; with an act, whether that was done, whatever became of the others."""
    done = entry.get("acts")
    if act:
        return isinstance(done, list) and act in done
    return entry["action"] in ("completed", "recovered")


def _released(host: _Host, params: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return _recorded(host, params)
    finally:  # a ledger that cannot be written must not keep the host
        host.lease.give_back(params["run_id"])


def _recorded(host: _Host, params: Mapping[str, Any]) -> dict[str, Any]:
    return {"recorded": host.ledger.record(params["run_id"], params["entries"])}


def _prepared(host: _Host, _params: Mapping[str, Any]) -> dict[str, Any]:
    return {"changed": host.take_room(needed=True)}


def _paused(host: _Host, params: Mapping[str, Any]) -> dict[str, Any]:
    host.pause.begin(one_line(params["reason"]), one_line(params.get("owner") or ""), params["pause_for"])
    return {"changed": True}


def _resumed(host: _Host, _params: Mapping[str, Any]) -> dict[str, Any]:
    """Let automation go on. By this word of a person, what cannot be read holds it up no longer either."""
    there, unread = host.pause.end()
    cleared = [*unread, *host.lease.clear()]
    return {"changed": there or bool(cleared), "cleared": cleared}


def _muted(host: _Host, params: Mapping[str, Any]) -> dict[str, Any]:
    mute = sound_mute(params["mute"], "mute")
    # On record first: what nobody knows of must not be muted.
    about = {"target": mute_name(mute), "why": mute["reason"], "user": mute["by"], "until": mute["until"]}
    host.ledger.record(params["run_id"], [{"action": "muted", "result": "decided", **about}])
    return {"changed": True, "cleared": host.mutes.begin(mute)}


def _unmuted(host: _Host, params: Mapping[str, Any]) -> dict[str, Any]:
    ended, cleared = host.mutes.end(params["unmute"])
    by = {"action": "unmuted", "result": "decided", "user": params.get("owner") or ""}
    host.ledger.record(params["run_id"], [{**by, "target": mute_name(mute), "why": mute["reason"]} for mute in ended])
    return {"changed": bool(ended or cleared), "cleared": cleared}


_ASKED: dict[str, Callable[[_Host, Mapping[str, Any]], dict[str, Any]]] = {
    "observed": lambda _host, _params: {},
    "prepared": _prepared,
    "leased": _leased,
    "released": _released,
    "recorded": _recorded,
    "paused": _paused,
    "resumed": _resumed,
    "muted": _muted,
    "unmuted": _unmuted,
}
STATES = tuple(_ASKED)
"""What option ``state`` may be."""


def _status(host: _Host, params: Mapping[str, Any]) -> dict[str, Any]:
    seconds = params["hours"] * 3600
    lease, pause = host.lease.holder(), host.pause.holds()
    recent = host.ledger.within(seconds)
    counts = Counter(f"{entry['action']} {entry.get('result', '')}".strip() for entry in recent)
    runs = {action: host.ledger.runs(action, seconds) for action in {entry["action"] for entry in recent}}
    mutes, unreadable = host.mutes.holding()
    return {
        "lease": lease,
        "pause": pause,
        "held": held_by(pause, lease, params.get("run_id")),
        "mutes": mutes,
        "mutes_unreadable": unreadable,
        "recent": recent[-200:],
        "acted_for": host.ledger.acted_for(seconds),
        "caps_reached": _caps_reached(params, host.ledger),
        "counts": dict(sorted(counts.items())),
        "repeated": {action: len(ids) for action, ids in sorted(runs.items()) if len(ids) > 1},
        "bad_lines": host.ledger.bad_lines,
    }


def pause_said(pause: Mapping[str, Any]) -> str:
    """A pause for people: until when, by whom and why. One that cannot be read ends by a person's word alone."""
    if not pause.get("until"):
        return f"automation is paused until somebody resumes it: {pause.get('reason')}"
    return f"automation is paused until {pause['until']} by {pause.get('by') or '?'}: {pause.get('reason')}"


def lease_said(lease: Mapping[str, Any]) -> str:
    """Another run's lease for people: whose it is, since when, until when, and why."""
    who = f"{lease.get('owner') or 'somebody'} on {lease.get('controller') or 'an unknown controller'}"
    when = f"since {lease.get('taken_at')}, until {lease.get('expires_at')}"
    return f"another run acts on this host: {who}, run {lease['run_id']}, {when}: {lease.get('reason')}"


def held_by(pause: Mapping[str, Any] | None, lease: Mapping[str, Any] | None, run_id: str | None) -> str:
    """Why a sound host is left alone until a known time: a person's pause, or another run than ``run_id``; else empty.

    What cannot be read is not as it should be, and no such reason.
    """
    if pause is not None:
        return pause_said(pause) if pause.get("until") else ""
    if lease is None or lease["expired"] or lease["run_id"] in (_NOBODY, run_id):
        return ""
    return lease_said(lease)


class _UnreadableError(MediaOpsError):
    """A document is there, and cannot be read."""

    def __init__(self, name: str, why: object) -> None:
        super().__init__(f"{name} cannot be read: {one_line(why)}. The playbook automation_resume clears it")


class _TornSlotsError(_UnreadableError):
    """It could be opened, and is none of ours, as after a power cut."""


class _Document:
    """A small document of the state directory. With ``dry`` nothing of it is changed.

    With ``needs_both`` it cannot be read where one of its slots is damaged, which may have been the newer one.
    """

    def __init__(self, directory: int, name: str, *, dry: bool, needs_both: bool = False) -> None:
        self._directory, self._name, self._dry, self._needs_both = directory, name, dry, needs_both

    @property
    def name(self) -> str:
        """Of the file."""
        return self._name

    def load(self) -> dict[str, Any] | None:
        """What it says; None only where it is not there.

        Raises:
            _UnreadableError: nobody can tell what it says.
        """
        try:
            return read_slots(self._directory, self._name, needs_both=self._needs_both)
        except OSError as error:
            raise _UnreadableError(self._name, error.strerror) from error
        except TornError as error:
            raise _TornSlotsError(self._name, error) from error

    def written(self) -> datetime:
        facts = os.stat(self._name, dir_fd=self._directory, follow_symlinks=False)
        return datetime.fromtimestamp(facts.st_mtime, timezone.utc)

    def set_aside(self) -> None:
        if not self._dry:
            with failing(f"cannot set {self._name} aside"):
                broken = f"{self._name}.broken"
                os.rename(self._name, broken, src_dir_fd=self._directory, dst_dir_fd=self._directory)

    def write(self, content: Mapping[str, Any] | None) -> None:
        """Say so, or that there is none."""
        if not self._dry:
            with failing(f"cannot write {self._name}"):
                write_slots(self._directory, self._name, content)

    def take_room(self) -> bool:
        """Room for what is to be said when the disk is full; whether it was taken now."""
        if is_there(self._directory, self._name):
            return False
        self.write(None)
        return True


class _OldDocument(_Document):
    """The same as a version before ``slots.py`` wrote it, JSON in a file: what it says holds until it is over."""

    def load(self) -> dict[str, Any] | None:
        """As of any document."""
        try:
            data = read_if_there(self._directory, self._name, _OLD_MAX_BYTES)
        except OSError as error:
            raise _UnreadableError(self._name, error.strerror) from error
        try:
            return None if data is None else json_object(data)
        except (ValueError, RecursionError) as error:
            raise _TornSlotsError(self._name, error) from error

    def remove(self) -> None:
        """Take it away, where it is there, once it says nothing that the new file does not."""
        if not self._dry and is_there(self._directory, self._name):
            with failing(f"cannot remove {self._name}"):
                os.unlink(self._name, dir_fd=self._directory)


class Lease:
    """Which run may act on the host, and until when."""

    def __init__(self, directory: int, now: datetime, ttl: float, *, dry: bool) -> None:
        self._file = _Document(directory, _LEASE, dry=dry)
        self._old = _OldDocument(directory, _OLD_LEASE, dry=dry)
        self._ttl = timedelta(seconds=ttl)
        self.now = now

    def holder(self) -> dict[str, Any] | None:
        """The lease that stands, and whether it has expired. One that cannot be read is nobody's and holds the host."""
        lease = self._of(self._file)
        if lease is None or lease["expired"]:
            old = self._of(self._old)
            return old if old and (lease is None or not old["expired"]) else lease
        return lease

    def _of(self, file: _Document) -> dict[str, Any] | None:
        try:
            lease = self._read(file)
        except _UnreadableError as error:
            # What is torn was written by a run of ours, and holds no longer than that run would.
            ends = to_text(file.written() + self._ttl) if isinstance(error, _TornSlotsError) else None
            lease = {"run_id": _NOBODY, "reason": str(error), "taken_at": None, "expires_at": ends}
        if lease is None:
            return None
        expires = from_text(lease["expires_at"])
        return {**lease, "expired": expires is not None and expires <= self.now}

    def _read(self, file: _Document) -> dict[str, Any] | None:
        lease = file.load()
        if lease and isinstance(lease.get("run_id"), str) and from_text(lease.get("expires_at")):
            return {"taken_at": None, **lease}
        if lease is None:
            return None
        raise _TornSlotsError(file.name, "it names no run, or no end")

    def clear(self) -> list[str]:
        """Set aside leases that cannot be read; their names."""
        broken = [file for file in (self._file, self._old) if (self._of(file) or {}).get("run_id") == _NOBODY]
        for file in broken:
            file.set_aside()
        return [file.name for file in broken]

    def take(self, run_id: str, of_whom: Mapping[str, Any]) -> None:
        """Take it, or renew one's own, for one time to live."""
        lease = self.holder()
        taken = lease["taken_at"] if lease and lease["run_id"] == run_id else to_text(self.now)
        self._file.write({"run_id": run_id, **of_whom, "taken_at": taken, "expires_at": to_text(self.now + self._ttl)})
        self._old.remove()

    def take_room(self) -> bool:
        """Room for it; whether it was taken now."""
        return self._file.take_room()

    def give_back(self, run_id: str) -> None:
        """End it where it is this run's."""
        lease = self.holder()
        if lease and lease["run_id"] == run_id:
            self._file.write(None)


class Pause:
    """The switch by which a person stops automation for a time."""

    def __init__(self, directory: int, now: datetime, *, dry: bool) -> None:
        # A pause that was damaged, or whose writing was cut short, is not to be taken for the none before it.
        self._file = _Document(directory, _PAUSE, dry=dry, needs_both=True)
        self._old = _OldDocument(directory, _OLD_PAUSE, dry=dry)
        self._now = now

    def holds(self) -> dict[str, Any] | None:
        """The pause that holds. One that cannot be read, or has no end, goes on: a person wanted automation to stop."""
        pause, old = self._of(self._file), self._of(self._old)
        if pause is None or old is None:
            return pause or old
        ends, until = from_text(old["until"]), from_text(pause["until"])
        if ends is None or until is None:
            return pause if until is None else old
        return _joined(old, pause, ends, until)

    def _of(self, file: _Document) -> dict[str, Any] | None:
        try:
            pause = file.load()
        except _UnreadableError as error:
            return {"reason": str(error), "by": "", "since": None, "until": None}
        if pause is None:
            return None
        until = from_text(pause.get("until"))
        told = {"reason": "", "by": "", "since": None, "until": None, **pause}
        return told if until is None or until > self._now else None

    def begin(self, reason: str, by: str, seconds: float) -> None:
        """Stop automation. A pause that holds already is made no shorter, and its reason stays beside the new one."""
        until, since = self._now + timedelta(seconds=seconds), to_text(self._now)
        made: dict[str, Any] = {"reason": reason, "by": by, "since": since, "until": to_text(until)}
        if before := self.holds():
            ends = from_text(before["until"])
            if ends is None:
                raise MediaOpsError(f"it is paused already, without an end: {before['reason']}")
            made = _joined(before, made, ends, until)
        self._file.write(made)
        self._old.remove()

    def take_room(self) -> bool:
        """Room for it; whether it was taken now."""
        return self._file.take_room()

    def end(self) -> tuple[bool, list[str]]:
        """Let automation go on; whether there was a pause, and the names of those that could not be read."""
        there, unread = False, list[str]()
        for file in (self._file, self._old):
            try:
                there |= file.load() is not None
            except _UnreadableError:
                file.set_aside()
                there, unread = True, [*unread, file.name]
        if there and _PAUSE not in unread:
            self._file.write(None)
        self._old.remove()
        return there, unread


def _joined(first: Mapping[str, Any], second: Mapping[str, Any], ends: datetime, until: datetime) -> dict[str, Any]:
    """Two pauses as one: the later end holds, and both are said."""
    reason = f"{first['reason']}; until {to_text(until)} also: {second['reason']}"
    by = second["by"] if second["by"] == first["by"] else f"{first['by']}, {second['by']}"
    later = to_text(max(until, ends))
    return {"reason": one_line(reason, _REASONS_MAX), "by": one_line(by), "since": first["since"], "until": later}


class Ledger:
    """What was done on the host, a line for each entry, in a few files of bounded size."""

    def __init__(self, directory: int, now: datetime, max_bytes: int, *, dry: bool) -> None:
        self._directory, self._now, self._max_bytes, self._dry = directory, now, max_bytes, dry
        self._files = LineFiles(directory, _LEDGER, max_bytes, _LEDGER_FILES)
        self._entries, self.bad_lines = self._read()

    def within(self, seconds: float) -> list[dict[str, Any]]:
        """Entries not older than that. One dated ahead counts: the clock may have been set back."""
        oldest = self._now - timedelta(seconds=seconds)
        return [entry for entry in self._entries if (from_text(entry.get("at")) or self._now) > oldest]

    def past(self, seconds: float | None) -> list[dict[str, Any]]:
        """Entries not older than that, or all, without those dated ahead: they prove nothing done of late."""
        oldest = None if seconds is None else self._now - timedelta(seconds=seconds)
        dated = [(from_text(entry.get("at")), entry) for entry in self._entries]
        return [entry for at, entry in dated if at and at <= self._now and (oldest is None or at > oldest)]

    def runs(self, action: str, seconds: float, taken_for: str | None = None) -> set[str]:
        """The runs that carried the action out. A run that does so for several targets counts once.

        Args:
            action: of which kind.
            seconds: how long ago at most.
            taken_for: the cause or procedure that it was carried out for; None for whatever. An entry that does not say
                for what it was counts for each.
        """
        return {
            str(entry.get("run_id"))
            for entry in self._attempted(seconds)
            if entry["action"] == action and (taken_for is None or entry.get("taken_for") in (None, "", taken_for))
        }

    def _attempted(self, seconds: float) -> list[dict[str, Any]]:
        """What was done, or tried: no action that was refused, or of which nothing was left to do.

        Of what was begun the run tells afterwards what came of it. A run that does not may have died in it, and have
        done it.
        """
        told: dict[tuple[Any, str], int] = {}
        recent = list(enumerate(self.within(seconds)))
        for number, entry in recent:
            if entry.get("result") != "started":
                told[entry.get("run_id"), entry["action"]] = number
        return [
            entry
            for number, entry in recent
            if entry.get("result") in _ATTEMPTED
            or (entry.get("result") == "started" and told.get((entry.get("run_id"), entry["action"]), -1) < number)
        ]

    def acted_for(self, seconds: float) -> dict[str, float]:
        """By cause, how many seconds ago it was last acted for; the newest come first, and no more than 50."""
        ages: dict[str, float] = {}
        for entry in self._attempted(seconds):
            cause = entry.get("cause")
            if not isinstance(cause, str) or not cause:
                continue
            age = max(0.0, (self._now - (from_text(entry.get("at")) or self._now)).total_seconds())
            name = one_line(cause, 100)
            ages[name] = min(age, ages.get(name, age))
        return dict(sorted(ages.items(), key=lambda one: one[1])[:_CAUSES_MAX])

    def record(self, run_id: str, entries: Sequence[Mapping[str, Any]]) -> int:
        """Append entries, on disk before this returns; return how many."""
        full = [{"at": to_text(self._now), "run_id": run_id, **entry} for entry in entries]
        lines = [json.dumps(entry, sort_keys=True, allow_nan=False) + "\n" for entry in full]
        self._entries += full
        if lines and not self._dry:
            with failing(f"cannot write the ledger {_LEDGER}"):
                self._files.append("".join(lines).encode())
        return len(lines)

    def _read(self) -> tuple[list[dict[str, Any]], int]:
        """All entries, oldest first, and how many lines are none."""
        entries: list[dict[str, Any]] = []
        bad = 0
        for name in self._files.names:
            for line in self._lines(name):
                try:
                    entry = json_object(line)
                except (ValueError, RecursionError):
                    entry = {}
                if isinstance(entry.get("action"), str):
                    entries.append(entry)
                else:
                    bad += 1
        return entries, bad

    def _lines(self, name: str) -> Sequence[bytes]:
        try:
            data = read_if_there(self._directory, name, max(self._max_bytes * 2, _LEDGER_READ_MAX))
        except OSError as error:
            # A ledger that cannot be read would lift every cap.
            raise MediaOpsError(f"cannot read the ledger {name}: {error.strerror}") from error
        return [line for line in (data or b"").rstrip(b"\n").splitlines() if line.strip()]  # its room is empty lines

    def take_room(self) -> bool:
        """Room for the entries to come; whether it was taken now."""
        lacks = bool(self._files.lacking())
        if lacks and not self._dry:
            with failing(f"cannot make the ledger {_LEDGER}"):
                self._files.take_room()
        return lacks
