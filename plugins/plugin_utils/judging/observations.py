# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the answers of the monitoring API to observations: values with units, or the reason why there is none.

Nothing here trusts the service: wrong types, rates over 1, stale timestamps and contradictions become faults, never
values. Pure functions; no threshold is held here, ages that make an answer stale come from role ``policy``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Callable

from ...module_utils.clock import said as clock_said
from ...module_utils.sessions.active import active_sessions
from ...module_utils.shapes import NOT_OFFERED, SAID_NOT_OFFERED, Json, mapping, number, one_line
from ...module_utils.state.guard import lease_said, pause_said
from ...module_utils.times import from_text, to_text
from .answered import is_answered
from .cause import cause
from .counting import Apart, Counting, counted, set_apart
from .shapes import SHORT, Observation, observation

HEALTH_LEVELS = ("healthy", "warning", "critical", "unknown")

_ALERT_LEVELS = ("info", "warning", "error", "critical")
_OTHER_LEVELS = {level: [other for other in _ALERT_LEVELS if other != level] for level in _ALERT_LEVELS}

_NOTHING_SHOWS = "nothing shows that the service works"
_LIST_MAX = 50
_METRICS_MAX = 300
_ZONES_S = 900  # zones differ by whole quarters of an hour
_MOVES_WITHIN_S = 5
_SAMPLE_INTERVAL_S = 300  # how often the service takes a sample: a fact of its API


def observe(
    result: object,
    *,
    age_max_s: float,
    skew_max_s: float,
    error_causes: Mapping[str, str] | None = None,
    counting: Counting | None = None,
) -> dict[str, Observation]:
    """All observations that a result of pipeline_info gives.

    Args:
        result: what the task registered, also where the host was unreachable or the module failed.
        age_max_s: an answer older than this, in seconds, is stale.
        skew_max_s: an answer dated further ahead than this, in seconds, proves a clock that is off.
        error_causes: what an error code points to, by which an alert is known to be of a cause that was treated.
        counting: how much counts of what the service says of itself; all of it by default.

    Returns:
        Observations by name. ``host`` is always there and says whether the host could be asked at all.
    """
    host = _host(result)
    found = {"host": host}
    if host["fault"]:
        return found
    endpoints = mapping(mapping(result).get("endpoints"))
    counting = counting or {}
    recoveries = mapping(result).get("recoveries")
    clock = _Clock(
        age_max_s,
        skew_max_s,
        from_text(mapping(result).get("recovered_at")),
        counting,
        recoveries=[mapping(row) for row in recoveries] if isinstance(recoveries, list) else [],
        error_causes=error_causes or {},
    )
    found.update(_overrides(mapping(result)))
    found.update(_mutes(mapping(result), counting))
    found.update(_automation(mapping(result)))
    found.update(_unit(mapping(result)))
    found.update(_clock_offset(mapping(result), counting))
    found.update(_api_token(mapping(result)))
    found.update(_health(endpoints, clock, counting))
    for name, reader in (("stats", _stats), ("metrics", _metrics), ("sessions", _sessions), ("alerts", _alerts)):
        if name in endpoints:
            found.update(reader(_Answer(name, endpoints[name]), clock))
    return found


def not_seen_to_work(observations: Mapping[str, Observation]) -> str:
    """Why nothing shows that a service works that tells no health; empty where something does, or where it tells it.

    A unit that runs shows it; where there is none that is known, an operation does that has ended.
    """
    overall, unit = observations.get("overall_status"), observations.get("service_unit")
    if overall is None or overall["applicable"]:
        return ""
    if unit is not None and unit["applicable"] and not unit["fault"]:
        said = f"the service is {unit['value']}" + (f": {unit['note']}" if unit["note"] else "")
        return "" if unit["value"] == "running" else f"{_NOTHING_SHOWS}: {said}"
    totals = [one for name, one in observations.items() if name.startswith("total_operations_")]
    if any((number(one["value"]) or 0) > 0 for one in totals):
        return ""
    # Of a unit that was not found the note says so; of operations, that there were none or why they are not known.
    why = [unit["note"] or unit["reason"] if unit else "", *(one["reason"] or one["note"] for one in totals)]
    why += ["no operation has ended"] if any(one["value"] == 0 for one in totals) else []
    return one_line(f"{_NOTHING_SHOWS}: {'; '.join(filter(None, ['it tells no health', *why]))}", 300)


class _FaultError(Exception):
    """Why an answer gives no value: the class of fault, and a line for people."""

    def __init__(self, fault: str, reason: str) -> None:
        super().__init__(reason)
        self.fault = fault
        self.reason = reason


class _NotOfferedError(Exception):
    """A field that the service does not offer, by its site."""


