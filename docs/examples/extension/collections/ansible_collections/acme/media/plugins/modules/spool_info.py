# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tell what lies in a spool of jobs. An example of a module that a site adds: it looks, and changes nothing."""

from __future__ import annotations

DOCUMENTATION = r"""
module: spool_info
short_description: Tell what lies in a spool of jobs
description:
  - Counts the jobs of a directory, those that wait (C(NAME.job)) and those that failed (C(NAME.job.failed)).
author: Acme
options:
  path:
    description: The directory.
    type: path
    required: true
attributes:
  check_mode:
    support: full
"""

# No more than this is taken of an answer, and only with these types.
RETURN = r"""
waiting:
  description: How many jobs wait.
  type: int
  returned: success
failed_jobs:
  description: How many jobs failed.
  type: int
  returned: success
state:
  description: C(ok), or C(failing) where jobs failed.
  type: str
  returned: success
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    """Count what is there; a directory that cannot be read is a failure, and not a spool without jobs."""
    module = AnsibleModule({"path": {"type": "path", "required": True}}, supports_check_mode=True)
    try:
        names = [path.name for path in Path(module.params["path"]).iterdir()]
    except OSError as error:
        module.fail_json(msg=f"{module.params['path']}: {error.strerror}")
    failed = sum(name.endswith(".job.failed") for name in names)
    waiting = sum(name.endswith(".job") for name in names)
    module.exit_json(waiting=waiting, failed_jobs=failed, state="failing" if failed else "ok")


if __name__ == "__main__":
    main()
