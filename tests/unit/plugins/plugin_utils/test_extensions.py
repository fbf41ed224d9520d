"""What a site adds of its own: the example holds, and what reaches nothing is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.media_ops.runbook.plugins.plugin_utils import host_action
from ansible_collections.media_ops.runbook.plugins.plugin_utils.extensions import TABLES, extension_problems

ROOT = Path(__file__).resolve().parents[4]
EXAMPLE = ROOT / "docs" / "examples" / "extension"
MODULES = EXAMPLE / "collections" / "ansible_collections" / "acme" / "media" / "plugins" / "modules"
FILES = [*sorted((ROOT / "roles/policy/defaults/main").glob("*.yml")), ROOT / "roles/policy/vars/main.yml"]
SHIPPED = {key: value for path in FILES for key, value in yaml.safe_load(path.read_text(encoding="utf-8")).items()}
SITE = yaml.safe_load(
    (EXAMPLE / "group_vars" / "media_hosts.yml")
    .read_text(encoding="utf-8")
    .replace("{{ spool_dir }}", "/srv/acme/spool")
)

ROW: dict[str, Any] = {"become": False, "options": {}, "within": 5}


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The example's collection is where Ansible looks for collections."""
    find = host_action._path_of

    def path_of(module: str) -> Path:
        path = MODULES / f"{module.removeprefix('acme.media.')}.py"
        return path if path.is_file() else find(module)

    monkeypatch.setattr(host_action, "_path_of", path_of)


def problems(**more: Any) -> list[str]:
    return extension_problems({**SHIPPED, **SITE, **more}.get)


def test_the_example_holds() -> None:
    assert set(TABLES) <= set(SITE)
    assert problems() == []


def test_nothing_added_is_nothing_wrong() -> None:
    assert extension_problems(SHIPPED.get) == []


def of(table: str, **more: Any) -> Any:
    """The example's only row of a table, with something else in it."""
    rows = SITE[table]
    if isinstance(rows, list):
        return [{**rows[0], **more}]
    name = next(iter(rows))
    return {name: {**rows[name], **more}}


@pytest.mark.parametrize(
    ("table", "rows", "said"),
    [
        ("policy_site_checks", "x", "a list is needed"),
        ("policy_site_checks", of("policy_site_checks", check="error_rate"), "error_rate is a name that is taken"),
        ("policy_site_checks", of("policy_site_checks", run_by=["mornin"]), "mornin is none of"),
        ("policy_site_checks", of("policy_site_checks", unit="m"), "check 'failed_jobs' has the unit 'm'"),
        ("policy_site_incidents", of("policy_site_incidents", priority="P9"), "P9 is none of P0, P1, P2"),
        ("policy_site_incidents", of("policy_site_incidents", subjects=["spol"]), "spol is none of"),
        ("policy_site_incidents", of("policy_site_incidents", incident="stuck_session"), "a name that is taken"),
        ("policy_site_incidents", of("policy_site_incidents", triggers=[{"check": "x"}]), "lacks cause, states"),
        ("policy_site_ladders", {"spool": [{"rung": "x", "act": "y"}]}, "policy_site_ladders.spool lacks when"),
        (
            "policy_site_ladders",
            {"spool": [{"rung": "x", "act": "y", "when": {}, "wen": 1}]},
            "has wen, which nothing reads",
        ),
        ("policy_site_looks", of("policy_site_looks", **{"class": "a b"}), "is no JMESPath expression"),
        ("policy_site_looks", of("policy_site_looks", args={"pth": 1}), "acme.media.spool_info has no option pth"),
        ("policy_site_looks", {"disk": SITE["policy_site_looks"]["spool"]}, "disk is a name that is taken"),
        ("policy_site_modules", {"acme.media.nothere": ROW}, "acme.media.nothere is in no collection"),
        ("policy_site_modules", {"spool_info": ROW}, "the module's whole name is needed"),
        ("policy_site_modules", {"media_ops.runbook.host_info": ROW}, "is in no collection of the site"),
        ("policy_site_modules", of("policy_site_modules", within=0), "within is 0, a number of seconds above 0"),
        ("policy_site_modules", of("policy_site_modules", options={"x": 1}), "it has no option x"),
        ("policy_site_probes", of("policy_site_probes", module="acme.media.other"), "is not in policy_site_modules"),
        (
            "policy_site_probes",
            of("policy_site_probes", observations={"overall_status": {"query": "a", "unit": "state"}}),
            "overall_status is a name that is taken",
        ),
        (
            "policy_site_probes",
            of("policy_site_probes", observations={"x": {"query": "a"}}),
            "a query and a unit are needed",
        ),
        ("policy_site_procedures", {"weekly_system_cleanup": SITE["policy_site_procedures"]["spool_cleanup"]}, "taken"),
        ("policy_site_retention", {"x": {"rule": "y"}}, "policy_site_retention.x: a list of rules is needed"),
        ("policy_site_roots", ["spool"], "'spool' is no absolute path"),
        ("policy_site_roots", ["/"], "'/' is no absolute path of a directory below /"),
    ],
)
def test_what_reaches_nothing_is_named(table: str, rows: Any, said: str) -> None:
    found = problems(**{table: rows})
    assert any(table in one and said in one for one in found), found