class _Answer:
    """One endpoint's part of the module's result, read with suspicion."""

    def __init__(self, name: str, raw: object) -> None:
        self.name = name
        self._raw = mapping(raw)
        self.fetched_at = from_text(self._raw.get("fetched_at"))
        self.data = mapping(self._raw.get("data"))
        self.params = mapping(self._raw.get("params"))

    def asked(self, param: str, default: int) -> int:
        """A whole number that the module asked the endpoint for."""
        value = number(self.params.get(param))
        return default if value is None else int(value)

    @property
    def ok(self) -> bool:
        return self._raw.get("state") == "ok"

    @property
    def is_offered(self) -> bool:
        return self._raw.get("state") != NOT_OFFERED

    @property
    def source(self) -> str:
        """What tells: the endpoint, or what was looked at where the service does not offer it."""
        return one_line(self._raw.get("source") or self.name, 40)

    @property
    def short(self) -> str:
        """Why it does not tell of all the time that was asked for; empty where it does."""
        return one_line(self._raw.get("short") or "", 200)

    def require(self) -> None:
        state = self._raw.get("state")
        if state != "ok":
            known = state in ("unreachable", "timeout", "auth", "http_error", "invalid")
            raise _FaultError(str(state) if known else "invalid", one_line(self._raw.get("reason") or "no answer"))
        if not isinstance(self._raw.get("data"), Mapping):
            raise _FaultError("wrong_type", f"the answer of {self.name} is not an object")

    def lacks(self, key: str) -> bool:
        """Whether the service does not offer a field; one of rows has the rows' name and a dot before its own."""
        absent = self._raw.get("not_offered")
        return isinstance(absent, list) and key in absent

    def get(self, key: str) -> Any:
        if self.lacks(key):
            raise _NotOfferedError
        if self.data.get(key) is None:
            raise _FaultError("missing", f"{self.name} has no '{key}'")
        return self.data[key]

    def number(self, key: str, low: float = 0, high: float = float("inf")) -> float | int:
        raw = self.get(key)
        value = number(raw)
        if value is None:
            raise _FaultError("wrong_type", f"{self.name}: '{key}' is {one_line(repr(raw), 40)}, not a finite number")
        if not low <= value <= high:
            raise _FaultError("out_of_range", f"{self.name}: '{key}' is {value:g}, outside of {low:g} to {high:g}")
        return value

    def count(self, key: str) -> int:
        value = self.number(key)
        if value != int(value):
            raise _FaultError("wrong_type", f"{self.name}: '{key}' is {value:g}, not a whole number")
        return int(value)

    def rows(self, key: str) -> list[Any]:
        value = self.get(key)
        if not isinstance(value, list):
            raise _FaultError("wrong_type", f"{self.name}: '{key}' is not a list")
        return value


class _Clock:
    """Is a timestamp of the service recent, by the host's own clock at the time of the answer?

    `recovered` is when the host recovered within the last hour, None where it did not; `recoveries` from what, and
    when. `offset` is how far the service's times are known to be ahead of the host's.
    """

    def __init__(
        self,
        age_max_s: float,
        skew_max_s: float,
        recovered: datetime | None,
        counting: Counting,
        *,
        recoveries: Sequence[Json] = (),
        error_causes: Mapping[str, str] | None = None,
    ) -> None:
        self.recovered = recovered
        self.offset = timedelta(seconds=counting.get("service_offset_s") or 0)
        self._counting = counting
        self._recoveries = recoveries
        self._error_causes = error_causes or {}
        self._age_max = timedelta(seconds=age_max_s)
        self._skew_max = timedelta(seconds=skew_max_s)
        self._alert_age_max_s = counting.get("alert_age_max_s", float("inf"))

    def is_apart(self, alert: Json) -> bool:
        """Whether an alert is of a component that is muted, or that judged a rate of too few operations."""
        about = mapping(alert.get("metadata"))
        name, total = about.get("component"), number(about.get("total_operations"))
        if not isinstance(name, str):
            return False
        few = total is not None and total < (self._counting.get("rate_operations_min") or 0)
        return name in (self._counting.get("muted") or {}) or (
            few and name in (self._counting.get("rate_components") or [])
        )

    def outlived(self, age: timedelta) -> bool:
        """Whether an alert of that age counts no longer."""
        return age.total_seconds() > self._alert_age_max_s

    @property
    def alert_age_max(self) -> str:
        """For people."""
        return _ago(timedelta(seconds=self._alert_age_max_s))

    def answered(self, alert: Json) -> datetime | None:
        """When the host recovered from what an alert is about, None where it did not since."""
        return is_answered(alert, self._recoveries, self._error_causes, self.offset)

    def fresh(self, answer: _Answer, key: str) -> str:
        moment = from_text(answer.get(key))
        if moment is None:
            raise _FaultError(
                "wrong_type", f"{answer.name}: '{key}' is {one_line(repr(answer.get(key)), 40)}, not a time"
            )
        return self.recent(answer, moment)

    def recent(self, answer: _Answer, moment: datetime, every_s: float = 0) -> str:
        """The moment as text, when it is recent for something that is renewed every so many seconds."""
        if answer.fetched_at is None:
            raise _FaultError("invalid", f"{answer.name}: the time of the answer is not known")
        moment -= self.offset
        age = answer.fetched_at - moment
        if age > self._age_max + timedelta(seconds=every_s):
            raise _FaultError("stale", f"{answer.name} is dated {to_text(moment)}, {_ago(age)} before it was read")
        if -age > self._skew_max:
            # No service that hangs dates its answers ahead.
            raise _FaultError(
                "clock",
                f"{answer.name} is dated {to_text(moment)}, {_ago(-age)} ahead of the host's clock: a clock or a zone "
                "is wrong",
            )
        return to_text(moment)


