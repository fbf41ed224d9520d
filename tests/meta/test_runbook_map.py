"""tools/runbook_map.py on small made-up collections: what it finds, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tools.runbook_map import Collection, Row, main, trace

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


def test_templated_name_reaches_all_that_it_can_name(write: Write) -> None:
    files = {"roles/healthcheck/tasks/daily.yml": "- include_tasks: '{{ step }}.yml'\n"}
    assert rows_of(write(files))["DM-1"].playbooks == ["daily_morning"]


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
    assert "docs/runbook_map.md is stale: run make docs" in capsys.readouterr().out
    assert main(["--root", str(root)]) == 0
    assert main(["--check", "--root", str(root)]) == 0
    assert "| DM-1 | overall_status | `daily_morning` |" in (root / "docs/runbook_map.md").read_text(encoding="utf-8")
    write({"playbooks/daily_evening.yml": OTHER_PLAYBOOK})
    assert main(["--check", "--root", str(root)]) == 1
