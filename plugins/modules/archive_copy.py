#!/usr/bin/python
# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# runbook: WL-3

from __future__ import annotations

DOCUMENTATION = r"""
module: archive_copy
short_description: Copy archives of logs to an S3 store, and verify the copies by their SHA-256
version_added: 0.1.0
author:
  - media_ops.runbook contributors (@media-ops)
description:
  - Copies the archives that module M(media_ops.runbook.log_archive) makes to an S3 store, each once.
  - A copy is read back from the store whole, and compared with the archive by its SHA-256. Only then it gets a mark, an
    object beside it with C(.sha256) behind its name, as the command C(sha256sum) writes and checks it. A copy without a
    mark, as a run that was ended leaves it, or one that is younger than its mark, is read back by the next run.
  - What is copied is first proved whole, by the SHA-256 that M(media_ops.runbook.log_archive) wrote when it made the
    archive, and again while it is sent. Which archives have a proved copy is written beside that.
  - No object is overwritten but a mark, and none is deleted. Where an archive and the object of its name differ, both
    stay, the action failed, and is told by each run, with which of both has changed, by the SHA-256 that was written
    or by the mark, and how the good one is kept.
  - The archives on the host are only read. They stay, whatever happens, and the next run copies what is missing.
  - Large archives are sent in parts. What was sent of one that cannot be sent to its end is removed from the store, at
    once, or where that fails, and where the run was killed, by the next run, by the id of the upload, which is kept on
    the host from its beginning to its end. Uploads of others are left alone.
  - What is wrong with the store is a value, RV(state), and makes actions that fail. The module fails only for options
    that cannot be right, for a plan that has drifted, for a missing library, and while another run works on
    O(archive_dir).
  - Run it as the service's user (C(become_user)), who alone can read the environment of the running service. Its
    credentials are used, or those of O(environment_file). No secret is shown. They need to be allowed
    C(s3:ListBucket), C(s3:PutObject), C(s3:GetObject) and C(s3:AbortMultipartUpload) below O(prefix).
extends_documentation_fragment:
  - media_ops.runbook.storage
  - media_ops.runbook.action
  - media_ops.runbook.process
attributes:
  check_mode:
    support: full
    details: The store is asked what it has, and the plan is the same.
  platform:
    platforms: linux
options:
  archive_dir:
    description: Directory of the archives, absolute, and not through a symbolic link.
    type: path
    required: true
  bucket:
    description: Bucket of the copies.
    type: str
    required: true
  prefix:
    description:
      - What the names of copies begin with, such as V(log-archives/web1/).
      - Archives of several hosts have the same names. So each host needs a prefix of its own.
    type: str
    required: true
  part_size:
    description:
      - Bytes that are sent in one request, and are in memory at a time, 5242880 (5 MiB) to 1073741824 (1 GiB). An
        archive that has more is sent in parts, which grow where there would be more than 10,000.
    type: int
    default: 16777216
  connect_timeout:
    description: Seconds that a connection may take, 0.05 to 60.
    type: float
    default: 5
  read_timeout:
    description: Seconds of silence that an answer may have, 0.05 to 60.
    type: float
    default: 30
  total_timeout:
    description:
      - Seconds that the store may take for everything, 1 to 86400. What is not copied by then is for the next run.
    type: float
    default: 3600
  plan_hash:
    description: Act only when the plan made anew has this RV(hash). Else the module fails and says what drifted.
    type: str
seealso:
  - module: media_ops.runbook.log_archive
    description: Makes the archives.
  - module: media_ops.runbook.storage_probe
    description: Says in more detail what is wrong with a store.
"""

