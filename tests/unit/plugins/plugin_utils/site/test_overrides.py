"""Whether a service may read overrides, by what systemd shows of its unit."""

from __future__ import annotations

import pytest
from ansible_collections.media_ops.runbook.plugins.plugin_utils.site.overrides import unit_overrides

START = "ExecStartEx={ path=/bin/media ; argv[]=/bin/media ; flags= ; start_time=[n/a] }"
SHOWN = f"LoadState=loaded\nUser=media\nPermissionsStartOnly=no\nAmbientCapabilities=\n{START}"
FILE = "/etc/media-ops/overrides.env"
FILES = "# /etc/systemd/system/media.service\n[Service]\nUser=media\nSupplementaryGroups=video\n"


def test_a_service_of_its_own_user_may() -> None:
    found = unit_overrides(SHOWN, FILES, "media.service", True)
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
    assert unit_overrides(SHOWN, FILES, "media", True) == found


def test_what_it_reads_is_in_force() -> None:
    shown = f"{SHOWN}\nEnvironmentFiles=/etc/a (ignore_errors=no)\nEnvironmentFiles={FILE} (ignore_errors=yes)"
    assert unit_overrides(shown, FILES, "media", True)["in_force"]
    before = shown.replace("/etc/media-ops", "/var/lib/media-ops")
    assert not unit_overrides(before, FILES, "media", True)["in_force"]


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
        (SHOWN.replace("Capabilities=", "Capabilities=cap_net_raw"), "it has capabilities that its user does not have"),
        (SHOWN.replace(START, "ExecStartEx="), "systemd does not tell with which rights its commands run"),
        (SHOWN.replace(START, ""), "systemd does not tell with which rights its commands run"),
    ],
)
def test_a_service_by_which_it_would_give_root_may_not(shown: str, why: str) -> None:
    found = unit_overrides(shown, FILES, "media", True)
    assert not found["permitted"]
    assert found["msg"].startswith(f"media reads no overrides: {why}")


@pytest.mark.parametrize(
    "line",
    [
        "LoadCredential=key:/etc/key",
        "LoadCredentialEncrypted = key",
        "SetCredential=key:secret",
        "\tSetCredentialEncrypted=key: abc",
        "ImportCredential=key.*",
    ],
)
def test_a_service_with_credentials_may_not(line: str) -> None:
    found = unit_overrides(SHOWN, f"{FILES}{line}\n", "media", True)
    assert not found["permitted"]
    assert found["msg"].startswith("media reads no overrides: it is given credentials")


def test_a_credential_that_is_commented_out_or_taken_back_is_none() -> None:
    assert unit_overrides(SHOWN, f"{FILES}#LoadCredential=key:/etc/key\nLoadCredential=\n", "media", True)["permitted"]


def test_a_site_may_want_none() -> None:
    found = unit_overrides(SHOWN, FILES, "media", False)
    assert (found["there"], found["permitted"]) == (True, False)
    assert found["msg"] == "media reads no overrides: prepare_overrides is false"


@pytest.mark.parametrize("shown", ["", "LoadState=not-found\nUser=media", "LoadState=masked"])
def test_without_a_unit_there_is_no_drop_in(shown: str) -> None:
    found = unit_overrides(shown, FILES, "media", True)
    assert not found["there"]
    assert found["msg"] == "media is not there, or cannot be loaded. Run this again once it is"
