"""tools/runbook_map.py on small made-up collections: what it finds, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tools.runbook_map import ROOT, Collection, Row, main, trace

STEPS = """
daily_morning:
  DM-1: {says: overall_status}
  DM-2: {says: error rate}
emergency:
  EM-R1: {says: graceful restart, action: restart}
"""
PLAYBOOK = """
- name: Morning
  hosts: all
  tasks:
    - name: Check
      ansible.builtin.include_role:
        name: media_ops.runbook.healthcheck
        tasks_from: daily
"""
OTHER_PLAYBOOK = PLAYBOOK.replace("Morning", "Evening")
DAILY = """
- name: Go on
  ansible.builtin.include_tasks: observe.yml
"""
OBSERVE = """---
# runbook: DM-1, DM-2
- name: Ask the pipeline
  media_ops.runbook.pipeline_info:
"""
TESTS = """
import pytest

# runbook: DM-1
@pytest.mark.slow
def test_status():
    assert True

def test_rate():
    # runbook: DM-2
    assert True
"""

Write = Callable[[dict[str, str]], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A collection that is whole, with some files replaced."""
    whole = {
        "docs/runbook_steps.yml": STEPS,
        "docs/runbook_open.yml": "open: [EM-R1]\n",
        "playbooks/daily_morning.yml": PLAYBOOK,
        "roles/healthcheck/tasks/daily.yml": DAILY,
        "roles/healthcheck/tasks/observe.yml": OBSERVE,
        "plugins/modules/pipeline_info.py": "",
        "tests/unit/test_it.py": TESTS,
    }

    def put(files: dict[str, str]) -> Path:
        for name, text in {**whole, **files}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return tmp_path

    return put


def rows_of(root: Path) -> dict[str, Row]:
    rows, errors = trace(Collection(root))
    assert errors == []
    return rows


def errors_of(root: Path) -> list[str]:
    return trace(Collection(root))[1]


def test_step_is_followed_from_playbook_to_module_and_test(write: Write) -> None:
    row = rows_of(write({}))["DM-1"]
    [place] = row.places
    assert place.playbooks == ("daily_morning",)
    assert place.entries == ("healthcheck/daily",)
    assert (place.path, place.what) == ("roles/healthcheck/tasks/observe.yml", "Ask the pipeline")
    assert place.modules == ("pipeline_info",)
    assert [test.name for test in row.tests] == ["test_status"]


def test_comment_inside_a_test_function_counts(write: Write) -> None:
    assert [test.name for test in rows_of(write({}))["DM-2"].tests] == ["test_rate"]


def test_every_playbook_that_reaches_the_task_is_named_unless_one_names_the_step_itself(write: Write) -> None:
    both = {"playbooks/daily_evening.yml": OTHER_PLAYBOOK}
    assert rows_of(write(both))["DM-1"].playbooks == ["daily_evening", "daily_morning"]
    naming = PLAYBOOK.replace("    - name: Check", "    # runbook: DM-1\n    - name: Check")
    rows = rows_of(write({"playbooks/daily_morning.yml": naming}))
    assert rows["DM-1"].playbooks == ["daily_morning"]
    assert rows["DM-2"].playbooks == ["daily_evening", "daily_morning"]


@pytest.mark.parametrize(
    "play",
    [
        "- hosts: all\n  roles: [{role: media_ops.runbook.healthcheck}]\n",
        "- hosts: all\n  roles: [healthcheck]\n",
        "- hosts: all\n  tasks:\n    - block:\n        - import_role: {name: healthcheck}\n",
        "- hosts: all\n  roles: [verifier]\n",
    ],
    ids=["fqcn", "short", "in a block", "as a dependency"],
)
def test_main_entry_point_is_reached(write: Write, play: str) -> None:
    files = {
        "playbooks/daily_morning.yml": play,
        "roles/healthcheck/tasks/main.yml": "- import_tasks: observe.yml\n",
        "roles/verifier/meta/main.yml": "dependencies:\n  - role: media_ops.runbook.healthcheck\n",
    }
    assert rows_of(write(files))["DM-1"].playbooks == ["daily_morning"]


