"""Module pipeline_info as Ansible runs it: main() on real arguments, against servers that are well and that are not."""

from __future__ import annotations

import builtins
import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args
from ansible_collections.media_ops.runbook.plugins.doc_fragments.api import ModuleDocFragment
from ansible_collections.media_ops.runbook.plugins.module_utils.api.endpoints import PATHS
from ansible_collections.media_ops.runbook.plugins.module_utils.api.settings import api_argument_spec
from ansible_collections.media_ops.runbook.plugins.module_utils.service import overrides
from ansible_collections.media_ops.runbook.plugins.modules import pipeline_info

from tests.fault_server import fault_server

ROOT = Path(__file__).resolve().parents[4]
CANARY = "canary-5fJ2.sEcReT_token-9Kq"
ALL = ["health", "health_detailed", "stats", "alerts", "metrics", "sessions"]

Capsys = pytest.CaptureFixture[str]


def run(capsys: Capsys, url: str, *, check_mode: bool = False, **options: Any) -> dict[str, Any]:
    arguments = {"api_url": str(url), "_ansible_check_mode": check_mode, **options}
    with patch_module_args(arguments), pytest.raises(SystemExit) as ended:
        pipeline_info.main()
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert bool(ended.value.code) == bool(result.get("failed"))
    return result


def states(result: dict[str, Any]) -> dict[str, str]:
    return {name: endpoint["state"] for name, endpoint in result["endpoints"].items()}


@pytest.fixture(autouse=True)
def _no_token_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MEDIA_OPS_API_TOKEN", raising=False)


@pytest.mark.parametrize("check_mode", [False, True])
def test_asks_what_it_is_told_to_in_one_connection(capsys: Capsys, check_mode: bool) -> None:
    with fault_server("need_token") as url:
        result = run(
            capsys,
            url,
            check_mode=check_mode,
            api_token=CANARY,
            gather=[*ALL, "stats"],
            stats_hours=1,
            metrics_hours=168,
            alerts_level="error",
            alerts_limit=5,
        )
        assert url.connections == 1
        asked = [request.target.partition("/monitoring")[2] for request in url.seen]
    assert asked == [
        "/health",
        "/health/detailed",
        "/stats?hours=1",
        "/alerts?level=error&limit=5",
        "/metrics/system?hours=168",
        "/sessions/active",
    ]
    assert result["changed"] is False
    assert states(result) == dict.fromkeys(ALL, "ok")
    assert result["endpoints"]["stats"]["data"]["time_period_hours"] == 1
    assert result["endpoints"]["stats"]["params"] == {"hours": 1}
    assert "query_result" not in result
    assert CANARY not in json.dumps(result)


def test_defaults(capsys: Capsys) -> None:
    with fault_server("ok") as url:
        result = run(capsys, url)
        targets = [request.target for request in url.seen]
    assert list(states(result)) == ["health", "stats", "alerts", "sessions"]
    assert targets[1].endswith("/stats?hours=24")
    assert targets[2].endswith("/alerts?level=critical&limit=200")


def test_without_token_only_health_answers(capsys: Capsys) -> None:
    with fault_server("need_token") as url:
        result = run(capsys, url, api_token="")
    assert states(result) == {"health": "ok", "stats": "auth", "alerts": "auth", "sessions": "auth"}
    assert result["endpoints"]["stats"]["reason"] == "HTTP 403: no token given (Not authenticated)"


def test_one_that_fails_hides_no_other(capsys: Capsys) -> None:
    with fault_server({"/stats": "truncated_json", "/alerts": "hang", "/sessions/active": "expired"}) as url:
        result = run(capsys, url, api_token=CANARY, read_timeout=0.4, gather=ALL)
    assert states(result) == {
        "health": "ok",
        "health_detailed": "ok",
        "stats": "invalid",
        "alerts": "timeout",
        "metrics": "ok",
        "sessions": "auth",
    }
    assert result["endpoints"]["sessions"]["reason"] == "HTTP 401: token expired or not accepted (Token has expired)"


@pytest.mark.parametrize("mode", ["critical_503", "critical_503_plain"])
def test_critical_health_is_an_answer(capsys: Capsys, mode: str) -> None:
    # runbook: DM-1
    with fault_server({"/health": mode}) as url:
        result = run(capsys, url, gather=["health"])
        assert len(url.seen) == 1, "a 503 with the document is no reason to ask again"
    health = result["endpoints"]["health"]
    assert (health["state"], health["http_status"], health["reason"]) == ("ok", 503, "")
    assert health["data"]["overall_status"] == "critical"
    assert list(result["endpoints"]) == ["health"]