def _ago(age: timedelta) -> str:
    seconds = age.total_seconds()
    return f"{seconds / 3600:.1f} h" if seconds >= 5400 else f"{seconds / 60:.0f} min"


def _host(result: object) -> Observation:
    raw = mapping(result)
    message = one_line(raw.get("msg") or "")
    if raw.get("unreachable"):
        fault, reason = "host_unreachable", message or "no connection to the host"
    elif isinstance(raw.get("endpoints"), Mapping):
        return observation("reached", "state")
    elif raw.get("rc") in (126, 127):
        streams = f"{raw.get('module_stdout', '')} {raw.get('module_stderr', '')}"
        fault, reason = "no_python", f"no Python that runs on the host: {one_line(streams, 120)}"
    else:  # the task says failed_when: false, so the message is all that tells a failed module
        fault, reason = "module_failed", message or "the host gave no result"
    return observation(None, "state", fault=fault, reason=reason)


def moving_offset(first: object, second: object) -> float | None:
    """How many seconds the service's times are ahead of the host's clock, by two answers of which one came later.

    A service that hangs repeats a date; one whose clock or zone is another's goes on with it, and only then the date
    says nothing against the answer.

    Args:
        first: result of pipeline_info with ``health_detailed``, which the service keeps in no cache.
        second: the same, asked later.
    """
    before, after = _dated(first), _dated(second)
    if before is None or after is None or after[0] <= before[0]:
        return None
    offsets = [(moment - read).total_seconds() for moment, read in (before, after)]
    return round(sum(offsets) / 2) if abs(offsets[1] - offsets[0]) <= _MOVES_WITHIN_S else None


def _dated(result: object) -> tuple[datetime, datetime] | None:
    """Of which moment the health is by itself, and when it was read by the host's clock."""
    answer = _Answer("health_detailed", mapping(mapping(result).get("endpoints")).get("health_detailed"))
    moment = from_text(answer.data.get("timestamp")) if answer.ok else None
    return (moment, answer.fetched_at) if moment and answer.fetched_at else None


def is_dated_off(observations: Mapping[str, Observation]) -> bool:
    """Whether the service's state is not known for the date of its answer alone."""
    overall = observations.get("overall_status")
    return overall is not None and overall["fault"] in ("stale", "clock")


def _zone(offset_s: float) -> str:
    """Where the service's times are, for people."""
    where = f"{_ago(timedelta(seconds=abs(offset_s)))} {'ahead of' if offset_s > 0 else 'behind'} the host's clock"
    rest = abs(offset_s) % _ZONES_S
    # The answer took its time, and its date is cut to whole seconds.
    is_zone = min(rest, _ZONES_S - rest) <= _MOVES_WITHIN_S
    what = "as in a zone of its own: it must write UTC" if is_zone else "so its clock is not the host's"
    return f"the service's times are {where}, {what}"


def _clock_offset(result: Json, counting: Counting) -> dict[str, Observation]:
    """How far the host's clock is from the controller's, either way, or the service's from the host's."""
    of_service = counting.get("service_offset_s")
    if of_service:
        return {"clock_offset": observation(abs(of_service), "s", note=_zone(of_service))}
    if "clock_offset_s" not in result:
        return {"clock_offset": observation(None, "s", applicable=False, note="not asked for")}
    offset = number(result["clock_offset_s"])
    if offset is None:
        return {"clock_offset": observation(None, "s", fault="wrong_type", reason="the host's time is not a number")}
    return {"clock_offset": observation(abs(offset), "s", note=clock_said(offset) if abs(offset) >= 1 else "")}


def _answers(result: Json) -> bool:
    """Whether any endpoint of the API gave a document. What a log or processes tell instead, no service answers."""
    answers = map(mapping, mapping(result.get("endpoints")).values())
    return any(answer.get("state") == "ok" and not answer.get("source") for answer in answers)


def _unit(result: Json) -> dict[str, Observation]:
    """How the service stands by its unit or main process, whatever it says of itself: one that is started anew all the
    time is well in between."""
    unit = mapping(result.get("unit"))
    state = one_line(unit.get("class") or "", 40)
    by_process = unit.get("told_by") not in (None, "systemd")
    if state == "unknown" and by_process:
        # The site has said what tells its main process, so that this host is not merely one without systemd.
        reason = one_line(unit.get("reason") or "its main process is not known")
        return {"service_unit": observation(None, "state", fault="missing", reason=reason)}
    if state == "dead" and by_process and unit.get("serves_api") is not False and _answers(result):
        reason = f"{one_line(unit.get('reason') or '')}, and yet its API answers: policy_service_process names another"
        return {"service_unit": observation(None, "state", fault="contradiction", reason=reason)}
    if state in ("", "unknown", "not_found"):
        # It is also run without systemd, in a container or by a supervisor of its own.
        note = one_line(unit.get("reason") or "not asked for")
        return {"service_unit": observation(None, "state", applicable=False, note=note)}
    return {"service_unit": observation(state, "state", note=one_line(unit.get("reason") or ""))}


