"""Result documents made by the collection's own code from answers of the monitoring API, for what people look at."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.checked import checked
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.details import details
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.muting import made as made_mute
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.observations import observe
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.routing import route
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.verdict import judge
from ansible_collections.media_ops.runbook.plugins.plugin_utils.report.commands import Commands
from ansible_collections.media_ops.runbook.plugins.plugin_utils.report.result import build

from tests.unit.plugins import factories as f
from tests.unit.plugins.policy import policy

_END = datetime(2026, 11, 24, 5, 55, tzinfo=UTC)
_POLICY = policy()
CONTACTS = [
    {"area": "Host, network", "name": "System Administrator", "contact": "+00 555 0100"},
    {"area": "Service, FFmpeg", "name": "Development Team", "contact": "#media-dev"},
    {"area": "S3, AWS", "name": "Infrastructure Team", "contact": "infra@example.com"},
]
RUN = {
    "id": "20261124T060010Z",
    "check": "daily_morning",
    "title": "Daily morning health check",
    "playbook": "Daily morning health check",
    "started_at": "2026-11-24T05:59:41Z",
    "finished_at": "2026-11-24T06:00:10Z",
    "check_mode": False,
    "collection_version": "0.1.0",
    "ansible_version": "2.19.14",
}
CALL = {"prefix": "ansible-playbook playbooks/"}


def metrics(seed: int = 0, gap: range = range(0)) -> dict[str, Any]:
    """A day of samples, every 5 minutes, less those in the gap."""
    rows = []
    for at in range(288):
        if at not in gap:
            load = 38 + 24 * math.sin((at + 17 * seed) / 44) + (at * 7919 + seed) % 17
            rows.append(
                {
                    "timestamp": f"{_END - timedelta(minutes=5 * (287 - at)):%Y-%m-%dT%H:%M:%S}",
                    "cpu_usage_percent": round(load, 1),
                    "memory_usage_percent": round(52 + 9 * math.sin(at / 60 + seed), 1),
                    "disk_usage_percent": 61.5,
                    "active_sessions": at % 4,
                    "temp_dir_size_mb": 900.0 + at,
                }
            )
    return {"metrics_count": len(rows), "metrics": rows}


def stages(scale: float = 1.0) -> dict[str, Any]:
    averages = {
        "upload": 4.2,
        "analysis": 1.1,
        "preparation": 18.0,
        "merging": 41.0,
        "compression": 96.0,
        "storage_upload": 12.5,
        "cleanup": 0.2,
    }
    return {
        stage: {
            "count": 212,
            "success_count": 205,
            "average_duration": round(average * scale, 2),
            "max_duration": round(average * scale * 4.6, 2),
            "min_duration": round(average * scale * 0.3, 2),
        }
        for stage, average in averages.items()
    }


def day(seed: int = 0, gap: range = range(0), **spoiled: Any) -> dict[str, Any]:
    """A result of pipeline_info on a host with a usual day behind it."""
    errors = {"VALIDATION_FAILED": 4, "PROCESSING_TIMEOUT": 1}
    stats = f.stats(total=212, failed=5, stage_breakdown=stages(1 + seed % 5 / 10), error_breakdown=errors)
    answers = {
        "stats": f.answer(stats, hours=24),
        "metrics": f.answer(metrics(seed, gap), hours=24),
        "sessions": f.answer(f.sessions(2, 3.5)),
    }
    return f.result(**{**answers, **spoiled})


def bad_ffmpeg(seed: int = 1) -> dict[str, Any]:
    """FFmpeg is broken: the service is critical, a third of the operations fail, alerts are raised."""
    health = f.health("critical", ffmpeg="critical", temp_directory="warning")
    health["checks"][1]["message"] = "ffmpeg exited with 127: error while loading shared libraries: libx264.so.164"
    errors = {"FFMPEG_FAILED": 51, "MERGE_ERROR": 9, "PROCESSING_TIMEOUT": 6, "STORAGE_UPLOAD_FAILED": 2}
    alerts = f.alerts(3)
    for row in alerts["alerts"]:
        row.update(title="FFmpeg failed", message="ffmpeg version 7.1\n  built with gcc\n" + "-enable-libfoo " * 80)
    return day(
        seed,
        range(120, 156),
        health=f.answer(health),
        stats=f.answer(f.stats(total=204, failed=68, stage_breakdown=stages(1.4), error_breakdown=errors), hours=24),
        alerts=f.answer(alerts, level="critical", limit=200),
        sessions=f.answer(f.sessions(12, 47.3)),
    )


SSH_DOWN = {
    "unreachable": True,
    "msg": "Failed to connect to the host via ssh: connect to host port 22: No route to host",
}
NO_PYTHON = {
    "failed": True,
    "rc": 127,
    "module_stdout": "/bin/sh: 1: /usr/bin/python3: not found\r\n",
    "msg": "The module interpreter was not found",
}


def found(registered: Any, procedure: str = "morning") -> dict[str, Any]:
    """What role healthcheck finds."""
    observations = observe(registered, age_max_s=300, skew_max_s=120)
    verdicts = judge(observations, _POLICY["policy_checks"], procedure)
    drawn = details(registered)
    incidents = route(verdicts, _POLICY["policy_incidents"], drawn, _POLICY["policy_error_causes"])
    return {"observations": observations, "verdicts": verdicts, "incidents": incidents, "details": drawn}


def document(hosts: dict[str, Any], **more: Any) -> dict[str, Any]:
    options = {"run": RUN, "contacts": CONTACTS, "fail_on": ["critical", "unknown"], **more}
    made = {name: found(raw) if raw else {} for name, raw in hosts.items()}
    return build(made, commands=Commands(CALL, made), **options)


def one_ok() -> dict[str, Any]:
    return document({"media1": day()})


def mixed() -> dict[str, Any]:
    """Four hosts: one sound, one with a broken FFmpeg since the run before, one down, one without Python."""
    hosts = {"media1": day(), "media2": bad_ffmpeg(), "media3": SSH_DOWN, "media4": NO_PYTHON}
    yesterday = document({"media2": bad_ffmpeg()}, run={**RUN, "finished_at": "2026-11-23T06:00:09Z"})
    made = document(hosts, previous=yesterday)
    covered = next(host for host in made["hosts"] if host["host"] == "media1")["details"]
    covered["service_started_at"] = "2026-11-24T02:57:00Z"
    covered["totals"]["covered_h"] = 3.05
    return made


@cache  # nobody changes it, and it takes long to make
def muted() -> dict[str, Any]:
    """A component that is broken for ever, a check, and a host that is down: a person muted each of them."""

    def row(text: str, reason: str) -> dict[str, Any]:
        return made_mute(text, reason=reason, by="alice", seconds=86400, now=_END)

    mutes = {
        "media1": [row("component:cloud_storage", "MEDIA-123, uploads work"), row("check:error_rate", "bad inputs")],
        "media2": [row("host", "new disk")],
    }
    health = f.answer(f.health("critical", cloud_storage="critical"))
    sick = day(health=health, stats=f.answer(f.stats(failed=40), hours=24))
    policy_of = {name.removeprefix("policy_"): value for name, value in _POLICY.items()}
    hosts = {
        name: checked(raw, run_by="morning", policy=policy_of, mutes=mutes[name], now=_END)
        for name, raw in {"media1": sick, "media2": SSH_DOWN}.items()
    }
    commands = Commands(CALL, hosts)
    return build(hosts, run=RUN, contacts=CONTACTS, fail_on=["critical", "unknown"], commands=commands)


def fleet(count: int = 300) -> dict[str, Any]:
    """Many hosts: one in ten critical, one in fifteen down, some warned, the others sound; a few kinds of each."""

    @cache
    def kind(state: str, seed: int) -> dict[str, Any]:
        if state == "critical":
            return found(bad_ffmpeg(seed))
        return found(day(seed, sessions=f.answer(f.sessions(7, 12.0))) if state == "warned" else day(seed))

    def one(at: int) -> dict[str, Any]:
        if at % 15 == 1:
            return found(SSH_DOWN)
        state = "critical" if at % 10 == 0 else "warned" if at % 25 == 2 else "sound"
        return kind(state, at // 10 % 6)

    hosts = {f"media{at:03d}.eu.example.com": one(at) for at in range(count)}
    commands = Commands(CALL, hosts, "/srv/reports/watch/1")
    return build(hosts, run=RUN, contacts=CONTACTS, fail_on=["critical", "unknown"], commands=commands)


def nothing() -> dict[str, Any]:
    return document({}, contacts=[])


def all_lost() -> dict[str, Any]:
    return document({"media1": {}, "media2": {}})


HOSTILE = (
    "<script>alert(1)</script> {{ 7 * 7 }} {% raw %} | `code` [x](http://evil.example) *b* \n# h\x1b[31m " + "W" * 200
)


def hostile() -> dict[str, Any]:
    """Foreign text that tries to be HTML, Jinja, Markdown or a terminal's control sequence, wherever text can stand."""
    health = f.health("critical", ffmpeg="critical")
    health["checks"][1].update(component="<b>ffmpeg|`", message=HOSTILE)
    alerts = f.alerts(1)
    alerts["alerts"][0].update(title=HOSTILE, message=HOSTILE)
    stats = f.stats(
        total=10, failed=9, error_breakdown={HOSTILE: 9}, stage_breakdown={"<i>$x$</i>": stages()["upload"]}
    )
    raw = f.result(
        health=f.answer(health),
        alerts=f.answer(alerts, level="critical", limit=200),
        stats=f.answer(stats, hours=24),
        sessions=f.answer(
            {"active_sessions": [{"session_id": HOSTILE, "stage": "a|b", "duration_minutes": 3}], "total_active": 1}
        ),
    )
    down = {"unreachable": True, "msg": HOSTILE}
    return document(
        {"<img src=x>": raw, "down|host": down}, contacts=[dict.fromkeys(("area", "name", "contact"), HOSTILE)]
    )


CASES: dict[str, Callable[[], dict[str, Any]]] = {
    "one_ok": one_ok,
    "mixed": mixed,
    "fleet": fleet,
    "muted": muted,
    "nothing": nothing,
    "all_lost": all_lost,
    "hostile": hostile,
}