@pytest.mark.parametrize("mode", ["error_500", "error_500_empty", "error_500_html", "unavailable_503"])
@pytest.mark.parametrize("gather", [["health"], ["health", "stats", "health_detailed"], ["health_detailed", "health"]])
def test_health_5xx_without_document_asks_for_the_detailed_one_once(
    capsys: Capsys, mode: str, gather: list[str]
) -> None:
    with fault_server({"/health": mode}) as url:
        result = run(capsys, url, gather=gather, retries=0)
        assert sum(request.path == "/health/detailed" for request in url.seen) == 1
    assert result["endpoints"]["health"]["state"] == "http_error"
    assert result["endpoints"]["health"]["data"] is None
    assert result["endpoints"]["health_detailed"]["state"] == "ok"
    assert set(result["endpoints"]) == {*gather, "health_detailed"}


@pytest.mark.parametrize("mode", ["not_found", "html", "forbidden", "refused"])
def test_other_faults_of_health_ask_nothing_more(capsys: Capsys, mode: str) -> None:
    with fault_server(mode) as url:
        assert list(run(capsys, url, gather=["health"], retries=0)["endpoints"]) == ["health"]


@pytest.mark.parametrize(
    ("mode", "state"), [("refused", "unreachable"), ("no_connect", "timeout"), ("hang", "timeout")]
)
def test_a_host_that_is_gone_takes_bounded_time(capsys: Capsys, mode: str, state: str) -> None:
    with fault_server(mode) as url:
        started = time.monotonic()
        result = run(capsys, url, gather=ALL, connect_timeout=0.3, read_timeout=0.3, overall_timeout=3)
    assert time.monotonic() - started < 10
    assert states(result) == dict.fromkeys(ALL, state)
    assert all(endpoint["attempts"] <= 3 for endpoint in result["endpoints"].values())
    assert sum(endpoint["attempts"] for endpoint in result["endpoints"].values()) <= 3 + 5


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"stats_hours": 0}, ["stats_hours", "0", "1 to 168"]),
        ({"stats_hours": 169}, ["stats_hours", "169", "1 to 168"]),
        ({"metrics_hours": -1}, ["metrics_hours", "-1", "1 to 168"]),
        ({"alerts_limit": 201}, ["alerts_limit", "201", "1 to 200"]),
        ({"alerts_level": "fatal"}, ["alerts_level", "fatal", "critical"]),
        ({"gather": ["helth"]}, ["gather", "helth", "health"]),
        ({"gather": []}, ["gather", "[]", "at least one"]),
        ({"retries": 11}, ["retries", "11", "0 to 10"]),
        ({"total_timeout": "nan"}, ["total_timeout", "nan"]),
        ({"api_token_file": "/no/such/file"}, ["api_token_file", "/no/such/file", "No such file"]),
        ({"query": "stats.[error_rate"}, ["query", "stats.[error_rate", "at character 17"]),
        ({"query": 'stats."x'}, ["query", "at character 6"]),
        ({"query": ""}, ["query", "''", "no JMESPath expression"]),
        ({"query": "lenght(alerts.alerts)"}, ["query", "lenght", "at character 0", "length"]),
        ({"query": "stats.[a, keyz(@)]"}, ["query", "keyz", "at character 10"]),
    ],
)
def test_misuse_is_refused_before_anything_is_asked(capsys: Capsys, options: dict[str, Any], words: list[str]) -> None:
    with fault_server("ok") as url:
        result = run(capsys, url, **options)
        assert url.connections == 0
    assert result["failed"]
    for word in words:
        assert word in result["msg"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("stats.{error_rate: error_rate, n: total_operations}", {"error_rate": 0.025, "n": 40}),
        ("health.checks[?component=='ffmpeg'].status | [0]", "healthy"),
        ("length(alerts.alerts)", 0),
        ("nothing.of.the.kind", None),
    ],
)
def test_query(capsys: Capsys, query: str, found: object) -> None:
    with fault_server("ok") as url:
        result = run(capsys, url, query=query)
    assert (result["query_result"], result["query_error"]) == (found, "")


@pytest.mark.parametrize("query", ["length(alerts.alerts)", "&stats", "to_number('1e999')", "length()"])
def test_query_that_does_not_fit_is_told_from_one_that_gives_null(capsys: Capsys, query: str) -> None:
    with fault_server({"/alerts": "error_500"}) as url:
        result = run(capsys, url, query=query)
    assert result["query_result"] is None
    assert result["query_error"]
    assert states(result)["stats"] == "ok"