def _api_token(result: Json) -> dict[str, Observation]:
    """For how many seconds a token holds that nothing renews, from when the API was asked."""
    access = mapping(result.get("api_access"))
    until, by = from_text(access.get("valid_until")), access.get("by")
    asked = [_Answer(name, one).fetched_at for name, one in mapping(result.get("endpoints")).items()]
    now = max(filter(None, asked), default=None)
    ends = f"valid until {to_text(until)}" if until else "its end is not known"
    if by == "login" and access.get("reason"):
        reason = one_line(access["reason"], 300)
        return {"api_token": observation(None, "s", fault="auth", reason=reason)}
    if by != "token" or until is None or now is None:
        why = {"login": f"renewed by login, {ends}", "token": ends}.get(str(by), "no token is given")
        return {"api_token": observation(None, "s", applicable=False, note=why)}
    return {"api_token": observation(max(0.0, (until - now).total_seconds()), "s", note=ends)}


def _overrides(result: Json) -> dict[str, Observation]:
    """How many settings differ from the service's own for a time; all of them are named until they are taken back."""
    if "overrides" not in result:
        return {"overrides": observation(None, "count", applicable=False, note="not asked for")}
    answer = mapping(result["overrides"])
    rows = answer.get("overrides")
    if answer.get("state") != "ok" or not isinstance(rows, list):
        reason = one_line(answer.get("reason") or "the overrides cannot be read")
        return {"overrides": observation(None, "count", fault="missing", reason=reason)}
    named = [
        f"{one_line(row.get('name'), 40)}={one_line(row.get('value'), 40)} "
        + ("expired" if row.get("expired") else f"until {one_line(row.get('until'), 30)}")
        + ("" if row.get("taken_at") else ", not proved to have an effect")
        for row in map(mapping, rows[:_LIST_MAX])
    ]
    return {"overrides": observation(len(rows), "count", note=", ".join(named))}


def _automation(result: Json) -> dict[str, Observation]:
    """Whether automation may act on the host, and who keeps it off, with the end of that."""
    if "automation" not in result:
        return {"automation": observation(None, "state", applicable=False, note="not asked for")}
    answer = mapping(result["automation"])
    pause, lease = mapping(answer.get("pause")), mapping(answer.get("lease"))
    if answer.get("state") != "ok":
        reason = one_line(answer.get("reason") or "whether automation is paused cannot be read")
        return {"automation": observation(None, "state", fault="missing", reason=reason)}
    if pause:
        state = "paused" if pause.get("until") else "unreadable"
        return {"automation": observation(state, "state", note=one_line(pause_said(pause), 300))}
    if lease:
        said = one_line(lease_said(lease), 300)
        return {"automation": observation("acting" if lease.get("expires_at") else "unreadable", "state", note=said)}
    return {"automation": observation("free", "state")}


def _mutes(result: Json, counting: Counting) -> dict[str, Observation]:
    """How many mutes hold, all of them named. Those that the host keeps and nobody can read mute nothing."""
    if "mutes" not in result:
        return {"mutes": observation(None, "count", applicable=False, note="not asked for")}
    answer, held = mapping(result["mutes"]), counting.get("held") or []
    if answer.get("state") != "ok":
        reason = f"{one_line(answer.get('reason') or 'the mutes cannot be read')}; what they mute counts"
        return {"mutes": observation(None, "count", fault="missing", reason=reason)}
    return {"mutes": observation(len(held), "count", note="; ".join(held))}


def _health(endpoints: Json, clock: _Clock, counting: Counting) -> dict[str, Observation]:
    asked = [_Answer(name, endpoints[name]) for name in ("health_detailed", "health") if name in endpoints]
    if not asked:
        return {}
    answers = [answer for answer in asked if answer.is_offered]
    if not answers:
        return {"overall_status": _not_offered("state", asked[-1])}
    # The detailed answer is fresh, the plain one may be a minute old; when neither came, the plain one's reason counts.
    answer = next((a for a in answers if a.ok), answers[-1])
    found: dict[str, Observation] = {}
    try:
        answer.require()
        apart = set_apart(answer.data, endpoints, counting)
        status, note = _overall(answer, apart)
        at = clock.fresh(answer, "timestamp")
        if of_service := counting.get("service_offset_s"):
            note = "; ".join(filter(None, [_zone(of_service), note]))
        found["overall_status"] = observation(status, "state", note=note, at=at, endpoint=answer.name)
        for component in components(answer.data, apart):
            name = f"component_{component['component']}"
            found[name] = observation(
                component["counts_as"], "state", note=component["message"], at=at, endpoint=answer.name
            )
    except _FaultError as error:
        reasons = [error.reason, *_reasons(a for a in answers if a is not answer)]
        found["overall_status"] = observation(
            None, "state", fault=error.fault, reason=one_line("; ".join(reasons), 300), endpoint=answer.name
        )
    return found


def _reasons(answers: Iterator[_Answer]) -> Iterator[str]:
    for answer in answers:
        try:
            answer.require()
        except _FaultError as error:
            yield f"{answer.name}: {error.reason}"


