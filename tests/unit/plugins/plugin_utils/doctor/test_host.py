# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was seen of a host becomes rows with cures; what it says is data, whatever it is made of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.plugin_utils.doctor.host import host_rows
from ansible_collections.media_ops.runbook.plugins.plugin_utils.doctor.reach import Reach
from ansible_collections.media_ops.runbook.plugins.plugin_utils.doctor.rows import Rows
from ansible_collections.media_ops.runbook.plugins.plugin_utils.doctor.seen import Seen, Settings

from tests.unit.plugins import factories as f

NOW = 1_800_000_000.0
SITE = Settings(
    api_url="http://localhost:8000/api/v1/monitoring",
    api_offered=True,
    api_mapped=False,
    has_token=True,
    token_end=NOW + 3600,
    token_file="",
    log_names=["media_processing.log", "errors.log"],
    disk_percent=90,
    unit="media-processing-service",
    restart=[],
    service_user="media",
    base_dir="/srv/media-processing",
    log_dir="/srv/media-processing/temp/logs",
    becomes=True,
    archive_dir="/var/lib/archives",
    own_checks=[],
    python="",
    connects_as="media-ops",
    policy={"answer_age_max": 300, "clock_skew_max": 120},
)

STATS = f.answer(f.stats(stage_breakdown={"merging": {"average_duration": 3.0}}), hours=24)


def log(name: str, **more: Any) -> dict[str, Any]:
    row = {"name": name, "state": "there", "reason": "", "lines": 9, "json_lines": 9, "fields": ["timestamp"]}
    row |= {"time_field": "timestamp", "dated_lines": 9, "last_at": "2026-11-30T00:00:00Z", "leveled_lines": 9}
    return {**row, **more}


def directory(path: str, **more: Any) -> dict[str, Any]:
    row = {"path": path, "state": "there", "reason": "", "owner": "media", "group": "media", "mode": "0755"}
    return {**row, "reads": True, "deletes": True, **more}


def info(**more: Any) -> dict[str, Any]:
    return {
        "user": "media-ops",
        "python": "3.11.2",
        "libraries": {"psutil": "5.9.4", "requests": "2.28.1", "boto3": "1.26.27", "jmespath": "1.0.1"},
        "sudo": {"become": "", "restart": ""},
        "state_dir": {"state": "ok", "reason": ""},
        "service_user": {"there": True, "name": "media"},
        "unit": {"state": "there", "reason": "loaded", "active": "active", "user": "media", "directory": ""},
        "units": [],
        "service": {"pid": 7, "user": "media", "found_by": "unit", "directory": "", "log_dirs": [], "listens": []},
        "api": {"local": True, "port": 8000, "status": 200, "answer": "health", "reason": "", "elsewhere": []},
        "access": {"state": "", "reason": "", "ends_at": None},
        "logs": {"state": "there", "reason": "", "files": [log("media_processing.log"), log("errors.log")]},
        "directories": [directory(SITE.base_dir), directory(SITE.archive_dir)],
        "service_directories": [],
        "disks": [{"path": "/", "used_percent": 41.5, "free": 1}],
        "clock_offset_s": 0.4,
        **more,
    }


def seen(**more: Any) -> Seen:
    return Seen(
        Reach("ok", user="media-ops", offset_s=0.0, offset_error_s=1.0, pythons={"/usr/bin/python3": (3, 11)}),
        info(**more),
        api=f.result(stats=STATS),
        ffmpeg={"state": "ok", "reason": "", "binary": "/usr/bin/ffmpeg", "version": "5.1.9"},
        storage={"state": "ok", "reason": "", "bucket": "media", "endpoint": "https://s3:443", "steps": []},
        now=NOW,
    )


def states(found: Rows) -> dict[str, str]:
    return {row["check"]: row["state"] for row in found.rows}


def row(found: Rows, check: str) -> dict[str, Any]:
    (one,) = [dict(row) for row in found.rows if row["check"] == check]
    return one


def test_a_host_that_has_everything_is_well() -> None:
    found = host_rows(seen(), SITE)
    assert set(states(found).values()) == {"ok"}
    assert found.lines == {}
    assert "until 2027-01-15T09:00:00Z (in 60 min)" in row(found, "token")["message"]
    assert {f"endpoint {name}" for name in ("health", "stats", "alerts", "metrics", "sessions")} <= set(states(found))


