# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the automation user may do on a prepared host, and each of its ways to root tried for an escape."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tools.lab import Lab

from .conftest import Fleet

pytestmark = [pytest.mark.root, pytest.mark.slow]

HOST = "media1"
UNIT = "media-processing-service"
STATE = "/var/lib/media-ops"
PROGRAMS = "/usr/local/libexec/media-ops"
SET = f"sudo -n {PROGRAMS}/overrides"
WRITTEN = "/etc/media-ops/overrides.env"
# Whatever gets root's rights by one of the traps leaves this.
OWNED = "/run/owned"
SET_UP = f"""
useradd --system --home-dir /srv/media-processing --shell /usr/sbin/nologin media
install -d -o media -g media -m 0750 /srv/media-processing
install -d -m 0711 /backup
install -d -m 0700 /etc/systemd/system/{UNIT}.service.d
printf '[Service]\\nUser=media\\nSupplementaryGroups=video\\nExecStart=/bin/sleep infinity\\n' \
  >/etc/systemd/system/{UNIT}.service
systemctl daemon-reload && systemctl start {UNIT}
"""
# Runs a command on a terminal, types there line by line what a person who wants a shell would, when it may have asked,
# and prints what was shown.
TERMINAL = r"""
import itertools, os, pty, select, sys, time
lines = itertools.cycle(sys.argv[1].encode().decode("unicode_escape").encode("latin-1").splitlines(keepends=True))
pid, terminal = pty.fork()
if not pid:
    os.execvp(sys.argv[2], sys.argv[2:])
deadline, next_at, shown = time.monotonic() + 90, time.monotonic() + 1.5, b""
while time.monotonic() < deadline:
    if time.monotonic() > next_at:
        os.write(terminal, next(lines))
        next_at = time.monotonic() + 0.3
    if select.select([terminal], [], [], 0.1)[0]:
        try:
            shown += os.read(terminal, 65536)
        except OSError:
            break
else:
    os.close(terminal)
    print("still running")
print(shown.decode(errors="replace"), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
# Z is dpkg's offer of a shell, ! a pager's.
SHELL_WANTED = rf"Z\ntouch {OWNED}\nexit\nN\n!touch {OWNED}\n"
# A package whose configuration file was changed here and upstream: dpkg asks which is to stay.
ASKING = """
set -e
dpkg --purge asking >/dev/null 2>&1 || true
for version in 1 2; do
  mkdir -p /root/asking/DEBIAN /root/asking/etc
  printf "Package: asking\\nVersion: $version\\nArchitecture: all\\nMaintainer: a <a@b.c>\\nDescription: asks\\n" \
    >/root/asking/DEBIAN/control
  echo /etc/asking.conf >/root/asking/DEBIAN/conffiles
  printf '#!/bin/sh\\nsleep 2\\numask >/run/configured\\n' >/root/asking/DEBIAN/postinst
  chmod 0755 /root/asking/DEBIAN/postinst
  echo "version $version" >/root/asking/etc/asking.conf
  dpkg-deb --build /root/asking /root/asking_$version.deb >/dev/null
  [ $version = 2 ] || { dpkg --install /root/asking_1.deb >/dev/null; echo mine >/etc/asking.conf; }
done
dpkg --unpack /root/asking_2.deb >/dev/null
rm -f /run/configured
"""
# A folder of the user's by whose files any program that looks there gives itself away
TRAPS = rf"""
rm -rf /tmp/traps; mkdir -p /tmp/traps; cd /tmp/traps
for name in dpkg apt-get python3 sh bash less more sensible-pager editor systemctl env cat; do
  printf '#!/bin/bash -p\n/usr/bin/touch {OWNED}\n' >$name; chmod 0755 $name