def _overall(answer: _Answer, apart: Mapping[str, Apart]) -> tuple[str, str]:
    status = answer.get("overall_status")
    if not isinstance(status, str) or status not in HEALTH_LEVELS:
        raise _FaultError(
            "unknown_value",
            f"overall_status is {one_line(repr(status), 40)}, which is none of {', '.join(HEALTH_LEVELS)}",
        )
    listed = components(answer.data, apart)
    bad = [c for c in listed if c["status"] != "healthy"]
    if status in ("healthy", "warning"):
        if all(c["status"] == "unknown" for c in listed):
            raise _FaultError("missing", f"overall_status is {status}, but no check is listed that would prove it")
        critical = [c["component"] for c in bad if c["status"] == "critical"]
        if critical:
            raise _FaultError("contradiction", f"overall_status is {status}, but {', '.join(critical)} is critical")
        summed = number(mapping(answer.data.get("summary")).get("critical"))
        if summed:
            raise _FaultError(
                "contradiction", f"overall_status is {status}, but its summary counts {summed:g} critical"
            )
    # What counts for less is told last.
    bad.sort(key=lambda c: c["counts_as"] != c["status"])
    note = one_line("; ".join(f"{c['component']}: {c['message'] or c['status']}" for c in bad), 300)
    return counted(status, listed, answer.data), note


def components(data: Json, apart: Mapping[str, Apart] | None = None) -> list[dict[str, str]]:
    """The checks of a health answer, as far as they are readable; at most 50.

    Args:
        data: the answer.
        apart: by component, as what it counts where that is less than it says.

    Returns:
        Each with ``component``, ``status``, ``message``, and ``counts_as``, which is a status too.
    """
    rows = data.get("checks")
    found = []
    for row in rows[:_LIST_MAX] if isinstance(rows, list) else []:
        status = mapping(row).get("status")
        if mapping(row).get("component"):
            known = str(status) if isinstance(status, str) and status in HEALTH_LEVELS else "unknown"
            named, message = one_line(row["component"], 40), cause(row.get("message") or "", 200)
            less = (apart or {}).get(str(row["component"]))
            if less is not None and known != "healthy":
                message = f"{message or known} ({less.why})"
            found.append(
                {
                    "component": named,
                    "status": known,
                    "message": message,
                    "counts_as": less.counts_as if less is not None and known != "healthy" else known,
                }
            )
    return found


def _not_offered(unit: str, answer: _Answer) -> Observation:
    """What counts for nothing: the site says that its service has nothing of the kind."""
    return observation(None, unit, applicable=False, note=SAID_NOT_OFFERED, endpoint=answer.name)


_Reader = Callable[[], Any]


def _each(
    answer: _Answer, trust: Callable[[], str | None], readers: Mapping[str, tuple[str, _Reader]]
) -> dict[str, Observation]:
    """Observations of one answer. A fault of the whole answer is the fault of each; else each has its own.

    Args:
        answer: the answer they are read from.
        trust: raises where the whole answer proves nothing, else says when it was true.
        readers: name to unit and a function that gives the value, or several parts of the observation.
    """
    if not answer.is_offered:
        return {name: _not_offered(unit, answer) for name, (unit, _read) in readers.items()}
    found = {}
    for name, (unit, read) in readers.items():
        try:
            answer.require()
            at = trust()
            value = read()
            parts = value if isinstance(value, dict) else {"value": value}
            if answer.short:
                parts = {**parts, "applicable": True, "fault": SHORT, "reason": answer.short}
            found[name] = observation(**{"unit": unit, "at": at, "endpoint": answer.source, **parts})
        except _FaultError as error:
            found[name] = observation(None, unit, fault=error.fault, reason=error.reason, endpoint=answer.source)
        except _NotOfferedError:
            found[name] = _not_offered(unit, answer)
    return found


def _stats(answer: _Answer, clock: _Clock) -> dict[str, Observation]:
    hours = answer.asked("hours", 24)
    # The service gives no shorter window, so the last hour stays bad until the hour is over.
    recovered = clock.recovered if hours == 1 else None
    note = f"with what was before the recovery of {to_text(recovered)}" if recovered else ""

    def trust() -> str:
        window = answer.number("time_period_hours")
        if window != hours:
            raise _FaultError("unknown_value", f"stats of {window:g} h came where {hours} h were asked for")
        return clock.fresh(answer, "generated_at")

    def noted(value: Any) -> Any:
        return value if isinstance(value, dict) else {"value": value, "note": note}

    def duration() -> Any:
        return answer.number("average_duration") if answer.count("total_operations") else _nothing(hours)

    return _each(
        answer,
        trust,
        {
            f"slowest_stage_{hours}h": ("s", lambda: _slowest(answer, hours)),
            f"total_operations_{hours}h": ("count", lambda: answer.count("total_operations")),
            f"error_rate_{hours}h": ("ratio", lambda: noted(_rate(answer, "error_rate", hours))),
            f"success_rate_{hours}h": ("ratio", lambda: noted(_rate(answer, "success_rate", hours))),
            f"average_duration_{hours}h": ("s", lambda: noted(duration())),
        },
    )