def test_name_that_is_known_at_run_time_only_reaches_all_that_it_can_name(write: Write) -> None:
    files = {"roles/healthcheck/tasks/daily.yml": "- include_tasks: '{{ step }}.yml'\n"}
    assert rows_of(write(files))["DM-1"].playbooks == ["daily_morning"]


@pytest.mark.parametrize(
    ("included", "reaching"),
    [
        ("{{ wanted }}.yml", ["daily_morning"]),
        ("{{ 'observe' if wanted == 'observe' else 'other' }}.yml", ["daily_morning"]),
        ("{{ 'observe' if found else 'other' }}.yml", ["daily_evening", "daily_morning"]),
        ("{{ wanted | default('other') }}.yml", ["daily_morning"]),
        ("{{ wanted | regex_replace('x') }}.yml", ["daily_evening", "daily_morning"]),
    ],
)
def test_name_is_followed_as_the_playbook_gives_it(write: Write, included: str, reaching: list[str]) -> None:
    files = {
        "playbooks/daily_morning.yml": PLAYBOOK + "      vars: {wanted: observe}\n",
        "playbooks/daily_evening.yml": OTHER_PLAYBOOK + "      vars: {wanted: other}\n",
        "roles/healthcheck/tasks/daily.yml": f"""- include_tasks: "{included}"\n""",
        "roles/healthcheck/tasks/other.yml": "- debug:\n",
    }
    assert rows_of(write(files))["DM-1"].playbooks == reaching


def test_condition_that_the_playbook_decides_is_followed(write: Write) -> None:
    files = {
        "playbooks/daily_morning.yml": PLAYBOOK + "      vars: {wanted: observe}\n",
        "playbooks/daily_evening.yml": OTHER_PLAYBOOK + "      vars: {wanted: other}\n",
        "roles/healthcheck/tasks/daily.yml": "- include_tasks: observe.yml\n  when: [found, wanted == 'observe']\n",
    }
    assert rows_of(write(files))["DM-1"].playbooks == ["daily_morning"]


def test_variable_that_a_task_sets_is_not_what_the_playbook_gave(write: Write) -> None:
    files = {
        "playbooks/daily_evening.yml": OTHER_PLAYBOOK + "      vars: {wanted: other}\n",
        "roles/healthcheck/tasks/daily.yml": "- set_fact: {wanted: observe}\n- include_tasks: '{{ wanted }}.yml'\n",
    }
    assert "daily_evening" in rows_of(write(files))["DM-1"].playbooks


def test_one_playbook_is_shown_and_it_is_the_steps_own_only_where_that_reaches_it(write: Write) -> None:
    files = {"playbooks/a_first.yml": PLAYBOOK, "playbooks/daily_morning_health_check.yml": OTHER_PLAYBOOK}
    row = rows_of(write(files))["DM-1"]
    assert (row.playbooks[0], row.playbook("DM-1")) == ("a_first", "daily_morning_health_check")
    files["playbooks/daily_morning_health_check.yml"] = "- hosts: all\n  tasks: []\n"
    assert rows_of(write(files))["DM-1"].playbook("DM-1") == "a_first"


POLICY = """
policy_procedures:
  restart_graceful: {evidence: true, rungs: [{rung: Restart, act: service_control, steps: [EM-R1], args: {}}]}
  restart_forced: {evidence: true, rungs: [{rung: Kill, act: service_control, steps: [EM-R2], args: {}}]}
  clean: {evidence: false, rungs: [{rung: Delete, act: disk_cleanup, steps: [EM-D1], args: {}}]}
policy_ladders:
  ffmpeg: [{rung: Reinstall, act: package_repair, steps: [P0-1], args: {}}]
"""
CARRY_OUT = """
- name: Look
  media_ops.runbook.check: {gather: [health]}
- name: Carry out
  media_ops.runbook.rung: {rung: "{{ rung }}"}
  loop: "{{ policy_procedures[automation_procedure].rungs }}"
  loop_control: {loop_var: rung}
"""
RESPOND = """
- name: Look closer
  # runbook: P0-2
  media_ops.runbook.probe: {module: ffmpeg_info}
- name: Try a rung
  media_ops.runbook.rung: {rung: "{{ rung }}"}
  loop: "{{ planned }}"
  loop_control: {loop_var: rung}
"""