done
echo 'open("{OWNED}", "w")' >sitecustomize.py; cp sitecustomize.py usercustomize.py; cp sitecustomize.py json.py
cp sitecustomize.py subprocess.py
echo 'touch {OWNED}' >rc
echo 'pre-invoke=touch {OWNED}' >.dpkg.cfg
printf 'APT::Update::Pre-Invoke {{"touch {OWNED}"; }};\nDPkg::Pre-Invoke {{"touch {OWNED}"; }};\n' >apt.conf
"""
ENVIRONMENT = {
    **dict.fromkeys(("HOME", "PYTHONPATH", "PYTHONUSERBASE", "PERL5LIB", "TMPDIR", "LD_LIBRARY_PATH"), "/tmp/traps"),
    **dict.fromkeys(("BASH_ENV", "ENV", "PYTHONSTARTUP"), "/tmp/traps/rc"),
    **dict.fromkeys(("SYSTEMD_PAGER", "PAGER", "LESSOPEN", "DPKG_PAGER"), "/tmp/traps/less"),
    **dict.fromkeys(("SYSTEMD_EDITOR", "EDITOR", "VISUAL", "SUDO_EDITOR"), "/tmp/traps/editor"),
    "PATH": "/tmp/traps:/usr/bin:/bin",
    "LD_PRELOAD": "/tmp/traps/none.so",
    "APT_CONFIG": "/tmp/traps/apt.conf",
    "DEBIAN_FRONTEND": "readline",
    "DPKG_FORCE": "confask",
    "DPKG_ADMINDIR": "/tmp/traps",
    "DPKG_ROOT": "/tmp/traps",
    "PYTHONINSPECT": "1",
    "SYSTEMD_PAGERSECURE": "0",
    "SYSTEMD_LOG_LEVEL": "debug",
    "DBUS_SYSTEM_BUS_ADDRESS": "unixexec:path=/tmp/traps/sh",
}
# What a site may have set for its own purposes, read before the rule of role prepare
CARELESS = f'Defaults !env_reset, setenv, !secure_path\nDefaults env_keep += "{" ".join(ENVIRONMENT)}"\n'


@dataclass
class Host:
    """A prepared host: commands on it as root, and as the automation user."""

    lab: Lab
    inventory: Path

    def root(self, script: str, stdin: str = "") -> str:
        return self.lab.exec(HOST, ["sh", "-c", script], stdin=stdin, check=False, timeout=300).stdout.strip()

    def user(self, script: str, stdin: str = "", user: str = "media-ops") -> subprocess.CompletedProcess[str]:
        command = ["runuser", "-u", user, "--", "sh", "-c", f"cd /tmp; {script}"]
        return self.lab.exec(HOST, command, stdin=stdin, check=False, timeout=300)

    def on_terminal(self, command: str, typed: str = SHELL_WANTED, *, as_root: bool = False) -> str:
        """What a command shows that is run on a terminal, where somebody types."""
        words = shlex.join(["python3", "-c", TERMINAL, typed, "sh", "-c", command])
        return self.root(words) if as_root else self.user(words).stdout

    def owned(self) -> bool:
        """Whether one of the traps was sprung; it is laid anew."""
        return self.root(f"test -e {OWNED} && echo yes; rm -f {OWNED}") == "yes"

    def prepare(self) -> subprocess.CompletedProcess[str]:
        return Fleet(self.lab, self.inventory, "").playbook("playbooks/prepare_hosts.yml")

    def granted(self) -> list[str]:
        """What sudo says that the user may do as root, each with its arguments, and one library for all."""
        lines = [line.strip() for line in self.user("sudo -n -l").stdout.splitlines()]
        commands = [line.partition("NOPASSWD: ")[2].replace("\\", "") for line in lines if line.startswith("(root)")]
        libraries = [command for command in commands if "reinstall lib" in command]
        assert libraries
        return [command.removesuffix(' ""') for command in commands if command not in libraries[1:]]


@pytest.fixture(scope="module")
def prepared(lab_name: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    lab = Lab(f"{lab_name}-rights")
    try:
        lab.up([HOST], "media")
        content = lab.inventory()
        group = content["all"]["children"]["media_hosts"]["vars"]
        group["prepare_authorized_keys"] = [group["lab_public_key"]]
        inventory = tmp_path_factory.mktemp("rights") / "admin.json"
        inventory.write_text(json.dumps(content), encoding="utf-8")
        host = Host(lab, inventory)
        host.root(SET_UP)
        done = host.prepare()
        assert done.returncode == 0, done.stdout + done.stderr
        host.user(TRAPS)
        yield host
    finally:
        lab.down()


@pytest.fixture
def host(prepared: Host) -> Iterator[Host]:
    """The host without overrides and with nothing sprung, whatever the test before has left."""
    prepared.root(f"rm -f {WRITTEN} {OWNED} {STATE}/overrides.*; systemctl reset-failed {UNIT}; systemctl start {UNIT}")
    yield prepared
    assert prepared.root("stat -c '%U %a' /usr/local/libexec/media-ops/* /etc/media-ops/*").splitlines() == [
        *["root 755"] * 2,
        *["root 644"] * int(prepared.root("ls /etc/media-ops | wc -l")),
    ]


def test_the_role_changes_no_mode_of_what_was_there(host: Host) -> None:
    modes = f"stat -c %a /backup /etc/systemd/system/{UNIT}.service.d /backup/logs {STATE}"
    assert host.root(modes).split() == ["711", "700", "750", "750"]
    host.root("chmod 0700 /backup")
    try:
        refused = host.prepare()
        assert refused.returncode != 0
        assert (
            "policy_archive_dir is '/backup/logs': media cannot write there on media1"
            in refused.stdout + refused.stderr
        )
        assert host.root(modes).split() == ["700", "700", "750", "750"]
    finally:
        host.root("chmod 0711 /backup")
    done = host.prepare()
    assert (done.returncode, " changed=0 " in done.stdout) == (0, True), done.stdout


def test_what_is_granted_is_what_the_readme_says(host: Host) -> None:
    granted = host.granted()
    unit = [f"/usr/bin/systemctl {verb} {UNIT}" for verb in ("restart", "kill", "kill --signal=SIGKILL", "start")]
    packages = [f"{PROGRAMS}/packages {verb}" for verb in ("update", "configure", "reinstall ffmpeg")]
    assert granted[:-1] == [*unit, f"/usr/bin/systemctl reset-failed {UNIT}", f"{PROGRAMS}/overrides", *packages]
    assert granted[-1].startswith(f"{PROGRAMS}/packages reinstall lib")
    assert "(root) NOPASSWD: ALL" not in host.user("sudo -n -l").stdout
    assert host.user("sudo -n -l", user="media").returncode != 0, "the service's user has no way to root"


@pytest.mark.parametrize(
    "command",
    [
        "cat /etc/shadow",
        "-s",
        "-e /etc/shadow",
        "-u nobody id",
        "-g root /bin/sh -c id",
        "-D /root /bin/sh -c id",
        "-R /tmp /bin/sh -c id",
        f"/usr/bin/systemctl stop {UNIT}",
        f"/usr/bin/systemctl status {UNIT}",
        "/usr/bin/systemctl restart ssh",
        f"/usr/bin/systemctl edit {UNIT}",
        "/usr/bin/apt-get update",
        "/usr/bin/dpkg --configure -a",
        "/usr/bin/apt-get -o DPkg::Lock::Timeout=60 install --reinstall --no-remove --yes ffmpeg",
        f"{PROGRAMS}/packages",
        f"{PROGRAMS}/packages reinstall bash",
        f"{PROGRAMS}/packages reinstall /tmp/ffmpeg.deb",
        f"{PROGRAMS}/../media-ops/packages reinstall bash",
        f"LD_PRELOAD=/tmp/traps/none.so {PROGRAMS}/packages configure",
        f"PYTHONPATH=/tmp/traps {PROGRAMS}/overrides",
        f"--preserve-env {PROGRAMS}/overrides",
    ],
)
def test_anything_else_is_refused(host: Host, command: str) -> None:
    done = host.user(f"sudo -n {command}", stdin="{}")
    assert done.returncode != 0
    assert any(why in done.stderr for why in ("password is required", "not allowed", "may not")), done.stderr


def test_no_granted_command_takes_an_argument_more_or_another(host: Host) -> None:
    for command in host.granted():
        for more in ("-o", "--help", "x", "--root=/tmp", "-H root@127.0.0.1"):
            assert "password is required" in host.user(f"sudo -n {command} {more}").stderr, command
        if " " in command:
            assert "password is required" in host.user(f"sudo -n {command.rpartition(' ')[0]}").stderr, command


@pytest.mark.parametrize("verb", ["configure", "reinstall ffmpeg", "update"])
def test_a_question_of_dpkg_gives_no_shell(host: Host, verb: str) -> None:
    host.root(ASKING)
    shown = host.on_terminal("dpkg --configure -a", as_root=True)
    assert host.owned(), f"or it proves nothing: {shown}"
    host.root(ASKING)
    for command in (f"sudo -n {PROGRAMS}/packages {verb}", f"yes Z | sudo -n {PROGRAMS}/packages {verb}"):
        shown = host.on_terminal(command)
        assert not host.owned(), shown
        assert "still running" not in shown
    if verb != "update":
        assert host.root("dpkg-query --show --showformat='${db:Status-Abbrev}${Version}' asking") == "ii 2"
        assert host.root("cat /etc/asking.conf") == "mine"


def test_a_caller_that_goes_away_cuts_nothing_short(host: Host) -> None:
    host.root(ASKING)
    interrupt = r"\x03\n\x1c\n\x1a\n"
    shown = host.on_terminal(f"umask 0777; exec sudo -n {PROGRAMS}/packages configure", interrupt)
    assert host.root("dpkg --audit; cat /run/configured") == "0022", shown


def test_a_caller_with_limits_cuts_nothing_short(host: Host) -> None:
    """They are lifted, or nothing is begun where root may not, as in some containers."""
    host.root(ASKING)
    done = host.user(f"ulimit -f 0; ulimit -t 1; sudo -n {PROGRAMS}/packages configure")
    state = host.root("dpkg-query --show --showformat='${db:Status-Abbrev}' asking; cat /run/configured 2>/dev/null")
    assert (done.returncode, state) in ((0, "ii 0022"), (1, "iU")), done.stderr
    assert done.returncode == 0 or "packages: a limit of the caller's cannot be lifted" in done.stderr


@pytest.mark.parametrize("sudoers", ["", CARELESS], ids=["as it is", "careless"])
def test_no_variable_of_the_caller_gets_through(host: Host, sudoers: str) -> None:
    traps = shlex.join(f"{name}={value}" for name, value in ENVIRONMENT.items())
    host.root(f"env {traps} /usr/bin/python3 -c 'import json' 2>/dev/null </dev/null")
    assert host.owned(), "or it proves nothing"
    host.root("cat >/etc/sudoers.d/aaa; chmod 0440 /etc/sudoers.d/aaa; visudo --check", sudoers)
    try:
        for command in host.granted():
            shown = host.on_terminal(
                f"exec env {traps} /usr/bin/sudo -n {command}", typed=rf"{{}}\n\x04!touch {OWNED}\n"
            )
            assert not host.owned(), shown
            assert "traps" not in shown, shown
            assert "still running" not in shown, command
            host.root(f"systemctl start {UNIT}")
    finally:
        host.root("rm /etc/sudoers.d/aaa")


def test_what_root_reads_and_runs_no_other_user_can_write(host: Host) -> None:
    places = f"/etc/media-ops {PROGRAMS} /etc/sudoers.d /etc/systemd /usr/local /usr/lib/python3 /etc/apt /etc/dpkg"
    for user in ("media-ops", "media"):
        found = host.user(f"find {places} -writable ! -type l 2>/dev/null", user=user)
        assert found.stdout == ""
        for attempt in (f"ln -s /etc/shadow {WRITTEN}", f"mkfifo {WRITTEN}", f"mv {PROGRAMS} /tmp/x"):
            assert host.user(attempt, user=user).returncode != 0


@pytest.mark.parametrize("attack", ["ln -s /etc/shadow {}", "mkfifo {}", "ln -s /dev/zero {}", "echo CANARY=1 >{}"])
def test_what_lies_in_the_state_directory_is_not_read_by_root(host: Host, attack: str) -> None:
    for name in ("overrides.env", "measures.env"):
        assert host.user(attack.format(f"{STATE}/{name}")).returncode == 0
    try:
        assert host.user(f"timeout 30 sudo -n /usr/bin/systemctl restart {UNIT}").returncode == 0
        environment = host.root(f"tr '\\0' '\\n' </proc/$(systemctl show -p MainPID --value {UNIT})/environ")
        assert "root:" not in environment
        assert "CANARY" not in environment
    finally:
        host.root(f"rm -f {STATE}/overrides.env {STATE}/measures.env")


@pytest.mark.parametrize(
    "given",
    [
        '{"LD_PRELOAD": "/tmp/x.so"}',
        '{"PYTHONPATH": "/tmp/traps"}',
        '{"PATH": "/tmp/traps"}',
        '{"LOG_LEVEL": "DEBUG", "SOMETHING": "1"}',
        '{"PROCESSING_TIMEOUT": "600\\nLD_PRELOAD=/tmp/x.so"}',
        '{"PROCESSING_TIMEOUT": "600\\u2028LD_PRELOAD=/tmp/x.so"}',
        '{"PROCESSING_TIMEOUT": "99999"}',
        '{"LOG_LEVEL": "/etc/shadow"}',
        "[" * 10000,
        '{"LOG_LEVEL": "DEBUG"}' + " " * 20000000,
        "",
    ],
    ids=lambda given: given[:30],
)
def test_only_what_root_allows_can_be_set(host: Host, given: str) -> None:
    assert host.user(SET, stdin='{"LOG_LEVEL": "INFO"}').returncode == 0
    before = host.root(f"cat {WRITTEN}")
    host.root("cat >/tmp/given; chmod 0644 /tmp/given", given)
    refused = host.user(f"{SET} </tmp/given")
    assert refused.returncode == 1
    assert refused.stderr.startswith("nothing is set: ")
    assert host.root(f"cat {WRITTEN}") == before
    assert host.root(f"sed 1d {WRITTEN}") == "LOG_LEVEL=INFO"


def test_the_file_is_whole_at_each_moment(host: Host) -> None:
    """Two callers at once, one of them with limits that end each write, and a reader."""
    either = [{"LOG_LEVEL": "DEBUG"}, {"LOG_LEVEL": "INFO", "PROCESSING_TIMEOUT": "600"}]
    assert host.user(SET, stdin=json.dumps(either[0])).returncode == 0
    writers = "".join(
        f"(for n in $(seq 20); do echo '{json.dumps(one)}' | {SET}; done) & "
        f"(ulimit -f 0; for n in $(seq 10); do echo '{json.dumps(one)}' | {SET} 2>/dev/null; done) & "
        for one in either
    )
    reader = f"while [ -n \"$(jobs -r)\" ]; do sed 1d {WRITTEN} | tr '\\n' ' '; echo; done >s; sort -u s"
    seen = host.user(f"bash -c {shlex.quote(writers + reader)}").stdout.splitlines()
    assert sorted(line.strip() for line in seen) == ["LOG_LEVEL=DEBUG", "LOG_LEVEL=INFO PROCESSING_TIMEOUT=600"]


def test_the_service_gets_what_is_allowed(host: Host) -> None:
    assert host.user(SET, stdin='{"LOG_LEVEL": "DEBUG"}').returncode == 0
    assert host.user(f"cat {WRITTEN}").stdout.endswith("\nLOG_LEVEL=DEBUG\n")
    host.user(f"sudo -n /usr/bin/systemctl restart {UNIT}")
    assert "LOG_LEVEL=DEBUG" in host.root(f"tr '\\0' '\\n' </proc/$(systemctl show -p MainPID --value {UNIT})/environ")
