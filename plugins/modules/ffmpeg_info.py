#!/usr/bin/python
# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ffmpeg_info
short_description: Whether the ffmpeg that the service finds really works, and what is broken if not
version_added: 0.1.0
author:
  - media_ops.runbook contributors (@media-ops)
description:
  - Finds the ffmpeg that a start by name finds on the service's E(PATH), encodes a second of picture and sound with it
    as the service's user, and decodes that again. What C(ffmpeg -version) and the list of codecs say proves little.
  - The files are written to a directory of the service's user that is gone afterwards. Nothing else is changed.
  - Where it does not work, RV(state) is the class of fault, and RV(broken_packages) are the packages whose
    reinstallation mends it. That of ffmpeg does not mend a broken library.
  - What is found is a value. The module fails for misuse only.
extends_documentation_fragment:
  - media_ops.runbook.action
  - media_ops.runbook.process
  - media_ops.runbook.ffmpeg
attributes:
  platform:
    platforms: debian
seealso:
  - module: media_ops.runbook.package_repair
"""

EXAMPLES = r"""
- name: Does the service's ffmpeg work?
  media_ops.runbook.ffmpeg_info:
  register: ffmpeg

- name: Say what is wrong with it
  ansible.builtin.debug:
    msg: "{{ ffmpeg.state }}: {{ ffmpeg.reason }}"
  when: ffmpeg.state != 'ok'
"""

RETURN = r"""
state:
  description:
    - V(ok), or the class of fault.
    - V(missing) - there is none on the service's E(PATH).
    - V(not_executable) - the service's user may not run it.
    - V(broken_binary) - the program itself is damaged.
    - V(broken_library) - a shared library that it needs is damaged, or gone.
    - V(shadowed) - one that no package owns is broken, and comes before the package's, which works.
    - V(codec_missing) - it runs, and lacks an encoder, decoder or format.
    - V(no_device) - it runs, and an encoder of hardware has no device, or may not use it. No package cures that.
    - Where ffmpeg works and C(ffprobe) does not, it is the class of C(ffprobe)'s fault, and RV(reason) says so.
    - V(hangs) - it was still running after O(timeout).
    - V(failed) - it runs and fails for another reason, such as a full disk.
    - V(unknown) - nothing could be tried.
  type: str
  returned: success
reason:
  description: What is wrong, in one line. Empty when RV(state) is V(ok).
  type: str
  returned: success
binary:
  description: The ffmpeg that was tried. Null when there is none.
  type: str
  returned: success
ffprobe:
  description: The ffprobe that was tried. Null when there is none, or O(ffprobe) is false.
  type: str
  returned: success
version:
  description: Its version, as it says itself. Null when it does not.
  type: str
  returned: success
  sample: 5.1.9-0+deb12u1
mode:
  description: Its mode, octal.
  type: str
  returned: success
  sample: "0755"
owner:
  description: Its owner and group.
  type: str
  returned: success
  sample: root:root
changed_at:
  description:
    - When it, or a package that it needs, was last put in place. UTC. Null where it does not work, or that cannot be
      seen. A service that looked for ffmpeg before that may go on as if there was none.
  type: str
  returned: success
  sample: "2026-11-24T05:58:11Z"
candidates:
  description:
    - Every ffmpeg on the service's E(PATH), in its order, at most 20, each with C(path), C(target) (where links lead
      to), C(mode), C(owner), C(executable) for the service's user, and C(package) (null when no package owns it).
  type: list
  elements: dict
  returned: success
candidate_count:
  description: How many there are.
  type: int
  returned: success
package:
  description:
    - The package that owns it, or O(package) when there is none, with C(name), C(version) and dpkg's C(state). Null
      when it is not installed.
  type: dict
  returned: success
  sample: {name: ffmpeg, version: "7:5.1.9-0+deb12u1", state: ii}
broken_packages:
  description: The packages whose reinstallation mends it.
  type: list
  elements: str
  returned: success
  sample: [libavcodec59]
reinstall_cures:
  description: Whether the reinstallation of RV(broken_packages) can be expected to mend it.
  type: bool
  returned: success
libraries:
  description: Libraries that are wrong, at most 20, each with C(name), C(path), C(package) (or null) and C(fault).
  type: list
  elements: dict
  returned: success
checks:
  description:
    - What was tried, each with C(check), C(path), C(ok), C(rc) (null when it was ended), C(msg) and C(seconds).
  type: list
  elements: dict
  returned: success
path_env:
  description: The service's E(PATH).
  type: str
  returned: success
path_source:
  description: Where that is from, V(process), V(unit), V(option) (O(path_env)) or V(default) (systemd's).
  type: str
  returned: success
path_of_unit:
  description:
    - The E(PATH) that the unit says, where the running service has another, which is the one that counts until it is
      started anew. Null where they are the same, or one of them is not known.
  type: str
  returned: success
user:
  description: The user that everything was tried as.
  type: str
  returned: success
dpkg_interrupted:
  description: Packages that dpkg was cut short at, at most 20. While dpkg runs, those that it works on.
  type: list
  elements: str
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.errors import run_module
from ..module_utils.ffmpeg.ffmpeg_info import ffmpeg_info
from ..module_utils.ffmpeg.probe import ffmpeg_argument_spec, wanted

# runbook: P0-3D, P0-3E, P1-2A, P1-2C


def main() -> None:
    module = AnsibleModule(argument_spec=ffmpeg_argument_spec(), supports_check_mode=True)
    run_module(module, lambda: {"changed": False, **ffmpeg_info(wanted(module.params))})


if __name__ == "__main__":
    main()