@pytest.mark.parametrize(
    ("library", "options", "package"),
    [("requests", {}, "python3-requests"), ("jmespath", {"query": "stats"}, "python3-jmespath")],
)
def test_missing_library_is_named(
    capsys: Capsys, monkeypatch: pytest.MonkeyPatch, library: str, options: dict[str, Any], package: str
) -> None:
    real_import = builtins.__import__

    def refuse(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.partition(".")[0] == library:
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    result = run(capsys, "http://127.0.0.1:9", **options)
    assert result["failed"]
    assert (result["missing_library"], result["missing_package"]) == (library, package)


def test_libraries_are_imported_late() -> None:
    """The imports cost more than the requests: what is not needed is not paid for."""
    code = (
        "import sys; import ansible_collections.media_ops.runbook.plugins.modules.pipeline_info;"
        "print([n for n in ('requests', 'urllib3', 'jmespath') if n in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "playbooks/collections")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# runbook: P1-3A, P1-3B, P1-3C
def test_overrides_come_with_the_answers(capsys: Capsys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o750)
    env_file = tmp_path / "overrides.env"
    monkeypatch.setattr(overrides, "ENV_FILE", str(env_file))
    env_file.write_text("# set for a time\nPROCESSING_TIMEOUT=600\nLOG_LEVEL=DEBUG\n")
    record = {"since": "2026-11-24T06:00:00Z", "until": "2999-01-01T00:00:00Z", "why": "timeouts"}
    (tmp_path / "overrides.json").write_text(json.dumps({"PROCESSING_TIMEOUT": record}))
    recovered = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    (tmp_path / "ledger.jsonl").write_text(
        json.dumps({"action": "recovered", "at": recovered, "cause": "ffmpeg"}) + "\n"
    )
    with fault_server("ok") as url:
        result = run(capsys, url, state_dir=str(tmp_path))
        assert result["recovered_at"] == recovered
        assert result["recoveries"] == [{"at": recovered, "cause": "ffmpeg"}]
        found, never = result["overrides"], {"taken_at": None}
        assert found["state"] == "ok"
        assert found["overrides"] == [
            {
                "name": "LOG_LEVEL",
                "value": "DEBUG",
                "since": None,
                "until": None,
                "expired": True,
                "why": "",
                **never,
            },
            {"name": "PROCESSING_TIMEOUT", "value": "600", "expired": False, **record, **never},
        ]
        without = run(capsys, url, state_dir=str(tmp_path / "none"))["overrides"]["overrides"]
        assert [(one["name"], one["since"]) for one in without] == [("LOG_LEVEL", None), ("PROCESSING_TIMEOUT", None)]
        tmp_path.chmod(0o777)
        assert run(capsys, url, state_dir=str(tmp_path))["overrides"]["state"] == "denied"


class TestDocumentation:
    documented = yaml.safe_load(pipeline_info.DOCUMENTATION)

    def test_fragment_and_spec_agree(self) -> None:
        options = yaml.safe_load(ModuleDocFragment.DOCUMENTATION)["options"]
        spec = api_argument_spec()
        assert set(options) == set(spec)
        for name, option in options.items():
            assert (option["type"], option.get("default")) == (spec[name]["type"], spec[name].get("default")), name

    def test_returned_keys_are_documented(self, capsys: Capsys, tmp_path: Path) -> None:
        returned = yaml.safe_load(pipeline_info.RETURN)
        with fault_server("ok") as url:
            asked: dict[str, Any] = {"state_dir": str(tmp_path), "unit": "media-ops-no-such-unit"}
            result = run(capsys, url, query="stats", controller_time="2026-11-24T06:00:00Z", **asked)
        assert set(result) - {"changed", "invocation"} == set(returned)
        for endpoint in result["endpoints"].values():
            assert set(endpoint) == set(returned["endpoints"]["contains"])
        for sample in returned["endpoints"]["sample"].values():
            assert set(sample) == set(returned["endpoints"]["contains"])


class TestSecrets:
    """The canary must not be in what Ansible prints at its highest verbosity, whatever way it came in."""

    def ansible(self, tmp_path: Path, *cases: dict[str, Any], **environment: str) -> list[str]:
        """One run with a task for each of the cases: all that is printed, from each result to the next."""
        variables = tmp_path / "arguments.yml"
        variables.write_text(json.dumps({"given": cases}))
        settings = tmp_path / "ansible.cfg"
        settings.write_text("")
        playbook = tmp_path / "play.yml"
        # By variables, as inventories do: Ansible itself shows the lines of a playbook where a task fails.
        tasks: list[dict[str, Any]] = []
        for number, arguments in enumerate(cases):
            templates = {name: f"{{{{ given[{number}].{name} }}}}" for name in arguments}
            task = {"media_ops.runbook.pipeline_info": templates, "register": "found", "ignore_errors": True}
            tasks += [task, {"ansible.builtin.debug": {"var": "found"}}]
        playbook.write_text(
            json.dumps([{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}])
        )
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        done = subprocess.run(
            [program, "-vvvvv", "-e", f"@{variables}", "-i", "localhost,", str(playbook)],
            env={
                **os.environ,
                "ANSIBLE_CONFIG": str(settings),
                "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "playbooks/collections"),
                "ANSIBLE_LOCALHOST_WARNING": "false",
                "ANSIBLE_LOCAL_TEMP": str(tmp_path / "local"),
                "ANSIBLE_REMOTE_TEMP": str(tmp_path / "remote"),
                "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
                **environment,
            },
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        output = done.stdout + done.stderr
        assert done.returncode == 0, output
        parts = output.split('"found": {')
        assert len(parts) == len(cases) + 1, output
        return parts

    @pytest.mark.slow
    def test_token(self, tmp_path: Path) -> None:
        file = tmp_path / "token"
        file.write_text(f"{CANARY}-file")
        file.chmod(0o600)
        with fault_server({"/health": "echo", "/stats": "echo_error"}) as url:
            cases: tuple[dict[str, str], ...] = ({"api_token": f"{CANARY}-option"}, {"api_token_file": str(file)}, {})
            parts = self.ansible(
                tmp_path,
                *({"api_url": str(url), **case} for case in cases),
                MEDIA_OPS_API_TOKEN=f"{CANARY}-environment",
            )
            sent = [request.headers["authorization"] for request in url.seen]
        assert list(dict.fromkeys(sent)) == [
            f"Bearer {CANARY}-{source}" for source in ("option", "file", "environment")
        ]
        assert all('"state": "auth"' in part for part in parts[1:])
        assert CANARY not in "".join(parts)
        assert "Traceback" not in "".join(parts)

    @pytest.mark.slow
    def test_refused_values(self, tmp_path: Path) -> None:
        cases = [{"api_url": f"http://user:{CANARY}@127.0.0.1:9/x"}, {"api_token": f"{CANARY}\nX-Injected: 1"}]
        parts = self.ansible(tmp_path, *({"gather": ["health"], **case} for case in cases))
        assert all('"failed": true' in part for part in parts[1:])
        assert CANARY not in "".join(parts)


def test_the_sandbox_pipeline_answers_everything(capsys: Capsys, pipeline: Any) -> None:
    # runbook: DM-1, DM-2, DM-3, DM-4
    result = run(capsys, pipeline.api_url, api_token=pipeline.token(), gather=ALL, query="sessions.total_active")
    assert states(result) == dict.fromkeys(ALL, "ok"), result
    assert isinstance(result["query_result"], int)
    expired = run(capsys, pipeline.api_url, api_token=pipeline.token(ttl=-10))
    assert states(expired) == {"health": "ok", "stats": "auth", "alerts": "auth", "sessions": "auth"}
    assert "401: token expired or not accepted" in expired["endpoints"]["stats"]["reason"]
    none = run(capsys, pipeline.api_url)
    assert "403: no token given" in none["endpoints"]["stats"]["reason"]


def test_what_is_not_offered_is_not_asked(capsys: Capsys) -> None:
    map_: dict[str, Any] = {**{name: {} for name in PATHS}, "alerts": None, "metrics": None}
    with fault_server("ok") as url:
        result = run(capsys, url, gather=ALL, api_map=map_)
        asked = [request.target.partition("/monitoring")[2].partition("?")[0] for request in url.seen]
    assert asked == ["/health", "/health/detailed", "/stats", "/sessions/active"]
    assert states(result) == {**dict.fromkeys(ALL, "ok"), "alerts": "not_offered", "metrics": "not_offered"}
    alerts = result["endpoints"]["alerts"]
    assert (alerts["data"], alerts["attempts"], alerts["url"]) == (None, 0, "")
    assert alerts["reason"] == "the service does not offer this"


def test_a_service_without_an_api_needs_no_library_to_ask_it(capsys: Capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "requests", None)
    result = run(capsys, "http://127.0.0.1:9", gather=ALL, api_offered=False)
    assert states(result) == dict.fromkeys(ALL, "not_offered")


def test_an_endpoint_that_there_is_none_of_is_misuse(capsys: Capsys) -> None:
    result = run(capsys, "http://127.0.0.1:9", api_map={"jobs": None})
    assert result["option"] == "api_map"
    assert "'jobs': is no key of it; there are health, health_detailed, stats" in result["msg"]
