"""Metrics for node_exporter: the format by a strict parser, and by the real programs where they can be had."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.media_ops.runbook.plugins.module_utils.errors import OptionError
from ansible_collections.media_ops.runbook.plugins.module_utils.state import metrics_textfile

from tests.monitoring_tools import program, serving
from tests.unit.plugins.message_factory import alert, message

ROOT = Path(__file__).resolve().parents[5]
RULES = ROOT / "docs/examples/alert_rules.yml"
DASHBOARD = ROOT / "docs/examples/grafana_dashboard.json"
NOW = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
NASTY = 'a "quoted" \\ name'
ALERTS = {
    "messages": [message(), message("media2")],
    "pending": 2,
    "open": [alert(message()), {**alert(message()), "source": "other"}],
    "suppressed": {"watch_health": 3},
    "dropped": 0,
}
GUARD = {
    "counts": {"restart done": 1, "delete failed": 2, "observe": 1},
    "lease": {"run_id": "r", "taken_at": "2026-11-24T05:00:00Z", "expired": True},
    "pause": None,
}
MUTE = {
    "what": "component",
    "name": "ffmpeg",
    "reason": "a bug",
    "by": "alice",
    "since": "2026-11-24T05:00:00Z",
    "until": "2026-11-24T07:00:00Z",
}


class Host:
    """A directory as node_exporter reads it, and a clock that tests move."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.now = NOW
        self.warnings: list[str] = []

    def write(self, *states: str, check_mode: bool = False, **options: Any) -> dict[str, Any]:
        verdicts = [{"check": f"check{number}", "state": state} for number, state in enumerate(states)]
        given = {
            "textfile_dir": str(self.directory),
            "source": "watch_health",
            "verdicts": verdicts,
            "alerts": {},
            "guard": {},
            "breaker_open": None,
            "overrides_active": None,
            **options,
        }
        return metrics_textfile.metrics_textfile(given, warn=self.warnings.append, check_mode=check_mode)

    def samples(self, name: str = "watch_health") -> dict[str, float]:
        return parse((self.directory / f"media_ops_{name}.prom").read_text(encoding="utf-8"))


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    made = Host(tmp_path / "textfile")
    made.directory.mkdir(mode=0o755)
    monkeypatch.setattr(metrics_textfile, "utc_now", lambda: made.now)
    return made


SAMPLE = re.compile(
    r"([a-z_]+)(\{(?:[a-z_]+=\"(?:[^\"\\\n]|\\[\\\"n])*\"(?:,(?=[a-z])|(?=\})))*\})? (-?[0-9]+(?:\.[0-9]+)?)"
)


def parse(text: str) -> dict[str, float]:
    """The samples, by name and labels as they stand. Anything that is not the strictest form of the format fails."""
    assert text.endswith("\n")
    found: dict[str, float] = {}
    families: list[str] = []
    lines = text.splitlines()
    for index, line in enumerate(lines):
        if line.startswith("# HELP "):
            name = line.split(" ", 3)[2]
            assert name not in families, "each family once"
            assert lines[index + 1] == f"# TYPE {name} gauge"
            families.append(name)
        elif not line.startswith("# TYPE "):
            match = SAMPLE.fullmatch(line)
            assert match, line
            assert match[1] == families[-1], "samples follow their family"
            key = match[1] + (match[2] or "")
            assert key not in found, "no sample twice"
            found[key] = float(match[3])
    assert set(families) <= set(metrics_textfile.FAMILIES)
    return found


def everything(host: Host) -> None:
    """Two sources of one host, every metric."""
    facts: dict[str, Any] = {"alerts": ALERTS, "guard": GUARD, "breaker_open": True, "overrides_active": 2}
    facts["mutes"] = [MUTE]
    host.write("ok", "warning", "unknown", "critical", **facts)
    nasty: dict[str, Any] = {"source": "watch_performance", "verdicts": [{"check": NASTY, "state": "ok"}]}
    host.write(**nasty, **facts)