def _rate(answer: _Answer, key: str, hours: int) -> Any:
    """A rate that agrees with what is counted."""
    total, ratio = answer.count("total_operations"), answer.number(key, 0, 1)
    failed = number(answer.data.get("failed_operations"))
    if total == 0:
        if key == "error_rate" and ratio > 0:
            raise _FaultError("contradiction", f"error_rate is {ratio:g} with no operations")
        if failed or answer.data.get("error_breakdown"):
            raise _FaultError("contradiction", "there are failed operations, but total_operations is 0")
        return _nothing(hours)
    if failed is not None:
        counted = failed / total if key == "error_rate" else 1 - failed / total
        if abs(counted - ratio) > 0.005:
            raise _FaultError("contradiction", f"{key} is {ratio:g}, but {failed:g} of {total} operations failed")
    return ratio


def _slowest(answer: _Answer, hours: int) -> dict[str, Any]:
    """The average duration of the slowest stage, with all stages as a note, slowest first."""
    if not answer.count("total_operations"):
        return _nothing(hours)
    breakdown = answer.get("stage_breakdown")
    if not isinstance(breakdown, Mapping):
        raise _FaultError("wrong_type", "stats: 'stage_breakdown' is not an object")
    averages = {one_line(name, 40): number(mapping(row).get("average_duration")) for name, row in breakdown.items()}
    ranked = sorted(
        ((value, name) for name, value in averages.items() if value is not None and value >= 0), reverse=True
    )
    if len(ranked) < len(averages) or not ranked:
        raise _FaultError("missing", "stats: a stage has no average_duration that can be read")
    return {"value": ranked[0][0], "note": one_line(", ".join(f"{name} {value:.0f} s" for value, name in ranked))}


def _nothing(hours: int) -> dict[str, Any]:
    return {"value": None, "applicable": False, "note": f"no operations in the last {hours} h"}


def _alerts(answer: _Answer, clock: _Clock) -> dict[str, Observation]:
    level = str(answer.params.get("level") or "critical")
    limit = answer.asked("limit", 200)

    def of_level() -> list[Json]:
        """The rows that were asked for. One whose level cannot be read may be one of those."""
        rows = answer.rows("alerts")
        return [mapping(row) for row in rows if mapping(row).get("level") not in _OTHER_LEVELS.get(level, ())]

    def age(row: Json) -> timedelta | None:
        """None where it is not dated: it may be new."""
        moment, now = from_text(row.get("timestamp")), answer.fetched_at
        return now + clock.offset - moment if moment and now else None

    def count() -> Any:
        rows, listed = answer.rows("alerts"), of_level()
        others = len(rows) - len(listed)
        if others and len(rows) >= limit:
            raise _FaultError(
                "unknown_value", f"alerts: {others} of {len(rows)} are not {level}, and no more are shown"
            )
        unlisted = 0 if others else max(0, answer.count("total_returned") - len(listed))
        ages = [age(row) for row in listed]
        young = [row for row, old in zip(listed, ages, strict=True) if old is None or not clock.outlived(old)]
        heard = [row for row in young if not clock.is_apart(row)]
        # The newest come first, so that what is beyond the last is older than it.
        if ages and ages[-1] is not None and clock.outlived(ages[-1]):
            unlisted = 0
        once = _once(heard)
        notes = [f"at least, {limit} were asked for"] if len(young) + unlisted >= limit else []
        notes += [_newest(once[0])] if once else []
        left_out = _left_out(len(listed) - len(young), len(young) - len(heard), len(heard) - len(once))
        return {"value": len(once) + unlisted, "note": "; ".join([*notes, *left_out])}

    def recent() -> dict[str, Any]:
        # The service keeps alerts for long after their cause is gone.
        ages = [(row, age(row)) for row in of_level()]
        found = [row for row, old in ages if old is None or old <= timedelta(hours=1)]
        # A recovery answers what was treated, and no other alert of the host.
        answers = {index: when for index, row in enumerate(found) if (when := clock.answered(row))}
        since = [row for index, row in enumerate(found) if index not in answers]
        heard = [row for row in since if not clock.is_apart(row)]
        once = _once(heard)
        notes = [_titled(once[0])] if once else []
        if answers:
            notes.append(f"{len(answers)} more from before the recovery of {to_text(max(answers.values()))}")
        return {
            "value": len(once),
            "note": "; ".join([*notes, *_left_out(0, len(since) - len(heard), len(heard) - len(once))]),
        }

    def _left_out(old: int, muted: int, again: int) -> list[str]:
        return [
            *([f"{again} more of the same session{'s' if again > 1 else ''}"] if again else []),
            *([f"{muted} of components that are muted or judge too few operations, not counted"] if muted else []),
            *([f"{old} older than {clock.alert_age_max}, not counted"] if old else []),
        ]

    readers: dict[str, tuple[str, _Reader]] = {
        f"{level}_alerts": ("count", count),
        f"{level}_alerts_1h": ("count", recent),
    }
    return _each(answer, lambda: clock.fresh(answer, "generated_at"), readers)


def _once(rows: Sequence[Json]) -> list[Json]:
    """Of several alerts of one session the first: a merge that fails makes an error and a critical one."""
    found, sessions = [], set[str]()
    for row in rows:
        session = row.get("session_id")
        if isinstance(session, str) and session:
            if session in sessions:
                continue
            sessions.add(session)
        found.append(row)
    return found


