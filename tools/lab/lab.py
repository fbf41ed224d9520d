"""One lab: its hosts, from their disks to the answer of their sshd."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from . import image as images
from .network import Network
from .system import Group, LabError, locked, mount_bind, mount_overlay, run, unmount_below

RUN = Path("/run/media-ops-lab")
USER = "ops"
BOOT_LIMIT_S = 60.0
# Where a service keeps its data: on this machine's own file system. Below an overlay a file may be open by another path
# than its own, so that the kernel's word for "nobody has it open" proves nothing there.
DATA = ("srv", "backup")
NETWORK = """[Match]
Name=host0
[Network]
Address={address}/24
Gateway={gateway}
LinkLocalAddressing=no
IPv6AcceptRA=no
"""
SSH_CONFIG = """IdentityFile {run_dir}/id_ed25519
IdentitiesOnly yes
UserKnownHostsFile {run_dir}/known_hosts
GlobalKnownHostsFile none
StrictHostKeyChecking yes
ConnectTimeout 5
LogLevel ERROR
"""
# Joins its control groups (the paths before "--") first: at no moment is a host's process in none of them.
LAUNCH = 'while [ "$1" != -- ]; do echo $$ >"$1" || exit; shift; done; shift; exec setsid --fork "$@"'


@dataclass(frozen=True)
class Host:
    """A host of a lab; `disk` has what was written to it, `root` is its file system as this machine sees it."""

    name: str
    address: str
    machine: str
    disk: Path

    @property
    def root(self) -> Path:
        """The mounted root file system."""
        return self.disk / "root"


class Lab:
    """A lab by its name. What it consists of is on record in /run, so that any process can go on with it."""

    def __init__(self, name: str) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9-]{0,30}", name):
            raise LabError(f"lab name {name!r}: must be 1 to 31 of a-z, 0-9 and -, a letter first")
        self.name = name
        self.run_dir = RUN / name
        self.ssh_config = self.run_dir / "ssh_config"
        self._state = self.run_dir / "state.json"
        self._lock = RUN / f"{name}.lock"
        self._network = Network(name, RUN)

    @property
    def hosts(self) -> dict[str, Host]:
        """The lab's hosts by name; none when it is down."""
        return {host["name"]: Host(**{**host, "disk": Path(host["disk"])}) for host in self._read()["hosts"]}

    def up(self, names: Sequence[str], image: str = "media") -> bool:
        """Boot the hosts and wait for their sshd; say whether that changed anything."""
        names = list(names)
        for name in names:
            if not re.fullmatch(r"[a-z][a-z0-9-]{0,20}", name):
                raise LabError(f"host name {name!r}: must be 1 to 21 of a-z, 0-9 and -, a letter first")
        if not 1 <= len(names) <= 200 or len(set(names)) != len(names):
            raise LabError(f"hosts {', '.join(names)}: must be 1 to 200 different names")
        lower = images.layers(image)
        with locked(self._lock):
            if self._is_up(names, image):
                return False
            self._down()
            try:
                self._up(names, image, lower)
            except BaseException:
                self._down()
                raise
        return True

    def down(self) -> bool:
        """End everything of the lab, also what a run that was cut short has left; say whether there was anything."""
        with locked(self._lock):
            there = self._state.exists()
            self._down()
            self._lock.unlink()
        return there

    def inventory(self) -> dict[str, Any]:
        """Return an Ansible inventory: the hosts in group media_hosts, as a user who may do everything with sudo."""
        if not self._state.exists():
            raise LabError(f"lab {self.name} is not up")
        connection = {
            "ansible_user": USER,
            "ansible_ssh_private_key_file": str(self.run_dir / "id_ed25519"),
            "ansible_ssh_common_args": f"-F {self.ssh_config} -o ControlPath={self.run_dir}/%r@%h",
            "ansible_python_interpreter": "/usr/bin/python3",
            "lab_public_key": (self.run_dir / "id_ed25519.pub").read_text(encoding="ascii").strip(),
        }
        hosts = {host.name: {"ansible_host": host.address} for host in self.hosts.values()}
        return {"all": {"children": {"media_hosts": {"hosts": hosts, "vars": connection}}}}

    def exec(
        self, name: str, command: Sequence[str], *, stdin: str = "", check: bool = True, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as root in a host, by its namespaces: no sshd or Python is needed in it."""
        leader = self.leader(self._host(name))
        if not leader:
            raise LabError(f"host {name} of lab {self.name} does not run")
        environment = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8"]
        inside = [*environment, "timeout", "-k", "5", f"{timeout:g}", *command]
        done = subprocess.run(
            ["nsenter", f"--target={leader}", "--all", "--root", "--wd", "--", *inside],
            input=stdin, capture_output=True, text=True, timeout=timeout + 10, check=False,
        )  # fmt: skip
        if check and done.returncode != 0:
            said = (done.stderr or done.stdout).strip()[-2000:]
            raise LabError(f"{name}: {' '.join(command)}: exit code {done.returncode}: {said}")
        return done

    def leader(self, host: Host) -> int:
        """Return the pid of the host's init; 0 when it does not run."""
        return next(iter(self._group(host).pids("payload/init.scope")), 0)

    def stop(self, name: str) -> None:
        """Cut a host's power: it is gone at once, its disk stays."""
        self._group(self._host(name)).end()

    def start(self, name: str) -> None:
        """Boot a host that was stopped, and wait for its sshd."""
        host = self._host(name)
        if not self.leader(host):
            self._launch(host, self._read()["bridge"])
        self._wait(host, time.monotonic() + BOOT_LIMIT_S)

    def _read(self) -> dict[str, Any]:
        try:
            state: dict[str, Any] = json.loads(self._state.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {"image": "", "bridge": "", "disks": "", "hosts": []}
        return state

    def _write(self, **state: Any) -> None:
        partial = self._state.with_suffix(".new")
        partial.write_text(json.dumps(state), encoding="utf-8")
        partial.replace(self._state)

    def _host(self, name: str) -> Host:
        try:
            return self.hosts[name]
        except KeyError:
            raise LabError(f"host {name!r}: lab {self.name} has {', '.join(self.hosts) or 'no hosts'}") from None

    def _is_up(self, names: list[str], image: str) -> bool:
        hosts = self.hosts
        return list(hosts) == names and self._read()["image"] == image and all(map(self._answers, hosts.values()))

    def _up(self, names: list[str], image: str, lower: list[Path]) -> None:
        shutil.rmtree(self.run_dir, ignore_errors=True)
        self.run_dir.mkdir(parents=True, mode=0o700)
        disks = images.cache_dir() / "hosts" / self.name
        self._write(image=image, bridge="", disks=str(disks), hosts=[])
        unmount_below(disks)
        shutil.rmtree(disks, ignore_errors=True)
        bridge, subnet = self._network.up()
        hosts = [
            Host(name, str(subnet[10 + number]), f"{self.name}-{name}", disks / name)
            for number, name in enumerate(names, 1)
        ]
        state = [{**asdict(host), "disk": str(host.disk)} for host in hosts]
        self._write(image=image, bridge=bridge, disks=str(disks), hosts=state)
        self._make_key(self.run_dir / "id_ed25519", f"lab {self.name}")
        self.ssh_config.write_text(
            "".join(f"Host {host.name}\n  HostName {host.address}\n  User {USER}\n" for host in hosts)
            + "Host *\n" + SSH_CONFIG.format(run_dir=self.run_dir), encoding="utf-8",
        )  # fmt: skip
        for host in hosts:
            self._furnish(host, lower, gateway=str(subnet[1]), others=hosts)
        for host in hosts:
            self._launch(host, bridge)
        deadline = time.monotonic() + BOOT_LIMIT_S
        with ThreadPoolExecutor(len(hosts)) as pool:
            list(pool.map(lambda host: self._wait(host, deadline), hosts))

    def _down(self) -> None:
        disks = {str(images.cache_dir() / "hosts" / self.name), self._read()["disks"]} - {""}
        for socket in self.run_dir.glob("*@*"):
            run(["ssh", "-F", "none", "-S", str(socket), "-O", "exit", "lab"], check=False)
        Group(self.name).end()
        for directory in map(Path, disks):
            unmount_below(directory)
            shutil.rmtree(directory, ignore_errors=True)
        self._network.down()
        shutil.rmtree(self.run_dir, ignore_errors=True)

    @staticmethod
    def _make_key(path: Path, comment: str) -> str:
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)])
        return path.with_suffix(".pub").read_text(encoding="ascii").strip()

    def _furnish(self, host: Host, lower: list[Path], gateway: str, others: list[Host]) -> None:
        """Mount a host's disk and write what makes it this host."""
        mount_overlay(lower, host.disk / "upper", host.disk / "work", host.root)
        for name in DATA:
            mount_bind(host.disk / "data" / name, host.root / name)
        etc = host.root / "etc"
        (etc / "hostname").write_text(f"{host.name}\n", encoding="ascii")
        (etc / "machine-id").write_text(f"{uuid.uuid4().hex}\n", encoding="ascii")
        network = etc / "systemd/network/10-host0.network"
        network.write_text(NETWORK.format(address=host.address, gateway=gateway), encoding="ascii")
        network.chmod(0o644)
        shutil.copy("/etc/resolv.conf", etc / "resolv.conf")
        names = "".join(f"{other.address} {other.name}\n" for other in others)
        (etc / "hosts").write_text(Path("/etc/hosts").read_text(encoding="utf-8") + names, encoding="utf-8")
        public = self._make_key(etc / "ssh/ssh_host_ed25519_key", host.name)
        with (self.run_dir / "known_hosts").open("a", encoding="ascii") as known:
            known.write(f"{host.name},{host.address} {public}\n")
        keys = host.root / "home" / USER / ".ssh/authorized_keys"
        keys.parent.mkdir(mode=0o700)
        shutil.copy(self.run_dir / "id_ed25519.pub", keys)
        owner = keys.parent.parent.stat()
        for path in (keys.parent, keys):
            shutil.chown(path, owner.st_uid, owner.st_gid)

    def _launch(self, host: Host, bridge: str) -> None:
        command = [
            "systemd-nspawn", "-q", "-D", str(host.root), f"--machine={host.machine}", "--boot",
            f"--network-bridge={bridge}", "--register=no", "--keep-unit", "--link-journal=no", "--resolv-conf=off",
            "--console=pipe",
        ]  # fmt: skip
        join = map(str, self._group(host).make())
        with (self.run_dir / f"{host.name}.console").open("ab") as console:
            subprocess.run(
                ["sh", "-c", LAUNCH, "sh", *join, "--", *command],
                stdin=subprocess.DEVNULL, stdout=console, stderr=subprocess.STDOUT, cwd="/", check=True, timeout=30,
            )  # fmt: skip

    def _group(self, host: Host) -> Group:
        return Group(f"{self.name}/{host.name}")

    def _answers(self, host: Host) -> bool:
        return self._ssh(host, "true").returncode == 0

    def _ssh(self, host: Host, command: str, timeout: float = 10) -> subprocess.CompletedProcess[str]:
        ssh = ["ssh", "-F", str(self.ssh_config), "-o", "ControlPath=none", "-o", "BatchMode=yes", host.name, command]
        try:
            return subprocess.run(
                ssh, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False
            )
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(ssh, 255, "", f"no answer within {timeout:g} s")

    def _wait(self, host: Host, deadline: float) -> None:
        """Wait until the host has booted: every unit started, and sshd lets its user in."""
        while True:
            done = self._ssh(host, "systemctl is-system-running --wait", max(5.0, deadline - time.monotonic()))
            if done.returncode == 0:
                return
            if done.stdout.strip() == "degraded":
                failed = self._ssh(host, "systemctl --failed --plain --no-legend").stdout.strip()
                raise LabError(f"host {host.name} has booted with failed units: {failed}")
            console = (self.run_dir / f"{host.name}.console").read_text(encoding="utf-8", errors="replace")[-1000:]
            if not self._group(host).pids():
                raise LabError(f"host {host.name} has ended: {console}")
            if time.monotonic() > deadline:
                raise LabError(
                    f"host {host.name} is not up within {BOOT_LIMIT_S:g} s: "
                    f"{(done.stdout + done.stderr).strip()}; its console: {console}"
                )
            time.sleep(0.2)