EXAMPLES = r"""
- name: Copy the archives with the service's own credentials
  media_ops.runbook.archive_copy:
    archive_dir: /backup/logs
    bucket: company-backups
    prefix: log-archives/{{ inventory_hostname }}/
    unit: media-processing-service
  become: true
  become_user: media
  register: copies

- name: Say which have no verified copy
  ansible.builtin.debug:
    msg: "{{ copies.msg }}"
  when: copies.state != 'ok'

- name: Copy them to another store, with credentials that may do nothing else
  media_ops.runbook.archive_copy:
    archive_dir: /backup/logs
    bucket: logs
    prefix: web1/
    environment_file: /etc/media-ops/backup.env
    endpoint_url: https://minio.example.com:9000
"""

RETURN = r"""
state:
  description:
    - V(ok), or what went wrong first. V(damaged), an archive is not any more what was made. V(differing), the store has
      an object with the name of an archive and other content. Else a class of fault, those that
      RV(media_ops.runbook.storage_probe#module:state) has, such as V(refused), V(timeout), V(bad_signature),
      V(no_such_bucket), V(denied_put), V(dropped) or V(throttled).
  type: str
  returned: success
  sample: throttled
msg:
  description: In one line, how many archives have a verified copy, and what went wrong.
  type: str
  returned: success
  sample: "4 of 4 archives have a verified copy in s3://company-backups/log-archives/web1/"
plan:
  description:
    - An action for each archive without a verified copy, with C(action), C(target), C(why), C(steps), C(stable),
      C(proof), C(result) and C(msg). Where the store cannot be asked, one action for all archives, which fails.
    - C(action) is V(copy), V(verify) where the store has the archive and it is to be read back, or V(delete) for what
      was sent by an upload that a run before did not end.
    - C(stable) holds C(kind) (V(missing), V(unverified), V(differing), V(damaged), V(unknown), V(unfinished)), C(to),
      and C(archive) with name, size, SHA-256 and that which was written when it was made, or C(archives); of an upload
      its id. C(proof) holds the C(bytes) of what the store has.
    - After what goes wrong with the store the actions that follow have the C(result) V(skipped).
  type: list
  elements: dict
  returned: success
hash:
  description: 12 hex digits over what the plan would do.
  type: str
  returned: success
destination:
  description: Where the copies are.
  type: str
  returned: success
  sample: s3://company-backups/log-archives/web1/
archives:
  description: The archives on the host, by name, the last 100.
  type: list
  elements: dict
  returned: success
  contains:
    archive:
      description: Its name.
      type: str
    bytes:
      description: Its size.
      type: int
    sha256:
      description: Its SHA-256.
      type: str
    state:
      description:
        - How it stands in the end. V(verified), the store has it, read back and compared; V(unverified), it has it, and
          nobody compared it; V(missing); V(differing), it has something else of this name; V(damaged), the archive is
          not any more what was made; V(archived), it is in a cold class, and cannot be read before it is restored;
          V(unknown), the store could not be asked.
      type: str
  sample:
    - archive: archived_logs_20261130.tar.zst
      bytes: 20480000
      sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
      state: verified
verified:
  description: How many of all archives have a verified copy.
  type: int
  returned: success
unread:
  description: Archives that cannot be read, at most 100, each with C(archive) and C(reason).
  type: list
  elements: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.archives.archive_copy import archive_copy
from ..module_utils.errors import run_module
from ..module_utils.storage.settings import storage_argument_spec


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **storage_argument_spec(),
            "archive_dir": {"type": "path", "required": True},
            **{name: {"type": "str", "required": True} for name in ("bucket", "prefix")},
            "plan_hash": {"type": "str"},
            "part_size": {"type": "int", "default": 16777216},
            "connect_timeout": {"type": "float", "default": 5},
            "read_timeout": {"type": "float", "default": 30},
            "total_timeout": {"type": "float", "default": 3600},
        },
        required_one_of=[("unit", "process", "environment_file")],
        mutually_exclusive=[("unit", "environment_file"), ("process", "environment_file")],
        supports_check_mode=True,
    )
    hide = module.no_log_values.add
    run_module(module, lambda: archive_copy(module.params, check_mode=module.check_mode, hide=hide))


if __name__ == "__main__":
    main()
