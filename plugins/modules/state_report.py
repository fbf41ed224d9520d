#!/usr/bin/python
# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: state_report
short_description: Keep a dated JSON document in the host's state directory
version_added: 0.1.0
author:
  - media_ops.runbook contributors (@media-ops)
description:
  - Writes O(content) to O(state_dir)C(/NAME_DATE.json), and removes the oldest documents of that name beyond O(keep).
  - The document is written whole or not at all - to a temporary file beside it, which is synchronised to disk and
    renamed. When that fails, the module fails, the document of before is untouched, and the temporary file is gone.
  - A document with the same content is left alone.
  - Written by root, it is given to the owner and group of O(state_dir).
extends_documentation_fragment:
  - media_ops.runbook.action
attributes:
  diff_mode:
    support: full
options:
  name:
    description:
      - Name of the report, a lower case letter and then lower case letters, digits and C(_), 64 characters at most.
    type: str
    required: true
  date:
    description:
      - Its day, as C(YYYYMMDD) or C(YYYY-MM-DD).
      - By default today in UTC, by the clock of the host.
    type: str
  content:
    description: The document, a dictionary or a list.
    type: raw
    required: true
  state_dir:
    description:
      - The directory, an absolute path other than C(/).
      - Refused where it is a symbolic link, where everybody may write in it without the sticky bit, and where it
        belongs to a user who is neither root nor the one who runs the module. Root may use a directory of any user.
    type: path
    required: true
  create:
    description: Make O(state_dir) with mode 0750 where it does not exist. Its parent must exist.
    type: bool
    default: false
  keep:
    description:
      - How many documents of this name to keep, 1 or more, the one written now included. The newest by the date in the
        file name are kept, and the one written now in any case.
    type: int
    default: 40
  volatile:
    description:
      - Keys that do not count when the document is compared with the one that is there, as the time it was made. A dot
        leads into a dictionary, or into the dictionaries of a list.
      - Where nothing else differs, the document stays as it is, with the old values of these keys.
    type: list
    elements: str
    default: []
  mode:
    description: Mode of the file.
    type: str
    choices: ["0600", "0640"]
    default: "0640"
  max_bytes:
    description: Refuse a document larger than this, in bytes of its JSON, 1024 to 104857600.
    type: int
    default: 5242880
seealso:
  - ref: media_ops.runbook.healthcheck role <ansible_collections.media_ops.runbook.healthcheck_role>
    description: Its entry point for the evening keeps the day's figures by this module.
"""

EXAMPLES = r"""
- name: Keep the day's figures on the host
  media_ops.runbook.state_report:
    name: daily_report
    state_dir: /var/lib/media-ops
    content:
      generated_at: "{{ now(utc=true, fmt='%Y-%m-%dT%H:%M:%SZ') }}"
      stats: "{{ pipeline.endpoints.stats.data }}"
    volatile: [generated_at, stats.generated_at]

- name: Keep a weekly report for a year
  media_ops.runbook.state_report:
    name: weekly_report
    date: "2026-11-20"
    state_dir: /var/lib/media-ops
    keep: 53
    content: "{{ week }}"
"""

RETURN = r"""
path:
  description: The document.
  returned: success
  type: str
  sample: /var/lib/media-ops/daily_report_20261124.json
bytes:
  description: Its size.
  returned: success
  type: int
  sample: 3411
created_dir:
  description: Whether O(state_dir) was made.
  returned: success
  type: bool
removed:
  description: Documents of the same name that were removed, oldest first. In check mode, that would be.
  returned: success
  type: list
  elements: str
  sample: [/var/lib/media-ops/daily_report_20261015.json]
kept:
  description: Number of documents of this name that are there now, this one included.
  returned: success
  type: int
  sample: 40
errno:
  description: Number of the system's error.
  returned: when the document could not be written
  type: int
  sample: 28
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.errors import run_module
from ..module_utils.state.state_report import state_report


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "date": {"type": "str"},
            "content": {"type": "raw", "required": True},
            "state_dir": {"type": "path", "required": True},
            "create": {"type": "bool", "default": False},
            "keep": {"type": "int", "default": 40},
            "volatile": {"type": "list", "elements": "str", "default": []},
            "mode": {"type": "str", "choices": ["0600", "0640"], "default": "0640"},
            "max_bytes": {"type": "int", "default": 5242880},
        },
        supports_check_mode=True,
    )
    run_module(module, lambda: state_report(module.params, check_mode=module.check_mode, diff=module._diff))


if __name__ == "__main__":
    main()