def calling(role: str, entry: str, variables: str = "{}") -> str:
    call = f"import_role: {{name: media_ops.runbook.{role}, tasks_from: {entry}}}"
    return f"- hosts: all\n  tasks:\n    - {call}\n      vars: {variables}\n"


def automation(write: Write) -> Path:
    ids = ("DM-1", "EM-R1", "EM-R2", "EM-D1", "P0-1", "P0-2")
    steps = "".join(f"  {step}: {{says: it}}\n" for step in ids)
    tests = "".join(f"# runbook: {step}\ndef test_{number}(): ...\n" for number, step in enumerate(ids))
    return write(
        {
            "docs/runbook_steps.yml": f"all:\n{steps}",
            "docs/runbook_open.yml": "open: []\n",
            "roles/healthcheck/tasks/observe.yml": OBSERVE.replace(", DM-2", ""),
            "tests/unit/test_it.py": tests,
            "roles/policy/defaults/main/procedures.yml": POLICY,
            "roles/automation/tasks/carry_out.yml": CARRY_OUT,
            "roles/incident/tasks/act.yml": RESPOND,
            "playbooks/emergency_service_restart.yml": calling(
                "automation", "carry_out", "{automation_procedure: \"restart_{{ how | default('graceful') }}\"}"
            ),
            "playbooks/emergency_disk_cleanup.yml": calling("automation", "carry_out", "{automation_procedure: clean}"),
            "playbooks/incident_critical_system.yml": calling("incident", "act"),
        }
    )


def test_rungs_of_the_policy_say_which_steps_a_playbook_carries_out(write: Write) -> None:
    rows = rows_of(automation(write))
    assert {step: row.playbooks for step, row in rows.items()} == {
        "DM-1": ["daily_morning"],
        "EM-R1": ["emergency_service_restart"],
        "EM-R2": ["emergency_service_restart"],
        "EM-D1": ["emergency_disk_cleanup"],
        "P0-1": ["incident_critical_system"],
        "P0-2": ["incident_critical_system"],
    }
    [place] = rows["EM-D1"].places
    assert (place.what, place.entries, place.modules) == ("Delete", ("automation/carry_out",), ("disk_cleanup",))
    assert [place.modules for place in rows["P0-2"].places] == [("ffmpeg_info",)]


def test_actions_count_for_the_modules_that_they_call(write: Write) -> None:
    collection = Collection(automation(write))
    called = {
        path.stem: collection.modules_of(tasks, path)
        for path, tasks in collection.playbooks.items()
        if path.stem != "daily_morning"
    }
    assert called == {
        "emergency_service_restart": {"pipeline_info", "service_control"},
        "emergency_disk_cleanup": {"pipeline_info", "disk_cleanup"},
        "incident_critical_system": {"ffmpeg_info", "package_repair"},
    }


def test_action_counts_for_the_modules_that_it_asks(write: Write) -> None:
    root = write(
        {
            "plugins/action/conclude.py": "def run(self):\n    return self.ask('evidence_bundle', {})\n",
            "playbooks/all.yml": "- hosts: all\n  tasks:\n    - media_ops.runbook.conclude:\n",
            "playbooks/week.yml": "- hosts: all\n  tasks:\n    - media_ops.runbook.check: {week: true}\n",
        }
    )
    collection = Collection(root)
    called = {path.stem: collection.modules_of(tasks, path) for path, tasks in collection.playbooks.items()}
    assert called["all"] == {"conclude", "evidence_bundle"}
    assert called["week"] == {"pipeline_info", "daily_reports_info"}


