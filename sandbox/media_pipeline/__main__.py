# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""python -m media_pipeline [serve | token | feed]."""

from __future__ import annotations

import argparse
import sys

from . import config, feed, tokens
from .config import SettingError


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="media_pipeline", description="The reference media pipeline.")
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("serve", help="run the service (the default)")
    token = commands.add_parser("token", help="print a bearer token")
    token.add_argument("--ttl", type=float, default=3600, metavar="SECONDS", help="how long it holds (default 3600)")
    token.add_argument("--user", default="ops", help="whom it names (default ops)")
    feed.add_arguments(commands.add_parser("feed", help="make real clips and post jobs"))
    arguments = parser.parse_args()
    try:
        if arguments.command == "token":
            print(tokens.make(config.jwt_secret(), arguments.ttl, arguments.user))
            return 0
        if arguments.command == "feed":
            return feed.run(arguments, config.load())
        from .service import serve

        serve(config.load())
    except SettingError as error:
        print(f"media_pipeline: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
