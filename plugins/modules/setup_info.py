#!/usr/bin/python
# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: setup_info
short_description: What a host has of what the playbooks need, and where its service differs from what is set
version_added: 1.0.0
author:
  - media_ops.runbook contributors (@media-ops)
description:
  - Looks at libraries, sudo, directories, the service's unit and main process, where it listens and logs, the fields of
    its logs, and the file systems. Judges nothing, M(media_ops.runbook.check_setup) does.
  - Needs the standard library of Python alone, so that it works before
    P(media_ops.runbook.prepare#role) has been there. Changes nothing, and sends no token anywhere.
  - What cannot be seen is a value with its reason. The module fails only for options that cannot be right.
extends_documentation_fragment:
  - media_ops.runbook.action
attributes:
  platform:
    platforms: linux
options:
  unit:
    description: Name of the service's systemd unit, empty where it has none.
    type: str
    default: media-processing-service
  process:
    description:
      - What tells the main process of a service without a unit, as
        option O(media_ops.runbook.service_control#module:process).
    type: dict
  restart_command:
    description: What restarts a service without a unit, as in M(media_ops.runbook.service_control).
    type: list
    elements: str
    default: []
  restart_as_root:
    description: Whether root runs O(restart_command).
    type: bool
    default: false
  service_user:
    description: The user that the service runs as.
    type: str
    default: media
  service_become:
    description: Whether modules that work in the service's files become O(service_user).
    type: bool
    default: true
  base_dir:
    description: The service's own directory.
    type: path
    required: true
  log_dir:
    description: Where it logs.
    type: path
    required: true
  state_dir:
    description: Where automation keeps what it keeps.
    type: path
    required: true
  directories:
    description: Further directories, at most 40, that are read or deleted in.
    type: list
    elements: path
    default: []
  disk_paths:
    description: Paths whose file systems are looked at, at most 40.
    type: list
    elements: path
    default: [/]
  libraries:
    description: Python libraries that other modules need.
    type: list
    elements: str
    default: []
  api_url:
    description: Address of the monitoring API. Asked for its health, without a token, where it is of this host.
    type: str
    required: true
  health_path:
    description: Path below O(api_url) that is asked for.
    type: str
    default: /health
  token_file:
    description: File on the host that holds the API's token.
    type: path
  controller_time:
    description: The controller's time, ISO 8601, for RV(clock_offset_s).
    type: str
"""

EXAMPLES = r"""
- name: See what the host has
  media_ops.runbook.setup_info:
    base_dir: /srv/media-processing
    log_dir: /srv/media-processing/temp/logs
    state_dir: /var/lib/media-ops
    api_url: http://localhost:8000/api/v1/monitoring
    libraries: [psutil, requests]
  register: setup
"""

RETURN = r"""
user:
  description: The user that the module ran as.
  type: str
  returned: success
  sample: media-ops
python:
  description: The version of Python that the module ran with.
  type: str
  returned: success
  sample: 3.11.2
libraries:
  description: By name, the version of each of O(libraries), empty where it cannot be imported.
  type: dict
  returned: success
  sample: {requests: 2.28.1, psutil: ""}
sudo:
  description:
    - C(become) is why this user may not become O(service_user), C(restart) why it may not restart the service, each
      empty where it may.
  type: dict
  returned: success
  sample: {become: "", restart: ""}
state_dir:
  description: C(state) of O(state_dir), V(ok), V(missing) or V(unusable), with C(reason).
  type: dict
  returned: success
  sample: {state: ok, reason: ""}
service_user:
  description: C(name), and whether the host has that user (C(there)).
  type: dict
  returned: success
  sample: {name: media, there: true}
unit:
  description:
    - C(state) is V(there), V(missing) or V(unknown) with C(reason); C(active) is systemd's ActiveState, C(user) and
      C(directory) are what the unit says.
    - C(state) is V(none) of a service without a unit; C(active) is then V(running), V(dead), V(unknown), or V(unset)
      where O(process) tells no process.
  type: dict
  returned: success
  sample: {state: there, reason: loaded, active: active, user: media, directory: /srv/media-processing}
units:
  description:
    - Where O(unit) is not there, at most 8 others that may be the service, each with C(unit) and C(why).
  type: list
  elements: dict
  returned: success
  sample: [{unit: pipeline.service, why: [runs ffmpeg]}]
service:
  description:
    - The service's main process, by its unit, O(process), who works in O(base_dir) and O(log_dir), or who has the API's
      port (C(found_by), V(unit), V(process), V(files) or V(port)).
    - C(pid), C(user), C(directory), C(log_dirs) (where most of the logs are that it has open), C(listens) (C(host),
      C(port), C(path) each), and C(listens_proved), whether these are its own and not only its user's.
    - C(pid) is null where it was not found.
  type: dict
  returned: success
  sample: {pid: 812, user: media, found_by: unit, directory: /srv/media-processing, log_dirs: [], listens: [],
           listens_proved: true}
api:
  description:
    - C(local), whether O(api_url) is of this host; C(port); C(status), of HTTP, of its health, 0 where nothing
      answered, with C(reason); C(answer), V(health), V(denied) (a token is needed), V(other), or empty.
    - C(elsewhere), where the service answers in its place, each with C(host), C(port), C(path), C(status), C(answer).
  type: dict
  returned: success
  sample: {local: true, port: 8000, status: 200, answer: health, reason: "", elsewhere: []}
access:
  description:
    - C(state) of O(token_file), V(there), V(unreadable) with C(reason), or empty.
    - C(ends_at), when the token in it ends, null where it does not say so.
  type: dict
  returned: success
  sample: {state: there, reason: "", ends_at: "2026-12-01T00:00:00Z"}
logs:
  description:
    - C(state) of O(log_dir), V(there), V(missing) or V(unreadable), with C(reason).
    - C(files), the 12 that were written last, each with C(name), C(state), C(reason), C(size), C(written_at), and of
      its last 64 KiB C(lines), C(json_lines), C(fields), C(time_field), C(dated_lines), C(last_at), C(leveled_lines).
  type: dict
  returned: success
  sample: {state: there, reason: "", files: []}
directories:
  description:
    - O(base_dir) and each of O(directories) - C(path), C(state) (V(there), V(missing), V(other), V(unknown)),
      C(reason), C(owner), C(group), C(mode), and whether who deletes there (O(service_user), without
      O(service_become) the own user) C(reads) and C(deletes) there by the mode, null where that user is not known.
  type: list
  elements: dict
  returned: success
service_directories:
  description: The same of what may be the service's own directory, by its process and unit.
  type: list
  elements: dict
  returned: success
disks:
  description: Each file system of O(disk_paths) once, with C(path), C(used_percent) and C(free) in bytes.
  type: list
  elements: dict
  returned: success
  sample: [{path: /, used_percent: 41.5, free: 21474836480}]
clock_offset_s:
  description: By how many seconds the host's clock is ahead of O(controller_time). Null without it.
  type: float
  returned: success
  sample: 0.4
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.errors import run_module
from ..module_utils.setup.setup_info import setup_argument_spec, setup_info


def main() -> None:
    module = AnsibleModule(argument_spec=setup_argument_spec(), supports_check_mode=True)
    run_module(module, lambda: setup_info(module.params))


if __name__ == "__main__":
    main()
