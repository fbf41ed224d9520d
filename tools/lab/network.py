"""A lab's own network: a bridge with a subnet of 10.213.0.0/16, let out through this machine's address."""

from __future__ import annotations

import hashlib
import json
import shlex
from ipaddress import IPv4Network
from pathlib import Path

from .system import LabError, locked, run

FORWARD = Path("/proc/sys/net/ipv4/ip_forward")
PREFIX = "mops"


class Network:
    """One lab's bridge and firewall rules. Both carry a mark made of the lab's name, which proves whose they are."""

    def __init__(self, lab: str, shared: Path) -> None:
        digest = hashlib.sha256(lab.encode()).hexdigest()
        self._hardware_address = "02:" + ":".join(digest[i : i + 2] for i in range(0, 10, 2))
        self._comment = f"media_ops-lab-{lab}"
        self._lock = shared / "network.lock"
        self._forward_before = shared / "ip_forward"

    def up(self) -> tuple[str, IPv4Network]:
        """Make the bridge on the first subnet that nothing uses; return its name and subnet."""
        with locked(self._lock):
            routes = run(["ip", "-4", "route"])
            taken = {link["ifname"] for link in _links()}
            for third in range(255):
                bridge, subnet = f"{PREFIX}{third}", IPv4Network(f"10.213.{third}.0/24")
                if bridge not in taken and str(subnet) not in routes:
                    break
            else:
                raise LabError("no subnet of 10.213.0.0/16 is free")
            run(["ip", "link", "add", bridge, "address", self._hardware_address, "type", "bridge"])
            run(["ip", "address", "add", f"{subnet[1]}/24", "dev", bridge])
            run(["ip", "link", "set", bridge, "up"])
            self._rule("nat", "-A", "POSTROUTING", "-s", str(subnet), "!", "-d", str(subnet), "-j", "MASQUERADE")
            # Machines that run a container engine drop what they forward.
            self._rule("filter", "-I", "FORWARD", "-i", bridge, "-j", "ACCEPT")
            self._rule("filter", "-I", "FORWARD", "-o", bridge, "-j", "ACCEPT")
            if FORWARD.read_text(encoding="ascii").strip() == "0":
                self._forward_before.touch()
                FORWARD.write_text("1", encoding="ascii")
            return bridge, subnet

    def down(self) -> None:
        """Take away the lab's bridge and rules, also those of a run that was cut short."""
        with locked(self._lock):
            for table in ("nat", "filter"):
                for line in run(["iptables", "-w", "10", "-t", table, "-S"]).splitlines():
                    words = shlex.split(line)
                    if self._comment in words:
                        run(["iptables", "-w", "10", "-t", table, "-D", *words[1:]])
            for link in _links():
                if link.get("address") == self._hardware_address:
                    run(["ip", "link", "delete", link["ifname"]])
            if self._forward_before.exists() and not any(link["ifname"].startswith(PREFIX) for link in _links()):
                FORWARD.write_text("0", encoding="ascii")
                self._forward_before.unlink()

    def _rule(self, table: str, *rule: str) -> None:
        run(["iptables", "-w", "10", "-t", table, *rule, "-m", "comment", "--comment", self._comment])


def _links() -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(run(["ip", "-json", "link", "show"]))
    return found
