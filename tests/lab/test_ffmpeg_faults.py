# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ffmpeg really broken on a real host, found and mended by user media-ops. A running one must live on."""

from __future__ import annotations

import json
import os
import shlex
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ansible_runner
import pytest

from tools.lab import Lab

from .conftest import ROOT, Fleet, keep_code

pytestmark = [pytest.mark.root, pytest.mark.slow]

HOST = "media1"
LIBRARY = "/usr/lib/x86_64-linux-gnu/libavcodec.so.59"
SHADOW = "/opt/media/bin/ffmpeg"
CANARY = "AKIACANARY0000000000"
# The service: with a PATH of its own, which its unit sets, and a secret, which nobody else may see.
UNIT = """[Service]
User=media
Environment=PATH=/opt/media/bin:/usr/bin:/bin
EnvironmentFile=/etc/media.env
ExecStart=/usr/bin/sleep infinity
"""
SET_UP = f"""
set -eu
useradd --system --home-dir /srv/media --create-home --shell /usr/sbin/nologin media
mkdir -p /opt/media/bin
printf 'AWS_SECRET_ACCESS_KEY={CANARY}\\n' >/etc/media.env
chown root:media /etc/media.env
chmod 0640 /etc/media.env
cat >/etc/systemd/system/media-processing-service.service
systemctl daemon-reload
systemctl start media-processing-service
"""
# In real time for an hour, so that it is at work during every repair
NEIGHBOUR = (
    "systemd-run --quiet --unit=neighbour --uid=media --working-directory=/srv/media "
    "ffmpeg -nostdin -v error -y -re -f lavfi -i testsrc=duration=3600:size=320x240:rate=25 "
    "-c:v libx264 -preset ultrafast -f mpegts neighbour.ts"
)
# Knows every encoder but the one that is needed
REFUSING = """#!/bin/sh
case "$*" in *libx264*) echo "Unknown encoder 'libx264'" >&2; exit 8;; esac
"""
SECOND = "-f lavfi -i testsrc=duration=1:size=320x240:rate=10 -c:v libx264"
# apt that really reinstalls something and is held up in the middle of it
APT_AT_WORK = (
    "systemd-run --quiet --unit=apt-at-work --collect "
    "apt-get -o 'DPkg::Pre-Invoke::={meanwhile}' install --reinstall --yes iproute2"
)
# Puts ffmpeg back, and lets apt go on, when a module of media-ops has begun to wait: its Python sleeps.
MENDED_MEANWHILE = """
systemd-run --quiet --collect sh -c '
for n in $(seq 1200); do
  for pid in $(pgrep -u media-ops -x python3); do
    [ "$(cat /proc/$pid/wchan)" = hrtimer_nanosleep ] && cp -p /root/kept /usr/bin/ffmpeg && touch /run/mended && exit
  done
  sleep 0.1
done'
"""
# Kills apt and dpkg together while ffmpeg's files are being put in place.
CUT_SHORT = """
import os, subprocess, sys, time
for attempt in range(20):
    subprocess.run(["systemd-run", "--quiet", "--unit=cut-short", "--collect",
                    "apt-get", "install", "--reinstall", "--yes", "ffmpeg"], check=True)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if os.path.exists("/usr/bin/ffmpeg.dpkg-new") or os.path.exists("/usr/bin/ffmpeg.dpkg-tmp"):
            break
        if attempt and not subprocess.run(["systemctl", "is-active", "--quiet", "cut-short"]).returncode == 0:
            break
    subprocess.run(["systemctl", "kill", "--kill-who=all", "--signal=KILL", "cut-short"])
    while subprocess.run(["systemctl", "is-active", "--quiet", "cut-short"]).returncode == 0:
        time.sleep(0.05)
    state = subprocess.run(["dpkg-query", "--show", "--showformat=${db:Status-Abbrev}", "ffmpeg"],
                           capture_output=True, text=True, check=True).stdout
    if state.strip() != "ii":
        sys.exit(0)
    subprocess.run(["dpkg", "--configure", "-a"], check=True)
sys.exit("dpkg was always faster")
"""