def test_every_metric_has_its_figure(host: Host) -> None:
    everything(host)
    now = NOW.timestamp()
    mine = '{source="watch_health"'
    assert host.samples() == {
        **{f'media_ops_check_state{mine},check="check{number}"}}': float(number) for number in range(4)},
        f"media_ops_last_run_timestamp_seconds{mine}}}": now,
        f"media_ops_open_alerts{mine}}}": 1,
        f"media_ops_suppressed_findings{mine}}}": 3,
    }
    assert host.samples("host") == {
        "media_ops_heartbeat_timestamp_seconds": now,
        "media_ops_pending_messages": 2,
        "media_ops_dropped_messages": 0,
        'media_ops_recent_actions{action="delete",result="failed"}': 2,
        'media_ops_recent_actions{action="observe",result=""}': 1,
        'media_ops_recent_actions{action="restart",result="done"}': 1,
        "media_ops_lease_held": 1,
        "media_ops_lease_expired": 1,
        "media_ops_lease_age_seconds": 3600,
        "media_ops_paused": 0,
        "media_ops_breaker_open": 1,
        "media_ops_overrides_active": 2,
        'media_ops_mute_ends_timestamp_seconds{mute="component:ffmpeg"}': NOW.timestamp() + 3600,
    }
    written = {
        name.partition("{")[0] for file in ("host", "watch_health", "watch_performance") for name in host.samples(file)
    }
    assert written == set(metrics_textfile.FAMILIES), "each family that is declared was written"


def test_what_is_not_known_is_left_out(host: Host) -> None:
    host.write("ok")
    assert list(host.samples("host")) == ["media_ops_heartbeat_timestamp_seconds"]


def test_success_is_an_answer_to_every_check_and_is_remembered(host: Host) -> None:
    name = 'media_ops_last_success_timestamp_seconds{source="watch_health"}'
    host.write("unknown")
    assert name not in host.samples()
    host.write("ok", "critical")
    assert host.samples()[name] == NOW.timestamp()
    for states in (["unknown", "ok"], []):
        host.now += timedelta(hours=1)
        host.write(*states)
        assert host.samples()[name] == NOW.timestamp()
        assert host.samples()['media_ops_last_run_timestamp_seconds{source="watch_health"}'] == host.now.timestamp()


def test_files_are_whole_readable_and_the_only_ones(host: Host) -> None:
    old = os.umask(0o077)
    try:
        host.write("ok")
    finally:
        os.umask(old)
    files = sorted(host.directory.iterdir())
    assert [path.name for path in files] == ["media_ops_host.prom", "media_ops_watch_health.prom"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o644}


def test_check_mode_shows_and_writes_nothing(host: Host) -> None:
    found = host.write("critical", check_mode=True)
    assert list(host.directory.iterdir()) == []
    assert (found["written"], found["reason"], found["changed"]) == (False, "", False)
    assert 'check="check0"} 3' in found["files"][f"{host.directory}/media_ops_watch_health.prom"]


def test_a_host_without_node_exporter_is_a_value_and_a_warning(host: Host) -> None:
    host.directory.rmdir()
    found = host.write("ok")
    assert (found["written"], found["files"]) == (False, {})
    assert (
        found["reason"] == f"{host.directory} does not exist: is node_exporter installed, with its textfile collector?"
    )
    assert host.warnings == [f"no metrics are written: {found['reason']}"]


@pytest.mark.parametrize("kind", ["file", "link", "open"])
def test_a_directory_that_is_none_or_not_safe_is_not_used(host: Host, tmp_path: Path, kind: str) -> None:
    if kind == "open":
        host.directory.chmod(0o777)
    else:
        host.directory.rmdir()
        if kind == "file":
            host.directory.touch()
        else:
            host.directory.symlink_to(tmp_path)
    found = host.write("ok")
    assert found["reason"].startswith(f"{host.directory} cannot be used: ")
    assert list(tmp_path.glob("**/*.prom")) == []


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"source": "host"}, "source"),
        ({"source": "../x"}, "source"),
        ({"textfile_dir": "relative"}, "textfile_dir"),
        ({"verdicts": [{"state": "ok"}]}, "verdicts"),
        ({"overrides_active": -1}, "overrides_active"),
    ],
)
def test_misuse_names_the_option(host: Host, options: dict[str, Any], named: str) -> None:
    with pytest.raises(OptionError) as error:
        host.write(**options)
    assert error.value.details["option"] == named