def _titled(row: Json) -> str:
    """An alert for people, with its cause."""
    title, why = one_line(row.get("title") or "", 80), cause(row.get("message") or "", 160)
    return f"{title}: {why}" if title and why else title or why


def _newest(row: Json) -> str:
    moment = from_text(row.get("timestamp"))
    return f"newest of {to_text(moment)}: {_titled(row)}" if moment else _titled(row)


def _metrics(answer: _Answer, clock: _Clock) -> dict[str, Observation]:
    samples = metrics(answer.data)

    def trust() -> None:
        newest = from_text(samples[-1]["at"]) if samples else None
        if newest is None:
            raise _FaultError("missing", "metrics has no sample that can be read")
        clock.recent(answer, newest, _SAMPLE_INTERVAL_S)

    def peak(key: str) -> dict[str, Any]:
        top = max(samples, key=lambda sample: sample[key])
        return {"value": top[key], "at": top["at"]}

    return _each(
        answer,
        trust,
        {
            "cpu_peak": ("percent", lambda: peak("cpu_percent")),
            "memory_peak": ("percent", lambda: peak("memory_percent")),
        },
    )


def _sessions(answer: _Answer, _clock: _Clock) -> dict[str, Observation]:
    def trust() -> str | None:
        # What is missing or of a wrong type has a fault of its own; the list itself is read as all others read it.
        answer.rows("active_sessions")
        answer.count("total_active")
        listed = active_sessions(answer.data)
        if not listed.complete:
            raise _FaultError("contradiction", f"sessions: {listed.reason}")
        return to_text(answer.fetched_at) if answer.fetched_at else None

    def longest() -> float | int:
        if answer.lacks("active_sessions.duration_minutes"):
            raise _NotOfferedError
        ages = [number(mapping(row).get("duration_minutes")) for row in answer.rows("active_sessions")]
        unread = sum(1 for age in ages if age is None or age < 0)
        if unread:
            raise _FaultError("wrong_type", f"sessions: {unread} of {len(ages)} have no readable duration_minutes")
        return max((age for age in ages if age is not None), default=0)

    def count() -> int:
        return len(answer.rows("active_sessions"))

    return _each(answer, trust, {"active_sessions": ("count", count), "longest_session": ("min", longest)})


def metrics(data: Json) -> list[dict[str, Any]]:
    """The samples of a metrics answer that can be read, oldest first; at most 300: the first one and the newest.

    The first tells since when the service remembers.
    """
    names = {
        "cpu_usage_percent": "cpu_percent",
        "memory_usage_percent": "memory_percent",
        "disk_usage_percent": "disk_percent",
        "active_sessions": "active_sessions",
        "temp_dir_size_mb": "temp_mb",
    }
    rows = data.get("metrics")
    found = []
    listed = rows if isinstance(rows, list) else []
    for row in listed if len(listed) <= _METRICS_MAX else [listed[0], *listed[1 - _METRICS_MAX :]]:
        at = from_text(mapping(row).get("timestamp"))
        sample: dict[str, Any] = {ours: number(mapping(row).get(theirs)) for theirs, ours in names.items()}
        if at and all(sample[key] is not None and 0 <= sample[key] <= 100 for key in ("cpu_percent", "memory_percent")):
            found.append({"at": to_text(at), **sample})
    return sorted(found, key=lambda sample: str(sample["at"]))


def details(result: object, log: object = None, counting: Counting | None = None) -> dict[str, Any]:
    """What reports draw from: the parts of the answers that can be read, bounded in number and length.

    Args:
        result: what the task with pipeline_info registered.
        log: what a task with log_digest_info registered, counting error codes.
        counting: as in :func:`observe`.
    """
    endpoints = mapping(mapping(result).get("endpoints"))
    answers = {name: _Answer(name, raw) for name, raw in endpoints.items()}
    data = {name: answer.data if answer.ok else {} for name, answer in answers.items()}
    stats = data.get("stats", {})
    samples = metrics(data.get("metrics", {}))
    health = data.get("health_detailed") or data.get("health") or {}
    return {
        "totals": {
            "window_h": answers["stats"].asked("hours", 24) if "stats" in answers else None,
            "total_operations": number(stats.get("total_operations")),
            "success_rate": number(stats.get("success_rate")),
            "error_rate": number(stats.get("error_rate")),
            "average_duration_s": number(stats.get("average_duration")),
        },
        "stages": {
            one_line(stage, 40): {
                "count": number(mapping(row).get("count")),
                "success_count": number(mapping(row).get("success_count")),
                "average_duration_s": number(mapping(row).get("average_duration")),
                "max_duration_s": number(mapping(row).get("max_duration")),
                "min_duration_s": number(mapping(row).get("min_duration")),
            }
            for stage, row in list(mapping(stats.get("stage_breakdown")).items())[:_LIST_MAX]
        },
        "errors": {
            one_line(code, 60): number(count)
            for code, count in list(mapping(stats.get("error_breakdown")).items())[:_LIST_MAX]
            if number(count) is not None
        },
        "metrics": samples,
        "resource_peaks": [
            {key: sample[key] for key in ("at", "cpu_percent", "memory_percent")}
            for sample in sorted(samples, key=lambda row: -row["cpu_percent"])[:3]
        ],
        "components": components(health, set_apart(health, endpoints, counting or {})),
        "alerts": _details_alerts(data.get("alerts", {})),
        "sessions": _details_sessions(data.get("sessions", {})),
        "log": _details_log(mapping(log)),
    }


