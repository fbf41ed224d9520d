"""Whether a service may read overrides, by what systemd shows of its unit."""

from __future__ import annotations

import pytest
from ansible_collections.media_ops.runbook.plugins.plugin_utils.site.overrides import unit_overrides

START = "ExecStartEx={ path=/bin/media ; argv[]=/bin/media ; flags= ; start_time=[n/a] }"
SHOWN = f"LoadState=loaded\nUser=media\nPermissionsStartOnly=no\n{START}"
FILE = "/var/lib/media-ops/overrides.env"


def test_a_service_of_its_own_user_may() -> None:
    found = unit_overrides(SHOWN, "media.service", "/var/lib/media-ops/", True)
    assert found == {
        "there": True,
        "permitted": True,
        "shown_as": f"{FILE} (",
        "in_force": False,
        "directory": "/etc/systemd/system/media.service.d",
        "drop_in": "/etc/systemd/system/media.service.d/50-media-ops.conf",
        "environment_file": FILE,
        "msg": "",
    }
    assert unit_overrides(SHOWN, "media", "/var/lib/media-ops", True) == found


def test_what_it_reads_is_in_force() -> None:
    shown = f"{SHOWN}\nEnvironmentFiles=/etc/a (ignore_errors=no)\nEnvironmentFiles={FILE} (ignore_errors=yes)"
    assert unit_overrides(shown, "media", "/var/lib/media-ops", True)["in_force"]
    assert not unit_overrides(shown, "media", "/var/lib/media", True)["in_force"]


def test_a_percent_sign_is_no_specifier() -> None:
    assert unit_overrides(SHOWN, "media", "/srv/100%", True)["environment_file"] == "/srv/100%%/overrides.env"


@pytest.mark.parametrize(
    ("shown", "why"),
    [
        (SHOWN.replace("User=media", "User="), "it runs as root"),
        (SHOWN.replace("User=media\n", ""), "it runs as root"),
        (SHOWN.replace("User=media", "User=root"), "it runs as root"),
        (SHOWN.replace("User=media", "User=0"), "it runs as root"),
        (SHOWN.replace("Only=no", "Only=yes"), "some of its commands run with more rights than its user"),
        (
            f"{SHOWN}\nExecStopPostEx={{ flags=ignore-failure privileged ; }}",
            "some of its commands run with more rights",
        ),
        (f"{SHOWN}\nExecStartPreEx={{ flags=no-setuid ; }}", "some of its commands run with more rights"),
        (f"{SHOWN}\nExecStartPreEx={{ flags=ambient ; }}", "some of its commands run with more rights"),
        (SHOWN.replace(START, "ExecStartEx="), "systemd does not tell with which rights its commands run"),
        (SHOWN.replace(START, ""), "systemd does not tell with which rights its commands run"),
    ],
)
def test_a_service_by_which_it_would_give_root_may_not(shown: str, why: str) -> None:
    found = unit_overrides(shown, "media", "/var/lib/media-ops", True)
    assert not found["permitted"]
    assert found["msg"].startswith(f"media reads no overrides: {why}")


def test_a_site_may_want_none() -> None:
    found = unit_overrides(SHOWN, "media", "/var/lib/media-ops", False)
    assert (found["there"], found["permitted"]) == (True, False)
    assert found["msg"] == "media reads no overrides: prepare_overrides is false"


@pytest.mark.parametrize("shown", ["", "LoadState=not-found\nUser=media", "LoadState=masked"])
def test_without_a_unit_there_is_no_drop_in(shown: str) -> None:
    found = unit_overrides(shown, "media", "/var/lib/media-ops", True)
    assert not found["there"]
    assert found["msg"] == "media is not there, or cannot be loaded. Run this again once it is"
