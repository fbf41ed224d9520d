# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""python -m other_service: run it. The settings are those of media_pipeline; its secret is the key of the API."""

from __future__ import annotations

import sys

from media_pipeline import config
from media_pipeline.config import SettingError
from media_pipeline.service import serve

from . import app


def main() -> int:
    """Run the service."""
    try:
        serve(config.load(), make=app.make)
    except SettingError as error:
        print(f"other_service: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
