#!/usr/bin/python
# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: package_repair
short_description: Reinstall the packages that are broken, where that mends the service's ffmpeg
version_added: 0.1.0
author:
  - media_ops.runbook contributors (@media-ops)
description:
  - Looks at the service's ffmpeg as M(media_ops.runbook.ffmpeg_info) does. Where the reinstallation of packages mends
    what is wrong, it reinstalls exactly those. Where it does not, nothing is planned, and RV(msg) says why.
  - The repair is a success only when the service's ffmpeg encodes afterwards; apt's exit code proves nothing. Else the
    module fails, with what apt said.
  - Where dpkg was interrupted, it is first let finish. Where apt has no file of the package, its lists are updated.
  - While someone else uses apt it waits, for 60 seconds at most, then fails and says who. Where ffmpeg works after the
    wait, nothing is done.
  - Has C(apt-get) and C(dpkg) run by a program of root's that role P(media_ops.runbook.prepare#role) installs, through
    C(sudo) with the arguments that it allows, to the letter. A package that is not among them is refused before
    anything is done. Configuration files that were changed on the host stay.
  - ffmpeg processes that run go on undisturbed. A newer version that apt has is installed instead of the same one;
    no package is ever removed.
extends_documentation_fragment:
  - media_ops.runbook.action
  - media_ops.runbook.process
  - media_ops.runbook.ffmpeg
attributes:
  check_mode:
    support: full
    details: Makes the same plan, and does nothing.
  platform:
    platforms: debian
options:
  plan_hash:
    description: The approved plan's RV(hash). The module fails, and does nothing, where the plan made anew is another.
    type: str
  repair_timeout:
    description:
      - Seconds that one command of apt or dpkg may take, 60 to 7200. One that takes longer is left running, since
        ending it would do harm, and the module fails.
    type: float
    default: 900
seealso:
  - module: media_ops.runbook.ffmpeg_info
"""

EXAMPLES = r"""
- name: What would mend ffmpeg?
  media_ops.runbook.package_repair:
  check_mode: true
  register: repair

- name: Do that, and only that
  media_ops.runbook.package_repair:
    plan_hash: "{{ repair.hash }}"
"""

RETURN = r"""
state:
  description: The class of fault that ffmpeg has now, as M(media_ops.runbook.ffmpeg_info) names it.
  type: str
  returned: success, and failure after the plan was made
reason:
  description: What is wrong with ffmpeg now, in one line. Empty when RV(state) is V(ok).
  type: str
  returned: success, and failure after the plan was made
plan:
  description:
    - What is to be done, in order, with C(action) (V(configure) or V(reinstall)), C(target), C(why), C(steps),
      C(stable) (C(command), C(package), C(version)), C(proof), C(result) (V(planned), V(done), V(skipped) or V(failed))
      and C(msg).
  type: list
  elements: dict
  returned: success, and failure after the plan was made
hash:
  description: 12 hex digits over RV(plan).
  type: str
  returned: success, and failure after the plan was made
before:
  description: How ffmpeg was, as M(media_ops.runbook.ffmpeg_info) returns it.
  type: dict
  returned: success, and failure after the plan was made
after:
  description: How it is now, likewise. Null where nothing was done.
  type: dict
  returned: success, and failure after the plan was made
refusals:
  description: Why the user may not carry the plan out, in lines for people.
  type: list
  elements: str
  returned: success, and failure after the plan was made
locked_by:
  description: Who used apt when the plan was made, or an empty text.
  type: str
  returned: success, and failure after the plan was made
  sample: pid 222 (apt-get upgrade) holds /var/lib/dpkg/lock-frontend
msg:
  description: What was done, or why nothing is, in one line.
  type: str
  returned: success, and failure after the plan was made
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.errors import run_module
from ..module_utils.ffmpeg.package_repair import package_repair
from ..module_utils.ffmpeg.probe import ffmpeg_argument_spec

# runbook: P0-3F


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **ffmpeg_argument_spec(),
            "plan_hash": {"type": "str"},
            "repair_timeout": {"type": "float", "default": 900},
        },
        supports_check_mode=True,
    )
    run_module(module, lambda: package_repair(module.params, check_mode=module.check_mode))


if __name__ == "__main__":
    main()
