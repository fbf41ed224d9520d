# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real hosts for tests: with systemd, sshd, apt, and where asked for the reference pipeline as their service."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from tools.lab import Lab, missing_reason
from tools.lab.lab import RUN

ROOT = Path(__file__).resolve().parents[2]
PREFIX = "pytest-"
CODE = "var/cache/kept-code"
# Of the files whose tests share a fleet, those that one worker takes: a fleet takes minutes to make. They take longest.
TOGETHER = (
    ("test_host_faults.py", "test_deletion_faults.py"),
    ("test_incident_faults.py", "test_archive_copy.py", "test_hostile_service.py"),
    ("test_lab.py", "test_incident_guards.py", "test_emergencies.py"),
)


class ByHosts(LoadScopeScheduling):  # type: ignore[misc]
    """The tests of a file, or of files that share a fleet, go to one worker."""

    def _split_scope(self, nodeid: str) -> str:
        file = Path(nodeid.partition("::")[0]).name
        return next((files[0] for files in TOGETHER if file in files), file)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest first."""
    places = {file: place for place, files in enumerate(TOGETHER) for file in files}
    items.sort(key=lambda item: places.get(item.path.name, len(TOGETHER)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByHosts:
    config.option.loadscopereorder = False
    return ByHosts(config, log)


def take_down_orphans() -> None:
    """End the labs of test runs that died before they could."""
    for directory in RUN.glob(f"{PREFIX}*/"):
        pid = directory.name.removeprefix(PREFIX).partition("-")[0]
        if pid.isdecimal() and not Path("/proc", pid).exists():
            Lab(directory.name).down()


def own_name() -> str:
    """A name for labs of this run that no other run has; the test is skipped where no lab can be made."""
    if reason := missing_reason():
        pytest.skip(reason)
    take_down_orphans()
    return f"{PREFIX}{os.getpid()}"


@pytest.fixture(scope="session")
def lab_name() -> str:
    """A name for labs of this run."""
    return own_name()


def keep_code(lab: Lab) -> None:
    """Have Python on a lab's hosts keep the code of modules from run to run, where this machine does (tests/kept)."""
    if not os.environ.get("MEDIA_OPS_KEPT"):
        return
    for host in lab.hosts.values():
        packages = host.root / "usr/lib/python3/dist-packages"
        shutil.copy(ROOT / "tests/kept/kept_code.py", packages)
        packages.joinpath("kept_code.pth").write_text(
            f"import kept_code; kept_code.keep_on_host('/{CODE}')\n", encoding="ascii"
        )
        host.root.joinpath(CODE).mkdir()
        host.root.joinpath(CODE).chmod(0o1777)


@pytest.fixture(scope="session")
def lab_hosts(lab_name: str) -> Iterator[Lab]:
    """Three hosts with all that a media host needs, media1 to media3, for the whole session."""
    lab = Lab(lab_name)
    try:
        lab.up(["media1", "media2", "media3"], "media")
        keep_code(lab)
        yield lab
    finally:
        lab.down()


@dataclass(frozen=True)
class Fleet:
    """Hosts that run the reference pipeline and were prepared; `inventory` reaches them as user media-ops."""

    lab: Lab
    inventory: Path
    token: str

    @property
    def gateway(self) -> str:
        """The address of this machine that the hosts reach."""
        hosts = self.lab.inventory()["all"]["children"]["media_hosts"]["hosts"]
        return f"{str(hosts['media1']['ansible_host']).rpartition('.')[0]}.1"

    def playbook(
        self,
        playbook: str,
        *options: str,
        inventory: Path | None = None,
        environment: Mapping[str, str] | None = None,
        timeout: float = 300,
    ) -> subprocess.CompletedProcess[str]:
        """Run a playbook of the repository with its own ansible.cfg."""
        command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(inventory or self.inventory)]
        env = {**(environment or os.environ), "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "NO_COLOR": "1"}
        return subprocess.run(
            [*command, playbook, *options],
            cwd=ROOT, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False,
        )  # fmt: skip


@pytest.fixture(scope="session")
def fleet(lab_hosts: Lab, tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    """The three hosts with the service installed, fed with real jobs, and prepared as a site does it."""
    return made_fleet(lab_hosts, tmp_path_factory.mktemp("fleet"))


def made_fleet(lab: Lab, scratch: Path, settings: str = "", *, timeout: float = 300, **variables: Any) -> Fleet:
    """Install the service on a lab's hosts and prepare them.

    Args:
        lab: its hosts are up.
        scratch: where the controller keeps what it needs for them.
        settings: of the service, lines of its environment; "" for those that the lab's tests have.
        timeout: seconds for each of the two playbooks.
        variables: of the inventory.
    """
    content = lab.inventory()
    group = content["all"]["children"]["media_hosts"]["vars"]
    group |= {
        "lab_scratch": str(scratch),
        "report_dir": str(scratch / "reports"),
        "prepare_authorized_keys": [group["lab_public_key"]],
        "media_ops_api_token": f"{{{{ lookup('ansible.builtin.file', '{scratch}/api_token') }}}}",
        **variables,
    }
    as_root, as_user = scratch / "root.json", scratch / "hosts.json"
    as_root.write_text(json.dumps(content), encoding="utf-8")
    group["ansible_user"] = "media-ops"
    as_user.write_text(json.dumps(content), encoding="utf-8")
    fleet = Fleet(lab, as_user, "")
    given = ["-e", json.dumps({"pipeline_settings": settings})] if settings else []
    for playbook in ("molecule/shared/install_pipeline.yml", "playbooks/prepare_hosts.yml"):
        done = fleet.playbook(playbook, *given, inventory=as_root, timeout=timeout)
        assert done.returncode == 0, done.stdout + done.stderr
    return Fleet(lab, as_user, (scratch / "api_token").read_text(encoding="ascii"))
