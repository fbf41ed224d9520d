# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The first look at a host by its shell: run by a real one, and read with suspicion."""

from __future__ import annotations

import getpass
import subprocess
import sys
import time
from typing import Any

import pytest
from ansible_collections.media_ops.runbook.plugins.plugin_utils.doctor.reach import Reach, reached, script


def said(text: str, **more: Any) -> dict[str, Any]:
    return {"rc": 0, "stdout": text, "stderr": "", **more}


def test_a_shell_says_who_it_is_what_time_it_has_and_which_pythons() -> None:
    began = time.time()
    ran = subprocess.run(["/bin/sh", "-c", script(sys.executable)], capture_output=True, text=True, check=True)
    reach = reached(said(ran.stdout), sys.executable, began, time.time())
    assert (reach.state, reach.user) == ("ok", getpass.getuser())
    assert reach.offset_s is not None
    assert abs(reach.offset_s) <= reach.offset_error_s + 0.1
    assert (reach.pythons or {})[sys.executable] == sys.version_info[:2]
    assert reach.python(sys.executable) == sys.executable


def test_one_that_is_set_and_is_not_there_gives_way_to_one_that_will_do() -> None:
    text = "media-ops user me\nmedia-ops now 100\nmedia-ops python 1 3.8\nmedia-ops python 2 3.11\n"
    reach = reached(said(text), "/nonexistent/python3", 99.0, 101.0)
    assert reach.pythons == {"/usr/bin/python3": (3, 8), "/usr/local/bin/python3": (3, 11)}
    assert reach.python("/nonexistent/python3") == "/usr/local/bin/python3"
    assert (reach.offset_s, reach.offset_error_s) == (0.5, 1.5)


@pytest.mark.parametrize(
    "text",
    [
        "media-ops user me\nmedia-ops python 999 3.11\n",
        "media-ops user me\nmedia-ops python 0 /bin/evil 3.11\n",
        "media-ops user me\nmedia-ops python -1 3.11\n",
        "media-ops user me\nmedia-ops now tomorrow\n",
    ],
)
def test_a_host_names_no_program_that_is_run(text: str) -> None:
    reach = reached(said(text), "", 0.0, 1.0)
    assert (reach.pythons, reach.python(""), reach.offset_s) == ({}, "", None)


def test_what_is_no_shell_is_no_host_that_was_reached() -> None:
    reach = reached(said("This account is not available.", rc=1), "", 0.0, 1.0)
    assert reach.state == "failed"
    assert "This account is not available" in reach.reason
    assert reached({"unreachable": True, "msg": "Failed to connect to the host via ssh: x"}, "", 0, 1) == Reach(
        "unreachable", "x"
    )