@pytest.mark.parametrize(
    ("reason", "said", "playbook"),
    [
        ("Host key verification failed.", "its key is not known", ""),
        ("WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! Host key verification failed.", "is not the one", ""),
        ("media-ops@h: Permission denied (publickey).", "it does not let media-ops in", "prepare_hosts"),
        ("ssh: Could not resolve hostname h: Name or service not known", "does not resolve", ""),
        ("connect to host h port 22: Connection refused", "nothing listens", ""),
        ("connect to host h port 22: Connection timed out", "does not answer", ""),
        ("what nobody knows", "what nobody knows", ""),
    ],
)
def test_a_host_that_is_not_reached_is_one_row_with_its_cure(reason: str, said: str, playbook: str) -> None:
    found = host_rows(Seen(Reach("unreachable", reason), now=NOW), SITE)
    assert states(found) == {"ssh": "critical"}
    one = row(found, "ssh")
    assert said in one["message"]
    assert (bool(one["action"]), one["playbook"]) == (True, playbook)


def test_a_host_without_python_says_so_and_what_time_it_has() -> None:
    reach = Reach("ok", user="admin", offset_s=900.0, offset_error_s=1.0, pythons={"/usr/bin/python3": (3, 7)})
    found = host_rows(Seen(reach, now=NOW), replace(SITE, python="/usr/bin/python3"))
    assert states(found) == {"ssh": "ok", "python": "critical", "clock": "warning"}
    assert "3.9 or newer is needed, and /usr/bin/python3 is 3.7" in row(found, "python")["message"]
    assert found.lines == {}


def test_an_interpreter_that_is_not_there_gives_the_line_of_one_that_is() -> None:
    found = host_rows(seen(), replace(SITE, python="/opt/python"))
    assert states(found)["python"] == "critical"
    assert found.lines == {"ansible_python_interpreter": 'ansible_python_interpreter: "/usr/bin/python3"'}
    assert states(found)["disk"] == "ok", "what the one that is there can see is said in the same run"


def test_become_that_wants_a_password_is_told_from_a_broken_python() -> None:
    reach = Reach("ok", user="admin", pythons={"/usr/bin/python3": (3, 11)})
    found = host_rows(Seen(reach, {"failed": True, "msg": "Missing sudo password"}, now=NOW), SITE)
    assert "--ask-become-pass" in row(found, "python")["action"]


def test_before_prepare_hosts_what_it_makes_is_its_own_to_cure() -> None:
    some = seen(
        libraries={"psutil": "", "requests": "", "boto3": "", "jmespath": "1.0.1"},
        sudo={"become": "sudo: a password is required", "restart": "sudo does not allow"},
        state_dir={"state": "missing", "reason": "option 'state_dir' is '/x': does not exist (run prepare_hosts, or)"},
        logs={"state": "unreadable", "reason": "Permission denied", "files": []},
        directories=[directory(SITE.base_dir), directory(SITE.archive_dir, state="missing")],
    )
    found = host_rows(replace(some, api=None, ffmpeg=None, storage=None), SITE)
    bad = {one["check"]: one["playbook"] for one in found.rows if one["state"] in ("critical", "unknown")}
    assert set(bad.values()) == {"prepare_hosts"}
    assert set(bad) >= {"libraries", "sudo", "state_dir", "logs", "bucket", "ffmpeg"}
    assert states(found)["api"] == "warning", "somebody answers there; more is not known yet"


def test_nobody_can_become_a_user_who_is_not_there_and_prepare_hosts_makes_none() -> None:
    for become in ("", "sudo: unknown user nosuch"):
        found = host_rows(
            seen(service_user={"there": False, "name": "media"}, sudo={"become": become, "restart": ""}), SITE
        )
        assert states(found)["sudo"] == "unknown"
        assert row(found, "sudo")["playbook"] == ""


@pytest.mark.parametrize(
    ("restart", "why", "cure", "playbook"),
    [
        ([], "nothing says how to restart this service", "Set policy_service_restart", ""),
        (["/opt/restart"], "/opt/restart is not a program", "Correct policy_service_restart", ""),
        (["/usr/bin/supervisorctl"], "cannot be read: run the playbook prepare_hosts", "", "prepare_hosts"),
    ],
)
def test_a_restart_that_would_not_be_run_is_set_corrected_or_prepared(
    restart: list[str], why: str, cure: str, playbook: str
) -> None:
    some = seen(sudo={"become": "", "restart": why}, unit={"state": "none", "active": "running", "reason": "pid file"})
    sudo = row(host_rows(some, replace(SITE, unit="", restart=restart)), "sudo")
    assert (sudo["state"], sudo["playbook"]) == ("warning", playbook)
    assert why in sudo["message"]
    assert sudo["action"].startswith(cure)


def test_an_ffmpeg_that_no_health_tells_of_may_be_looked_at_by_the_checks() -> None:
    said = {
        name: row(host_rows(seen(), site), "ffmpeg")["message"]
        for name, site in {
            "runbook's": SITE,
            "other": replace(SITE, api_mapped=True),
            "plain": replace(SITE, api_offered=False),
            "looked at": replace(SITE, api_offered=False, own_checks=["disk", "ffmpeg"]),
        }.items()
    }
    assert [name for name, line in said.items() if "policy_own_checks: [disk, ffmpeg]" in line] == ["other", "plain"]