def test_comment_at_the_module_of_a_rung_counts_where_a_rung_names_it(write: Write) -> None:
    root = automation(write)
    (root / "plugins/modules/service_control.py").write_text("# runbook: EM-R1\n")
    assert rows_of(root)["EM-R1"].playbooks == ["emergency_service_restart"]
    (root / "plugins/modules/service_control.py").write_text("# runbook: EM-D1\n")
    assert errors_of(root) == [
        "plugins/modules/service_control.py:1: names EM-D1, but nothing that reaches it carries out EM-D1"
    ]


def test_step_of_a_rung_that_is_none_of_the_runbook_is_an_error(write: Write) -> None:
    root = automation(write)
    table = root / "roles/policy/defaults/main/procedures.yml"
    table.write_text(table.read_text().replace("EM-D1", "EM-D1, EM-D9"))
    [error] = errors_of(root)
    assert error.endswith("a rung of role policy names 'EM-D9', which is no step of the runbook")


def test_import_playbook_is_followed(write: Write) -> None:
    rows = rows_of(write({"playbooks/all.yml": "- import_playbook: daily_morning.yml\n"}))
    assert rows["DM-1"].playbooks == ["all", "daily_morning"]


def test_comment_in_a_module_stands_for_the_tasks_that_use_it(write: Write) -> None:
    bare = OBSERVE.replace("# runbook: DM-1, DM-2\n", "")
    files = {"roles/healthcheck/tasks/observe.yml": bare, "plugins/modules/pipeline_info.py": "# runbook: DM-1, DM-2\n"}
    [place] = rows_of(write(files))["DM-1"].places
    assert (place.playbooks, place.modules) == (("daily_morning",), ("pipeline_info",))


def test_comment_inside_a_task_belongs_to_it(write: Write) -> None:
    observe = """---
- name: First
  media_ops.runbook.pipeline_info:
    # runbook: DM-1
    endpoints: [health]
# runbook: DM-2

# another remark
- name: Second
  ansible.builtin.debug:
"""
    rows = rows_of(write({"roles/healthcheck/tasks/observe.yml": observe}))
    assert [place.what for place in rows["DM-1"].places] == ["First"]
    assert [(place.what, place.modules) for place in rows["DM-2"].places] == [("Second", ("debug",))]


def test_comment_before_the_document_start_is_for_the_whole_file(write: Write) -> None:
    observe = "# runbook: DM-1, DM-2\n" + OBSERVE.replace("# runbook: DM-1, DM-2\n", "")
    [place] = rows_of(write({"roles/healthcheck/tasks/observe.yml": observe}))["DM-1"].places
    assert (place.what, place.modules) == ("", ("pipeline_info",))


def test_molecule_task_is_a_test(write: Write) -> None:
    verify = "- hosts: all\n  tasks:\n    # runbook: DM-1\n    - name: Status is shown\n      ansible.builtin.assert:\n"
    tests = {test.name for test in rows_of(write({"molecule/default/verify.yml": verify}))["DM-1"].tests}
    assert tests == {"test_status", "Status is shown"}


def test_remark_is_shown_and_does_not_carry_out(write: Write) -> None:
    observe = OBSERVE.replace(
        "# runbook: DM-1, DM-2", "# runbook: DM-1, DM-2\n# runbook-differs: DM-1: asks once, not thrice"
    )
    assert rows_of(write({"roles/healthcheck/tasks/observe.yml": observe}))["DM-1"].remarks == ["asks once, not thrice"]


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({"roles/healthcheck/tasks/observe.yml": OBSERVE.replace(", DM-2", "")}, "DM-2 (error rate) has no task"),
        ({"tests/unit/test_it.py": TESTS.replace("# runbook: DM-2", "")}, "DM-2 (error rate) has no test"),
        ({"docs/runbook_open.yml": "open: []\n"}, "EM-R1 (graceful restart) has no task and no test"),
        ({"docs/runbook_open.yml": "open: [EM-R1, DM-1]\n"}, "docs/runbook_open.yml: DM-1 may not be open"),
        (
            {"docs/runbook_open.yml": "open: [EM-R1, EM-R9]\n"},
            "docs/runbook_open.yml: 'EM-R9' is no step of the runbook",
        ),
        (
            {"tests/unit/test_more.py": "# runbook: DM-9\ndef test_it(): ...\n"},
            "tests/unit/test_more.py:1: 'DM-9' is no step of the runbook (docs/runbook_steps.yml)",
        ),
        (
            {"tests/unit/test_more.py": "# runbook: DM-1\ndef helper(): ...\n"},
            "tests/unit/test_more.py:1: names DM-1, but stands in or above no test",
        ),
        (
            {"roles/lonely/tasks/main.yml": "# runbook: DM-1\n- name: Never\n  ansible.builtin.debug:\n"},
            "roles/lonely/tasks/main.yml:1: names DM-1, but no playbook reaches it",
        ),
        (
            {"plugins/module_utils/api/client.py": "# runbook: DM-1\n"},
            "plugins/module_utils/api/client.py:1: names DM-1, but that is said at the module or task using this",
        ),
    ],
)
def test_gap_is_an_error(write: Write, files: dict[str, str], complaint: str) -> None:
    assert errors_of(write(files)) == [complaint]


