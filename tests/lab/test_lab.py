# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab itself: it isolates, survives crashes, and leaves nothing behind."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tools.lab import Lab, LabError
from tools.lab.image import cache_dir
from tools.lab.system import Group, wait_for

from .conftest import ROOT, Fleet
from .incident_host import UNIT, Incident

pytestmark = pytest.mark.root


def leftovers(name: str) -> list[str]:
    """What this machine still has of a lab."""
    lab = Lab(name)
    disks = cache_dir() / "hosts" / name
    found = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if f" {disks}" in line]
    found += [path for path in (str(disks), str(lab.run_dir)) if Path(path).exists()]
    found += [str(path) for path in Path("/sys/fs/cgroup").glob(f"*/media-ops-lab/{name}")]
    for table in ("nat", "filter"):
        rules = subprocess.run(["iptables", "-w", "-t", table, "-S"], capture_output=True, text=True, check=True)
        found += [line for line in rules.stdout.splitlines() if f"media_ops-lab-{name} " in line]
    links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
    address = lab._network._hardware_address
    found += [line for line in links.splitlines() if address in line]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (process / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if f"--machine={name}-" in arguments or f"{lab.run_dir}/" in arguments:
            found.append(f"{process.name} {arguments}")
    return found


@pytest.fixture
def other(lab_name: str) -> Iterator[Lab]:
    """A lab of the test's own, down at first."""
    lab = Lab(f"{lab_name}-b")
    yield lab
    lab.down()


def test_hosts_have_booted_and_reach_each_other(lab_hosts: Lab) -> None:
    for name in lab_hosts.hosts:
        assert lab_hosts.exec(name, ["systemctl", "is-system-running"]).stdout.strip() == "running"
        assert lab_hosts.exec(name, ["hostname"]).stdout.strip() == name
    banner = "import socket; print(socket.create_connection(('media2', 22), 5).recv(4).decode())"
    assert lab_hosts.exec("media1", ["python3", "-c", banner]).stdout.strip() == "SSH-"


def test_data_lies_on_the_machines_own_file_system_and_the_rest_on_a_layered_one(lab_hosts: Lab) -> None:
    own = subprocess.run(["stat", "-f", "-c", "%T", cache_dir()], capture_output=True, text=True, check=True).stdout
    found = lab_hosts.exec("media1", ["stat", "-f", "-c", "%T", "/srv", "/backup", "/"]).stdout.split()
    assert found == [own.strip(), own.strip(), "overlayfs"]


def test_up_of_a_lab_that_is_up_changes_nothing(lab_hosts: Lab) -> None:
    lab_hosts.exec("media1", ["touch", "/root/mark"])
    assert lab_hosts.up(list(lab_hosts.hosts), "media") is False
    lab_hosts.exec("media1", ["rm", "/root/mark"])


def test_a_second_lab_stands_beside_the_first_and_goes_without_it(lab_hosts: Lab, other: Lab) -> None:
    assert other.up(["media1"], "plain") is True
    mine, its = lab_hosts.hosts["media1"], other.hosts["media1"]
    assert mine.address.rpartition(".")[0] != its.address.rpartition(".")[0]
    other.exec("media1", ["systemctl", "stop", "ssh"])  # the units of one host are not those of the other
    assert lab_hosts.exec("media1", ["systemctl", "is-active", "ssh"]).stdout.strip() == "active"
    assert other.down() is True
    assert leftovers(other.name) == []
    assert lab_hosts.exec("media1", ["systemctl", "is-active", "ssh"]).stdout.strip() == "active"
    assert other.down() is False


def test_power_cut_keeps_the_disk(other: Lab) -> None:
    other.up(["web1"], "plain")
    other.exec("web1", ["sh", "-c", "echo kept | tee /root/mark >/srv/mark; sync"])
    other.stop("web1")
    with pytest.raises(LabError, match=r"host web1 of lab .* does not run"):
        other.exec("web1", ["true"])
    other.start("web1")
    assert other.exec("web1", ["cat", "/root/mark", "/srv/mark"]).stdout == "kept\nkept\n"


@pytest.mark.parametrize("stage", ["mounts", "processes"])
def test_a_lab_whose_maker_was_killed_is_replaced_and_removed(other: Lab, stage: str) -> None:
    command = [sys.executable, "-m", "tools.lab", "up", "--name", other.name, "--image", "plain", "--hosts", "a,b,c"]
    maker = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, start_new_session=True)
    mount = f" {cache_dir() / 'hosts' / other.name}/"

    def reached() -> bool:
        if stage == "mounts":
            return mount in Path("/proc/self/mountinfo").read_text()
        return bool(Group(other.name).pids())

    try:
        wait_for(stage, reached, 30, interval=0.001)
    finally:
        maker.kill()
        maker.wait()
    assert leftovers(other.name) != []
    started = time.monotonic()
    assert other.up(["a"], "plain") is True
    assert time.monotonic() - started < 60
    assert other.exec("a", ["hostname"]).stdout.strip() == "a"
    other.down()
    assert leftovers(other.name) == []


def test_ssh_masters_of_ansible_end_with_the_lab(other: Lab) -> None:
    other.up(["web1"], "plain")
    address = other.hosts["web1"].address
    master = ["-o", "ControlMaster=auto", "-o", "ControlPersist=120", "-o", f"ControlPath={other.run_dir}/%r@%h"]
    subprocess.run(["ssh", "-F", other.ssh_config, *master, f"ops@{address}", "true"], check=True, timeout=30)
    assert (other.run_dir / f"ops@{address}").is_socket()
    other.down()
    assert leftovers(other.name) == []


@pytest.mark.parametrize(
    ("name", "hosts", "image", "message"),
    [
        ("Bad name", ["a"], "plain", "lab name 'Bad name'"),
        ("good", ["../a"], "plain", r"host name '\.\./a'"),
        ("good", ["a", "a"], "plain", "hosts a, a: must be 1 to 200 different names"),
        ("good", [], "plain", "must be 1 to 200"),
        ("good", ["a"], "huge", "image 'huge': there are plain and media"),
    ],
)
def test_what_cannot_be_made_is_refused(name: str, hosts: list[str], image: str, message: str, lab_name: str) -> None:
    with pytest.raises(LabError, match=message):
        Lab(name).up(hosts, image)
    assert not leftovers("good")


def test_the_fleet_is_well(fleet: Fleet) -> None:
    # What others broke on these hosts, their service forgets with its restart.
    for host in map(partial(Incident, fleet), fleet.lab.hosts):
        host.sh(f"systemctl restart {UNIT}")
        host.wait_healthy()
    done = fleet.playbook("playbooks/daily_morning_health_check.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert fleet.token not in done.stdout + done.stderr