def test_the_only_other_unit_is_a_line_and_of_several_none_is() -> None:
    missing = {"state": "missing", "reason": "not-found"}
    one = {"unit": "pipeline.service", "why": ["runs ffmpeg"]}
    found = host_rows(seen(unit=missing, units=[one]), SITE)
    assert found.lines == {"policy_service_unit": 'policy_service_unit: "pipeline"'}
    several = host_rows(
        seen(unit=missing, units=[one, {"unit": "nginx.service", "why": ["listens on port 8000"]}]), SITE
    )
    assert several.lines == {}
    assert "nginx.service listens on port 8000" in row(several, "service")["message"]


def test_a_service_that_cannot_be_seen_is_unknown_and_one_without_a_unit_a_warning() -> None:
    nothing = {"state": "unknown", "reason": "systemd cannot be asked"}
    assert states(host_rows(seen(unit=nothing), SITE))["service"] == "warning"
    none: dict[str, Any] = {"pid": None, "user": "", "found_by": "", "log_dirs": [], "listens": []}
    assert states(host_rows(seen(unit=nothing, service=none), SITE))["service"] == "unknown"


def test_another_user_port_and_place_of_logs_are_lines() -> None:
    service = {"pid": 7, "user": "pipeline", "found_by": "unit", "log_dirs": ["/var/log/pipeline"], "listens": []}
    answer = {"host": "127.0.0.1", "port": 9000, "path": "/api/v1/monitoring", "status": 401, "answer": "denied"}
    api = {"local": True, "status": 0, "answer": "", "reason": "refused", "elsewhere": [answer]}
    logs = {"state": "missing", "reason": "No such file or directory", "files": []}
    some = replace(seen(service=service, api=api, logs=logs), api=None)
    assert host_rows(some, SITE).lines == {
        "media_ops_api_url": 'media_ops_api_url: "http://localhost:9000/api/v1/monitoring"',
        "policy_log_dir": 'policy_log_dir: "/var/log/pipeline"',
        "policy_service_user": 'policy_service_user: "pipeline"',
    }


def test_where_a_service_listens_is_told_by_ports_alone() -> None:
    places = [{"host": "127.0.0.1", "port": 8888, "path": ""}, {"host": "", "port": 0, "path": "/tmp/listener"}]
    service = {"pid": 7, "user": "media", "log_dirs": [], "listens": places}
    api = {"local": True, "status": 0, "answer": "", "reason": "refused", "elsewhere": []}
    found = host_rows(replace(seen(service=service, api=api), api=None), SITE)
    assert row(found, "api")["action"].endswith("The service listens on 127.0.0.1:8888.")


def test_another_base_directory_is_one_line_for_all_below_it() -> None:
    service = {"pid": 7, "user": "media", "log_dirs": ["/srv/other/temp/logs"], "listens": []}
    some = seen(
        service=service,
        logs={"state": "missing", "reason": "x", "files": []},
        directories=[directory(SITE.base_dir, state="missing")],
        service_directories=[directory("/srv/other")],
    )
    assert host_rows(some, SITE).lines == {"policy_base_dir": 'policy_base_dir: "/srv/other"'}


@pytest.mark.parametrize("hostile", ["{{ lookup('pipe','id') }}", "a\nb", 'x" y', "\u202ea", "a" * 300])
def test_what_a_host_says_is_described_and_never_a_line(hostile: str) -> None:
    some = seen(
        unit={"state": "missing", "reason": hostile},
        units=[{"unit": f"{hostile}.service", "why": [hostile]}],
        service={"pid": 7, "user": hostile, "log_dirs": [f"/srv/{hostile}"], "listens": [{"host": hostile, "port": 1}]},
        api={"local": True, "status": 0, "elsewhere": [{"host": hostile, "port": 1, "path": "/x", "answer": "health"}]},
        logs={"state": "missing", "reason": hostile, "files": []},
        directories=[directory(SITE.base_dir, state="missing")],
        service_directories=[directory(f"/srv/{hostile}")],
    )
    found = host_rows(replace(some, api=None), SITE)
    assert found.lines == {}
    for one in found.rows:
        assert (one["message"] + one["action"]).isprintable()


@pytest.mark.parametrize("part", sorted(info()))
@pytest.mark.parametrize("value", [None, 7, "x", [], {}, [7], [{"path": []}], {"files": [7], "state": "there"}])
def test_whatever_kind_a_part_of_the_answer_is_there_are_rows(part: str, value: Any) -> None:
    assert len(host_rows(seen(**{part: value}), SITE).rows) > 10


def test_a_host_that_says_without_end_has_as_many_rows_as_any() -> None:
    many = [directory(f"/srv/{number}", state="missing") for number in range(10_000)]
    odd = f.result(**{"x\n" * 9: f.answer(None, "invalid", "x")})
    assert len(host_rows(replace(seen(directories=many), api=odd), SITE).rows) < 100