@dataclass
class Site:
    """The host, as root to break it and as media-ops to find out and mend it; and what the tests have seen."""

    lab: Lab
    inventory: dict[str, Any]
    scratch: Path
    matrix: list[dict[str, Any]] = field(default_factory=list)

    def prepare(self) -> str:
        """Prepare the host as a site does it, as its admin."""
        content = self.lab.inventory()
        group = content["all"]["children"]["media_hosts"]["vars"]
        group["prepare_authorized_keys"] = [group["lab_public_key"]]
        as_admin = self.scratch / "admin.json"
        as_admin.write_text(json.dumps(content), encoding="utf-8")
        done = Fleet(self.lab, as_admin, "").playbook("playbooks/prepare_hosts.yml")
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def sh(self, script: str, *, stdin: str = "", check: bool = True) -> str:
        """Run a script as root."""
        return self.lab.exec(HOST, ["sh", "-c", script], stdin=stdin, check=check, timeout=300).stdout

    def module(self, name: str, *, check: bool = False, **options: Any) -> dict[str, Any]:
        """Run a module as media-ops; return its result, failed or not."""
        run = ansible_runner.run(
            private_data_dir=str(self.scratch),
            host_pattern=HOST,
            module=f"media_ops.runbook.{name}",
            module_args=" ".join(f"{key}={shlex.quote(str(value))}" for key, value in options.items()),
            cmdline="-vvvv --check" if check else "-vvvv",
            inventory=self.inventory,
            envvars={"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
            process_isolation=False,
            quiet=True,
            timeout=600,
        )
        output = run.stdout.read()
        assert CANARY not in output
        ended = [one for one in run.events if one["event"] in ("runner_on_ok", "runner_on_failed")]
        assert len(ended) == 1, output
        result: dict[str, Any] = ended[0]["event_data"]["res"]
        return {**result, "failed": ended[0]["event"] == "runner_on_failed"}

    def neighbour(self) -> tuple[str, int]:
        """The ffmpeg that must live on: its pid, and how much it has written."""
        pid = self.sh("systemctl show --property=MainPID --value neighbour").strip()
        return pid, int(self.sh("stat -c %s /srv/media/neighbour.ts"))

    def neighbour_lives_on(self, before: tuple[str, int]) -> bool:
        """Whether it is the same process, and still writes."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            pid, written = self.neighbour()
            if pid != before[0] or pid == "0":
                return False
            if written > before[1]:
                return True
            time.sleep(0.2)
        return False

    def state(self) -> str:
        """What a repair could change of the host."""
        return self.sh(
            f"stat -c '%n %s %i %a %Z' /usr/bin/ffmpeg* {LIBRARY}* {SHADOW} 2>&1;"
            "ls -l /var/cache/apt/archives /var/lib/dpkg/updates; md5sum /var/lib/dpkg/status; ls /tmp",
            check=False,
        )

    def planned(self) -> dict[str, Any]:
        """The repair in check mode, which must leave the host as it is."""
        before = self.state()
        plan = self.module("package_repair", check=True)
        assert self.state() == before
        return plan

    def record(self, fault: str, verdict: str, done: str, *, recovered: bool, neighbours: bool) -> None:
        """A line of the fault matrix."""
        line = {"fault": fault, "verdict": verdict, "done": done, "recovered": recovered, "neighbours": neighbours}
        self.matrix.append(line)


@pytest.fixture(scope="module")
def whole_site(lab_name: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    scratch = tmp_path_factory.mktemp("ffmpeg")
    lab = Lab(f"{lab_name}-ffmpeg")
    try:
        lab.up([HOST], "media")
        keep_code(lab)
        content = lab.inventory()
        site = Site(lab, content, scratch)
        site.sh(SET_UP, stdin=UNIT)
        site.prepare()
        content["all"]["children"]["media_hosts"]["vars"]["ansible_user"] = "media-ops"
        yield site
        directory = os.environ.get("MEDIA_OPS_FAULT_MATRIX")
        if directory:
            text = json.dumps(site.matrix, indent=2) + "\n"
            (Path(directory) / "ffmpeg.json").write_text(text, encoding="utf-8")
    finally:
        lab.down()


@pytest.fixture
def site(whole_site: Site) -> Site:
    """The host with a sound ffmpeg, and one that is at work, whatever the test before has left."""
    whole_site.sh(f"set -e; runuser -u media -- /usr/bin/ffmpeg -v error {SECOND} -f null -; [ ! -e {SHADOW} ]")
    whole_site.sh(
        f"systemctl is-active --quiet neighbour || {{ systemctl reset-failed neighbour 2>/dev/null; {NEIGHBOUR}; }};"
        "for n in $(seq 300); do [ -s /srv/media/neighbour.ts ] && exit; sleep 0.1; done; exit 1"
    )
    return whole_site


def test_the_path_is_that_of_the_running_service_and_its_secret_stays_there(site: Site) -> None:
    found = site.module("ffmpeg_info")
    assert (found["path_source"], found["path_env"]) == ("process", "/opt/media/bin:/usr/bin:/bin")
    assert (found["user"], found["package"]["name"], found["mode"]) == ("media", "ffmpeg", "0755")
    site.sh("systemctl stop media-processing-service")
    try:
        found = site.module("ffmpeg_info")
        assert (found["path_source"], found["path_env"]) == ("unit", "/opt/media/bin:/usr/bin:/bin")
        # A PATH in a file that only the service may read
        site.sh("chown media:media /etc/media.env; chmod 0600 /etc/media.env")
        site.sh("echo 'PATH=/opt/other:/usr/bin' >>/etc/media.env")
        assert site.module("ffmpeg_info")["path_env"] == "/opt/other:/usr/bin"
    finally:
        site.sh("sed -i /^PATH/d /etc/media.env; systemctl start media-processing-service")


def test_the_sudo_rule_has_the_libraries_of_the_host_and_nothing_else_of_it(site: Site) -> None:
    rule = site.sh("grep -o 'reinstall .*' /etc/sudoers.d/media-ops").splitlines()
    query = "dpkg-query --show --showformat='${source:Package} ${Package}\\n' | sed -n 's/^ffmpeg lib/lib/p' | sort"
    libraries = site.sh(query).split()
    assert "libavcodec59" in libraries
    assert rule == [f"reinstall {name}" for name in ("ffmpeg", *libraries)]
    site.sh("visudo --check --strict")
    assert " changed=0 " in site.prepare()


# runbook: P0-3D, P0-3E, P0-3F, P1-2A
@pytest.mark.parametrize(
    ("fault", "breaking", "verdict", "package"),
    [
        ("ffmpeg deleted", "rm /usr/bin/ffmpeg", "missing", "ffmpeg"),
        ("ffmpeg chmod 000", "chmod 000 /usr/bin/ffmpeg", "not_executable", "ffmpeg"),
        ("ffmpeg for root only (mode 0700)", "chmod 0700 /usr/bin/ffmpeg", "not_executable", "ffmpeg"),
        (
            "ffmpeg truncated",
            "cp -p /usr/bin/ffmpeg /usr/bin/x; truncate -s 100000 /usr/bin/x; mv /usr/bin/x /usr/bin/ffmpeg",
            "broken_binary",
            "ffmpeg",
        ),
        (
            "libavcodec truncated",
            f"real=$(readlink -f {LIBRARY}); cp -p $real /x; truncate -s 5000000 /x; mv /x $real",
            "broken_library",
            "libavcodec59",
        ),
        (
            "ffmpeg replaced by one without libx264",
            f"printf %s {shlex.quote(REFUSING)} >/x; chmod 0755 /x; mv /x /usr/bin/ffmpeg",
            "codec_missing",
            "ffmpeg",
        ),
        ("libavcodec deleted", f"rm $(readlink -f {LIBRARY})", "broken_library", "libavcodec59"),
        ("libavcodec chmod 000", f"chmod 000 $(readlink -f {LIBRARY})", "broken_library", "libavcodec59"),
        ("link of libavcodec deleted", f"rm {LIBRARY}", "broken_library", "libavcodec59"),
    ],
)
def test_what_a_reinstallation_mends(site: Site, fault: str, breaking: str, verdict: str, package: str) -> None:
    site.sh(breaking)
    neighbour = site.neighbour()
    plan = site.planned()
    found = plan["before"]
    assert (found["state"], found["broken_packages"], found["reinstall_cures"]) == (verdict, [package], True), found
    assert [(one["action"], one["stable"]["package"]) for one in plan["plan"]] == [("reinstall", package)]
    done = site.module("package_repair", plan_hash=plan["hash"])
    assert not done["failed"], done
    assert (done["changed"], done["after"]["state"], done["plan"][0]["result"]) == (True, "ok", "done")
    again = site.module("package_repair")
    assert (again["changed"], again["plan"]) == (False, [])
    lives = site.neighbour_lives_on(neighbour)
    site.record(fault, verdict, f"reinstalled {package}", recovered=True, neighbours=lives)
    assert lives


# runbook: P0-3E, P0-3F
def test_a_wrapper_around_a_deleted_one_is_mended_by_its_package(site: Site) -> None:
    neighbour = site.neighbour()
    site.sh(f"rm /usr/bin/ffmpeg; printf '#!/bin/sh\\nexec /usr/bin/ffmpeg \"$@\"\\n' >{SHADOW}; chmod 0755 {SHADOW}")
    try:
        done = site.module("package_repair")
        assert (done["before"]["state"], done["before"]["binary"]) == ("missing", SHADOW), done
        assert (done["after"]["state"], done["plan"][0]["result"]) == ("ok", "done"), done
        assert done["after"]["changed_at"] is not None
        lives = site.neighbour_lives_on(neighbour)
        site.record(
            "a wrapper around a deleted ffmpeg", "missing", "reinstalled ffmpeg", recovered=True, neighbours=lives
        )
    finally:
        site.sh(f"rm {SHADOW}")
    assert lives


# runbook: P0-3E, P0-3F
def test_a_broken_one_before_the_package_s_is_named_and_left(site: Site) -> None:
    site.sh(f"head -c 100000 /usr/bin/ffmpeg >{SHADOW}; chmod 0755 {SHADOW}")
    neighbour = site.neighbour()
    try:
        before = site.state()
        done = site.module("package_repair")
        found = done["before"]
        assert (found["state"], found["reinstall_cures"], found["binary"]) == ("shadowed", False, SHADOW)
        assert SHADOW in found["reason"]
        assert "/usr/bin/ffmpeg" in found["reason"]
        assert (done["changed"], done["plan"]) == (False, [])
        assert SHADOW in done["msg"]
        assert site.state() == before
        lives = site.neighbour_lives_on(neighbour)
        site.record(
            "broken ffmpeg earlier on PATH",
            "shadowed",
            "nothing: named it for a person",
            recovered=False,
            neighbours=lives,
        )
    finally:
        site.sh(f"rm {SHADOW}")
    assert lives


# runbook: P0-3F
def test_a_held_lock_is_waited_for_and_at_last_its_holder_named(site: Site) -> None:
    site.sh("rm /usr/bin/ffmpeg")
    neighbour = site.neighbour()
    began = time.monotonic()
    site.sh(f"{APT_AT_WORK.format(meanwhile='sleep 600')}; {wait_for_lock()}")
    try:
        pid = site.sh("systemctl show --property=MainPID --value apt-at-work").strip()
        refused = site.module("package_repair")
        assert refused["failed"], refused
        assert f"pid {pid} (/usr/bin/apt-get " in refused["msg"]
        assert 55 < time.monotonic() - began < 150
        assert (refused["changed"], refused["plan"][0]["result"]) == (False, "planned")
    finally:
        site.sh(
            "systemctl kill --kill-who=all --signal=KILL apt-at-work;"
            "while systemctl is-active --quiet apt-at-work; do sleep 0.1; done"
        )
    site.sh(f"{APT_AT_WORK.format(meanwhile='sleep 10')}; {wait_for_lock()}")
    done = site.module("package_repair")
    assert not done["failed"], done
    assert done["after"]["state"] == "ok"
    assert "apt-get" in done["locked_by"]
    lives = site.neighbour_lives_on(neighbour)
    site.record(
        "apt lock held", "missing", "named the holder after 60 s; waited for the next one, reinstalled ffmpeg",
        recovered=True, neighbours=lives,
    )  # fmt: skip
    assert lives


def wait_for_lock() -> str:
    """A script that ends when apt has its lock."""
    inode = "$(stat -c %i /var/lib/dpkg/lock-frontend)"
    return f'for n in $(seq 300); do grep -q ":{inode} " /proc/locks && exit; sleep 0.1; done; exit 1'


# runbook: P0-3F
def test_an_ffmpeg_that_another_run_mends_meanwhile_is_not_reinstalled_again(site: Site) -> None:
    site.sh("cp -p /usr/bin/ffmpeg /root/kept; rm /usr/bin/ffmpeg")
    until_mended = "for n in $(seq 1200); do test -e /run/mended && exit; sleep 0.1; done"
    site.sh(f"{APT_AT_WORK.format(meanwhile=until_mended)}; {wait_for_lock()}")
    site.sh(MENDED_MEANWHILE)
    done = site.module("package_repair")
    assert (done["changed"], done["after"]["state"], done["plan"][0]["result"]) == (False, "ok", "skipped"), done


# runbook: P0-3F
def test_an_interrupted_dpkg_is_let_finish_and_then_ffmpeg_reinstalled(site: Site) -> None:
    neighbour = site.neighbour()
    site.lab.exec(HOST, ["python3", "-c", CUT_SHORT], timeout=300)
    site.sh("rm -f /usr/bin/ffmpeg")
    plan = site.planned()
    # runit has a trigger on what comes into /usr/bin.
    assert (plan["before"]["state"], plan["before"]["dpkg_interrupted"]) == ("missing", ["ffmpeg", "runit"])
    assert [one["action"] for one in plan["plan"]] == ["configure", "reinstall"]
    done = site.module("package_repair", plan_hash=plan["hash"])
    assert not done["failed"], done
    assert (done["after"]["state"], done["after"]["dpkg_interrupted"]) == ("ok", [])
    assert site.sh("dpkg --audit") == ""
    lives = site.neighbour_lives_on(neighbour)
    site.record(
        "dpkg interrupted", "missing", "dpkg --configure -a, then reinstalled ffmpeg", recovered=True, neighbours=lives
    )
    assert lives


# runbook: P0-3F
@pytest.mark.parametrize(
    ("fault", "breaking", "mending", "said"),
    [
        (
            "no network",
            "apt-get clean; ip route show default >/root/route; ip route del default",
            "ip route add $(cat /root/route)",
            "Failed to fetch",
        ),
        (
            "/var full",
            "apt-get clean; mount -t tmpfs -o size=64k full /var/cache/apt/archives",
            "umount -l /var/cache/apt/archives",
            "enough free space",
        ),
        (
            "/usr read-only",
            "mount --bind /usr/bin /usr/bin; mount -o remount,bind,ro /usr/bin",
            "umount -l /usr/bin",
            "Read-only file system",
        ),
    ],
)
def test_a_repair_that_cannot_be_made_says_why(site: Site, fault: str, breaking: str, mending: str, said: str) -> None:
    site.sh(f"chmod 000 /usr/bin/ffmpeg; {breaking}")
    neighbour = site.neighbour()
    try:
        refused = site.module("package_repair")
    finally:
        site.sh(mending)
    assert refused["failed"], refused
    assert said in refused["msg"], refused["msg"]
    assert (refused["after"]["state"], refused["changed"], refused["plan"][0]["result"]) == (
        "not_executable",
        False,
        "failed",
    )
    assert site.neighbour_lives_on(neighbour)
    done = site.module("package_repair")
    assert done["after"]["state"] == "ok"
    site.record(
        f"ffmpeg chmod 000, {fault}", "not_executable", "failed and said why; reinstalled ffmpeg once it could be",
        recovered=True, neighbours=True,
    )  # fmt: skip


# runbook: P0-3F
def test_lists_that_are_gone_are_updated(site: Site) -> None:
    site.sh("rm /usr/bin/ffmpeg; apt-get clean; rm -rf /var/lib/apt/lists/*")
    done = site.module("package_repair")
    assert not done["failed"], done
    assert done["after"]["state"] == "ok"


def test_a_package_that_sudo_does_not_allow_is_refused_before_anything_is_done(site: Site) -> None:
    library = site.sh("ldd /usr/bin/ffmpeg | sed -n 's/.*libx264[^ ]* => \\([^ ]*\\).*/\\1/p'").strip()
    site.sh(f"cp -p $(readlink -f {library}) /root/library; truncate -s 0 $(readlink -f {library})")
    try:
        before = site.state()
        refused = site.module("package_repair")
        assert refused["before"]["state"] == "broken_library"
        assert [name.startswith("libx264") for name in refused["before"]["broken_packages"]] == [True]
        assert refused["failed"]
        assert "sudo does not allow" in refused["msg"]
        assert site.state() == before
        assert site.planned()["refusals"]
    finally:
        site.sh(f"cp -p /root/library $(readlink -f {library}); systemctl kill --signal=KILL neighbour")


@pytest.mark.parametrize("size", [100, 5000000])
def test_a_library_that_no_package_owns_is_named(site: Site, size: int) -> None:
    site.sh(
        f"mkdir -p /opt/media/lib; head -c {size} {LIBRARY} >/opt/media/lib/libavcodec.so.59;"
        "echo LD_LIBRARY_PATH=/opt/media/lib >>/etc/media.env; systemctl restart media-processing-service"
    )
    try:
        done = site.module("package_repair")
    finally:
        site.sh("sed -i /^LD_/d /etc/media.env; rm -r /opt/media/lib; systemctl restart media-processing-service")
    found = done["before"]
    assert (found["state"], found["reinstall_cures"], done["plan"]) == ("broken_library", False, []), found
    assert "/opt/media/lib/libavcodec.so.59" in found["reason"]


@pytest.mark.parametrize(
    ("breaking", "verdict", "said"),
    [
        # For the service's user alone: Ansible keeps the module elsewhere then.
        ("mount -t tmpfs -o size=4k,mode=0755,uid=media full /tmp", "failed", "No space left on device"),
        ("mount -t tmpfs -o ro readonly /tmp", "unknown", "no directory could be made"),
    ],
)
def test_a_disk_that_is_full_is_not_ffmpeg_s_fault(site: Site, breaking: str, verdict: str, said: str) -> None:
    site.sh(breaking)
    try:
        done = site.module("package_repair")
    finally:
        site.sh("umount -l /tmp")
    assert (done["state"], done["changed"], done["plan"]) == (verdict, False, [])
    assert said in done["reason"]


def test_what_may_not_be_looked_at_is_unknown(site: Site) -> None:
    site.sh("mv /etc/sudoers.d/media-ops /root/rule")
    try:
        done = site.module("package_repair")
    finally:
        site.sh("mv /root/rule /etc/sudoers.d/media-ops")
    assert (done["state"], done["changed"], done["plan"]) == ("unknown", False, [])
    assert "user media cannot look at its PATH" in done["reason"]