def test_a_file_that_is_something_else_is_replaced(host: Host) -> None:
    (host.directory / "media_ops_watch_health.prom").write_bytes(
        b"\xff\0 media_ops_last_success_timestamp_seconds{x} 1e9"
    )
    host.write("unknown")
    assert host.samples()['media_ops_last_run_timestamp_seconds{source="watch_health"}']


# --- examples


def expressions() -> list[str]:
    """What the examples ask Prometheus."""
    rules = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    found = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return found + [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]


def test_examples_ask_for_what_is_written_and_for_all_of_it() -> None:
    asked = set(re.findall(r"media_ops_[a-z_]+", " ".join(expressions())))
    assert asked == set(metrics_textfile.FAMILIES)
    variables = json.loads(DASHBOARD.read_text(encoding="utf-8"))["templating"]["list"]
    assert set(re.findall(r"media_ops_[a-z_]+", json.dumps(variables))) <= set(metrics_textfile.FAMILIES)


def test_dashboard_has_no_panel_over_another_and_no_id_twice() -> None:
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert max(x for x, _y in cells) < 24
        assert not cells & taken, panel["title"]
        taken |= cells


# --- the real programs


def promtool(*arguments: str, given: str = "") -> None:
    ran = subprocess.run([program("promtool"), *arguments], input=given, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_promtool_takes_the_metrics_and_finds_no_fault_with_them(host: Host) -> None:
    everything(host)
    for path in host.directory.iterdir():
        promtool("check", "metrics", given=path.read_text(encoding="utf-8"))


def test_promtool_takes_every_expression_of_the_examples(tmp_path: Path) -> None:
    promtool("check", "rules", str(RULES))
    asked = [expression.replace("$instance", "media1") for expression in expressions()]
    records = [{"record": f"example:{number}", "expr": expression} for number, expression in enumerate(asked)]
    rules = tmp_path / "rules.yml"
    rules.write_text(yaml.safe_dump({"groups": [{"name": "examples", "rules": records}]}), encoding="utf-8")
    promtool("check", "rules", str(rules))


def test_rules_fire_when_they_should(tmp_path: Path) -> None:
    labels = 'instance="media1"'
    state = f'media_ops_check_state{{{labels},source="watch_health",check="overall_status"}}'
    restarts = f'media_ops_recent_actions{{{labels},action="restart",result="done"}}'
    series = {
        state: "0x10 3x60",
        f"media_ops_heartbeat_timestamp_seconds{{{labels}}}": "0+60x20 1200x50",
        f"media_ops_pending_messages{{{labels}}}": "0x5 1x60",
        f"media_ops_lease_expired{{{labels}}}": "0x10 1x60",
        restarts: "1x10 3x60",
    }
    by_time = {
        "8m": [],
        "18m": ["MediaOpsCheckCritical", "MediaOpsManyHostsCritical", "MediaOpsRepeatedRestarts"],
        "30m": ["MediaOpsMessagesWait", "MediaOpsLeaseLeftBehind"],
        "52m": ["MediaOpsWatchStopped"],
    }
    expected: set[str] = set()
    cases: list[dict[str, Any]] = []
    for time, fired in by_time.items():
        expected |= set(fired)
        cases.append({"expr": "count by (alertname) (ALERTS{alertstate='firing'})", "eval_time": time})
        cases[-1]["exp_samples"] = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(expected)]
    test = {
        "rule_files": [str(RULES)],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "promql_expr_test": cases,
            }
        ],
    }
    path = tmp_path / "test.yml"
    path.write_text(yaml.safe_dump(test), encoding="utf-8")
    promtool("test", "rules", str(path))


def test_node_exporter_serves_both_procedures_without_an_error(host: Host) -> None:
    everything(host)
    only = ("--collector.disable-defaults", "--collector.textfile")
    with (
        serving(
            "prometheus-node-exporter", "/metrics", *only, f"--collector.textfile.directory={host.directory}"
        ) as url,
        urllib.request.urlopen(f"{url}/metrics", timeout=30) as answer,
    ):
        served = answer.read().decode()
    assert "node_textfile_scrape_error 0" in served.splitlines()
    assert 'media_ops_check_state{check="a \\"quoted\\" \\\\ name",source="watch_performance"} 0' in served
    for name in metrics_textfile.FAMILIES:
        if "last_success" not in name or "watch_performance" in name:
            assert re.search(rf"^{name}[ {{]", served, re.MULTILINE), name
