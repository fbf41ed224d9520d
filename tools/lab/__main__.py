"""python -m tools.lab up | down | inventory | exec | ssh: hosts for tests."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys

from .lab import Lab
from .system import LabError, missing_reason


def host_names(text: str) -> list[str]:
    """Return host names: of "3" media1 to media3, else the names given, separated by commas."""
    return [f"media{number}" for number in range(1, int(text) + 1)] if text.isdecimal() else text.split(",")


def arguments(argv: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.lab", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    def command(name: str, text: str) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=text, description=text)
        one.add_argument("--name", default="lab", help="which lab (default: lab); several can be up at once")
        return one

    up = command("up", "Boot hosts and wait for their sshd. A lab that is up already stays as it is.")
    up.add_argument("--hosts", type=host_names, default="3", help="how many, or their names: web1,web2 (default: 3)")
    up.add_argument("--image", choices=("plain", "media"), default="media", help="what is installed (default: media)")
    command("down", "End the hosts and leave nothing of them.")
    command("inventory", "Print an Ansible inventory (JSON, which is YAML).")
    for name, text in (
        ("exec", "Run a command as root in a host, without ssh."),
        ("ssh", "Log in to a host as user ops, or run a command there."),
        ("stop", "Cut a host's power; its disk stays."),
        ("start", "Boot a host that was stopped."),
    ):
        one = command(name, text)
        one.add_argument("host")
        if name in ("exec", "ssh"):
            one.add_argument("argv", nargs=argparse.REMAINDER, metavar="COMMAND")
    return parser.parse_args(argv)


def act(options: argparse.Namespace) -> int:
    """Do what the command line says."""
    if reason := missing_reason():
        raise LabError(reason)
    lab = Lab(options.name)
    match options.command:
        case "up":
            print("changed" if lab.up(options.hosts, options.image) else "ok", flush=True)
        case "down":
            print("changed" if lab.down() else "ok", flush=True)
        case "inventory":
            print(json.dumps(lab.inventory(), indent=2))
        case "exec":
            command = options.argv[1:] if options.argv[:1] == ["--"] else options.argv
            done = lab.exec(options.host, command, check=False, timeout=600)
            sys.stdout.write(done.stdout)
            sys.stderr.write(done.stderr)
            return done.returncode
        case "ssh":
            lab.inventory()  # says so when the lab is not up
            return subprocess.run(["ssh", "-F", lab.ssh_config, options.host, *options.argv], check=False).returncode
        case "stop":
            lab.stop(options.host)
        case "start":
            lab.start(options.host)
    return 0


def main() -> int:
    """Run, with errors as one line."""
    try:
        return act(arguments(sys.argv[1:]))
    except LabError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