def test_open_step_that_is_done_is_an_error(write: Write) -> None:
    restart = "- hosts: all\n  tasks:\n    # runbook: EM-R1\n    - name: Do it\n      ansible.builtin.systemd:\n"
    test = "# runbook: EM-R1\ndef test_restart(): ...\n"
    root = write({"playbooks/restart.yml": restart, "tests/unit/test_restart.py": test})
    assert errors_of(root) == ["docs/runbook_open.yml: EM-R1 has a task and a test by now: take it out"]


def test_variables_alone_carry_nothing_out(write: Write) -> None:
    files = {"roles/healthcheck/defaults/main.yml": "# runbook: DM-2\nlimit: 1\n"}
    files["roles/healthcheck/tasks/observe.yml"] = OBSERVE.replace(", DM-2", "")
    assert errors_of(write(files)) == ["DM-2 (error rate) has no task"]


@pytest.mark.parametrize("comment", ["#runbook: DM-1", "# Runbook: DM-1", "# runbook:DM-1", "# runbook-differs: DM-1"])
def test_comment_of_nearly_the_form_is_an_error(write: Write, comment: str, capsys: pytest.CaptureFixture[str]) -> None:
    root = write({"roles/healthcheck/tasks/observe.yml": OBSERVE + comment + "\n"})
    assert main(["--root", str(root)]) == 1
    assert "observe.yml:5" in capsys.readouterr().out


def test_text_of_a_string_is_no_comment(write: Write) -> None:
    rows_of(write({"tests/unit/test_more.py": 'TEXT = """\n# runbook: DM-9\n"""\n'}))


def test_check_passes_on_what_was_written_and_fails_on_a_stale_map(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write({})
    assert main(["--check", "--root", str(root)]) == 1
    said = capsys.readouterr().out
    assert "docs/runbook_map.md is stale: run make docs" in said
    assert "docs/runbook_tests.md is stale: run make docs" in said
    assert main(["--root", str(root)]) == 0
    assert main(["--check", "--root", str(root)]) == 0
    text = (root / "docs/runbook_map.md").read_text(encoding="utf-8")
    assert "| DM-1 | overall_status | `daily_morning` | Ask the pipeline ([healthcheck/observe]) | [1](" in text
    assert "| `daily_morning` |" in text
    assert "[healthcheck/observe]: ../roles/healthcheck/tasks/observe.yml" in text
    assert "* [test_status](../tests/unit/test_it.py)" in (root / "docs/runbook_tests.md").read_text(encoding="utf-8")
    write({"playbooks/daily_evening.yml": OTHER_PLAYBOOK})
    assert main(["--check", "--root", str(root)]) == 1


def test_no_line_of_the_map_is_too_long_to_read() -> None:
    for name in ("runbook_map", "runbook_tests"):
        lines = (ROOT / f"docs/{name}.md").read_text(encoding="utf-8").splitlines()
        assert [line for line in lines if len(line) > 200] == []