def _rows(data: Json, key: str) -> list[Mapping[str, Any]]:
    rows = data.get(key)
    return [row for row in rows[:_LIST_MAX] if isinstance(row, Mapping)] if isinstance(rows, list) else []


def _details_alerts(data: Json) -> list[dict[str, Any]]:
    found = []
    for row in _rows(data, "alerts"):
        at = from_text(row.get("timestamp"))
        found.append(
            {
                "at": to_text(at) if at else None,
                "level": one_line(row.get("level") or "", 20),
                "title": one_line(row.get("title") or "", 120),
                "message": cause(row.get("message") or ""),
            }
        )
    return found


def _details_sessions(data: Json) -> list[dict[str, Any]]:
    return [
        {
            "session_id": one_line(row.get("session_id") or "", 80),
            "stage": one_line(row.get("stage") or "", 40),
            "minutes": number(row.get("duration_minutes")),
        }
        for row in _rows(data, "active_sessions")
    ]


def _details_log(log: Json) -> dict[str, Any]:
    rows = [row for rows in mapping(log.get("counts")).values() if isinstance(rows, list) for row in rows[:_LIST_MAX]]
    return {
        "errors": {
            one_line(row.get("value"), 60): number(row.get("count")) for row in rows if isinstance(row, Mapping)
        },
        "lines": number(log.get("lines")),
        "bad_lines": number(log.get("bad_lines")),
    }


def unread(answer: Json) -> str:
    """Why a log tells nothing, "" where it does: not all was read, or most of it has no time or level or is no entry.

    Args:
        answer: of log_digest_info.
    """
    if answer.get("failed") or answer.get("unreachable") or "state" not in answer:
        return f"no answer: {answer.get('msg') or 'the log was not read'}"
    if answer["state"] != "ok":
        return str(answer.get("reason") or f"the log is {answer['state']}")
    lines, bad, matched, undated, unlevelled = (
        number(answer.get(key)) or 0 for key in ("lines", "bad_lines", "matched", "undated", "unlevelled")
    )
    left_out = answer.get("left_out")
    neighbours = left_out if isinstance(left_out, list) else []
    reasons = (
        (neighbours, f"{', '.join(map(str, neighbours[:3]))}: may be of this log, and cannot be read"),
        (answer.get("complete") is False, "not all of the log was read"),
        (bad > lines - bad, f"{bad:g} of {lines:g} lines are no entries that could be read"),
        (undated > matched, f"{undated:g} of {matched + undated:g} entries have no time that could be read"),
        (
            unlevelled > lines - bad - unlevelled,
            f"{unlevelled:g} of {lines - bad:g} entries have no level that is known",
        ),
    )
    return next((reason for holds, reason in reasons if holds), "")


def no_log() -> Observation:
    """The number of errors where the site says that its service has no log that could be read."""
    return observation(None, "count", applicable=False, note=SAID_NOT_OFFERED)


def observe_log(result: object, errors: object = None) -> Observation:
    """The number of matching log entries, with the most frequent codes as a note.

    Args:
        result: what log_digest_info answered.
        errors: the same of the log of errors, where that is another. What stands in both is one error, so that the log
            with more of them counts. One that is not there has none: many writers make it with their first error.
    """
    found = _observe_log(result)
    other = mapping(errors)
    if found["fault"] or not other or other.get("state") == "missing":
        return found
    also = _observe_log(other)
    if also["fault"]:
        return {**also, "reason": one_line(f"the log of errors: {also['reason']}")}
    if (number(also["value"]) or 0) <= (number(found["value"]) or 0):
        return found
    said = f"{also['value']} in the log of errors, {found['value']} in the other"
    return {**also, "note": "; ".join(filter(None, [said, also["note"]]))}


def _observe_log(result: object) -> Observation:
    raw = mapping(result)
    state = raw.get("state")
    matched = number(raw.get("matched"))
    if raw.get("unreachable") or state is None:
        reason = one_line(raw.get("msg") or "the log was not read")
        return observation(
            None, "count", fault="host_unreachable" if raw.get("unreachable") else "module_failed", reason=reason
        )
    if why := unread(raw):
        return observation(None, "count", fault="missing", reason=one_line(why))
    if matched is None:
        return observation(None, "count", fault="missing", reason="the log was read, and its entries were not counted")
    counts = mapping(raw.get("counts"))
    rows = [row for rows in counts.values() if isinstance(rows, list) for row in rows[:5] if isinstance(row, Mapping)]
    codes = ", ".join(f"{one_line(row.get('value'), 40)} {row.get('count')}" for row in rows)
    said = (("bad_lines", "lines could not be read"), ("undated", "have no time"), ("unlevelled", "have no level"))
    notes = [codes] if codes else []
    notes += [f"{count:g} {what}" for key, what in said if (count := number(raw.get(key)))]
    return observation(int(matched), "count", note="; ".join(notes))