def test_tokens() -> None:
    expired = host_rows(seen(), replace(SITE, token_end=NOW - 90))
    assert (states(expired)["token"], "90 s ago" in row(expired, "token")["message"]) == ("critical", True)
    refused = f.answer(None, "auth", "HTTP 401: no token given")
    some = replace(seen(), api=f.result(stats=refused, alerts=refused))
    none = host_rows(some, replace(SITE, has_token=False, token_end=None))
    assert "stats, alerts: HTTP 401" in row(none, "token")["message"]
    assert "endpoint stats" not in states(none), "said once"
    unread = {"state": "unreadable", "reason": "Permission denied", "ends_at": None}
    file = host_rows(seen(token=unread), replace(SITE, has_token=False, token_file="/etc/token"))
    assert states(file)["token"] == "critical"


def test_a_token_is_not_said_to_be_accepted_where_nobody_answers() -> None:
    down = {
        name: f.answer(None, "unreachable", "refused") for name in ("health", "stats", "alerts", "sessions", "metrics")
    }
    some = replace(seen(), api=f.result(**down))
    assert row(host_rows(some, SITE), "token")["message"].startswith("valid, until")
    assert states(host_rows(some, replace(SITE, token_end=None)))["token"] == "unknown"
    assert states(host_rows(some, replace(SITE, token_end=None, has_token=False)))["token"] == "unknown"


def test_a_token_that_a_login_renews() -> None:
    for access, state in (({"by": "login", "valid_until": None}, "ok"), ({"by": "login", "reason": "401"}, "critical")):
        found = host_rows(replace(seen(), api={**f.result(stats=STATS), "api_access": access}), SITE)
        assert states(found)["token"] == state


def test_an_answer_of_another_shape_names_what_it_lacks() -> None:
    stats = f.stats()
    del stats["average_duration"]
    found = host_rows(replace(seen(), api=f.result(stats=f.answer(stats, hours=24))), SITE)
    assert states(found)["endpoint stats"] == "critical"
    assert "average_duration" in row(found, "endpoint stats")["message"]
    not_offered = host_rows(replace(seen(), api=f.result(stats=STATS, metrics=f.answer(None, "not_offered"))), SITE)
    assert (states(not_offered)["endpoint metrics"], states(not_offered)["endpoint stats"]) == ("ok", "ok")


@pytest.mark.parametrize(
    ("more", "state"),
    [
        ({"lines": 0, "json_lines": 0, "dated_lines": 0}, "ok"),
        ({"json_lines": 0, "dated_lines": 0}, "critical"),
        ({"dated_lines": 0}, "critical"),
        ({"state": "unreadable", "reason": "Permission denied"}, "critical"),
    ],
)
def test_logs_by_their_fields_and_dates(more: dict[str, Any], state: str) -> None:
    files = [log("media_processing.log", **more)]
    found = host_rows(seen(logs={"state": "there", "reason": "", "files": files}), SITE)
    assert states(found)["log media_processing.log"] == state
    assert states(found)["log errors.log"] == "warning", "not there"


def test_a_full_disk_a_foreign_directory_and_a_clock() -> None:
    some = seen(
        disks=[{"path": "/srv", "used_percent": 90.0, "free": 1}],
        clock_offset_s=-500.0,
        directories=[
            directory(SITE.base_dir, deletes=False),
            directory("/srv/media-processing/temp", deletes=False, owner="root"),
            directory(SITE.archive_dir, state="unknown", reason="Permission denied"),
        ],
    )
    found = host_rows(some, SITE)
    assert states(found)["disk"] == "critical"
    assert "500 s behind" in row(found, "clock")["message"]
    assert (
        row(found, "directories")["message"] == "media may not delete in /srv/media-processing/temp (root:media 0755)"
    )
    assert states(found)["directory /var/lib/archives"] == "unknown"


@pytest.mark.parametrize(
    ("active", "state"), [("running", "ok"), ("dead", "critical"), ("unset", "critical"), ("unknown", "unknown")]
)
def test_a_service_without_a_unit_goes_by_its_main_process(active: str, state: str) -> None:
    found = host_rows(seen(unit={"state": "none", "reason": "pid 7, which listens", "active": active}), SITE)
    assert states(found)["service"] == state


def test_a_service_without_an_api_is_well_without_one() -> None:
    names = ("health", "health_detailed", "stats", "alerts", "metrics", "sessions")
    none = {name: f.answer(None, "not_offered") for name in names}
    found = host_rows(replace(seen(), api=f.result(**none)), replace(SITE, api_offered=False, has_token=False))
    assert row(found, "api")["message"] == "the service does not offer this"
    assert not [check for check in states(found) if check.startswith(("endpoint", "token"))]
