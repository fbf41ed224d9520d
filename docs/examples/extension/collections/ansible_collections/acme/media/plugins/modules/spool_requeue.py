# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Put failed jobs of a spool back. An example of a module that carries a rung out: it plans in check mode."""

from __future__ import annotations

DOCUMENTATION = r"""
module: spool_requeue
short_description: Put failed jobs of a spool back
description:
  - Renames C(NAME.job.failed) to C(NAME.job). In check mode it gives the plan, and changes nothing.
author: Acme
options:
  path:
    description: The directory.
    type: path
    required: true
  plan_hash:
    description: Hash of the plan that was approved. Where the plan made anew has another one, nothing is done.
    type: str
attributes:
  check_mode:
    support: full
"""

RETURN = r"""
plan:
  description: What would be done, or was, one action for each job.
  type: list
  elements: dict
  returned: always
hash:
  description: Hash of the plan.
  type: str
  returned: always
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.media_ops.runbook.plugins.module_utils.errors import MediaOpsError
from ansible_collections.media_ops.runbook.plugins.module_utils.plan import plan_hash, planned, require_hash


def main() -> None:
    """Plan anew, compare with what was approved, and act."""
    spec = {"path": {"type": "path", "required": True}, "plan_hash": {"type": "str"}}
    module = AnsibleModule(spec, supports_check_mode=True)
    spool = Path(module.params["path"])
    try:
        failed = sorted(str(path) for path in spool.iterdir() if path.name.endswith(".job.failed"))
    except OSError as error:
        module.fail_json(msg=f"{spool}: {error.strerror}")
    plan = [planned("requeue", path, "it failed", [], stable={"path": path}) for path in failed]
    try:
        require_hash(plan, module.params["plan_hash"])
    except MediaOpsError as error:
        module.fail_json(msg=str(error), **error.details)
    for action in [] if module.check_mode else plan:
        try:
            # A link, unlike a rename, never takes the place of a job that is there.
            path = Path(action["target"])
            path.with_suffix("").hardlink_to(path)
            path.unlink()
            action["result"] = "done"
        except OSError as error:
            action.update(result="failed", msg=error.strerror)
    module.exit_json(changed=bool(plan), plan=plan, hash=plan_hash(plan))


if __name__ == "__main__":
    main()
