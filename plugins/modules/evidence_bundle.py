#!/usr/bin/python
# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: evidence_bundle
short_description: Evidence of an incident, in one archive without secrets
version_added: 0.1.0
author:
  - media_ops.runbook contributors (@media-ops)
description:
  - Gathers what a restart would lose and what people need to see the cause, before anything is done. The documents
    that it is given (answers of the API, plan, decisions), state, journal, processes and settings of the service, the
    ends of its logs, disk, memory and versions.
  - The archive lies in C(bundles) in O(state_dir), mode 0600. C(MANIFEST.json) in it names each file with its
    SHA-256, its size, where it comes from and whether it was cut, and what could not be had with the reason. That
    something is missing does not fail the module.
  - Secrets are removed from everything, by their shape, by the name that they are assigned to, and the secrets of the
    service's own environment by their value wherever they stand. Of settings only those that are known to be harmless
    keep their values.
  - Logs are opened without following links, and no program of the service is run.
  - Meant to run as the user of role C(prepare), who may read the service's logs and journal, and its environment by
    becoming its user.
extends_documentation_fragment:
  - media_ops.runbook.action
  - media_ops.runbook.process
attributes:
  check_mode:
    support: full
    details: Everything is gathered, and RV(files) says what would be kept. Nothing is written.
options:
  run_id:
    description: What names the run and the archive. A further bundle of the same run gets a number, none is
      overwritten.
    type: str
    required: true
  unit:
    description: The systemd service. Needed unless O(process) is given.
    type: str
  log_dir:
    description: Where its logs are, absolute, and no symbolic link.
    type: path
    required: true
  log_files:
    description: Names of its logs there. Of one that was rotated a short while ago, the one before (C(.1)) is taken
      as well.
    type: list
    elements: str
    default: [application.log, media_processing.log, errors.log, performance.log]
  tail_lines:
    description: Number of last lines of each log.
    type: int
    default: 500
  tail_bytes:
    description: Size to which the end of each log is limited.
    type: int
    default: 262144
  journal_lines:
    description: Number of last entries of the unit in the journal. A service without a unit has none there.
    type: int
    default: 500
  documents:
    description: Documents to keep, by name. Names are letters, digits, C(_) and C(-).
    type: dict
    default: {}
  max_bytes:
    description: Size to which each file in the archive is limited.
    type: int
    default: 8388608
  redact_patterns:
    description: Regular expressions of further secrets; each whole match is removed.
    type: list
    elements: str
    default: []
  secret_values:
    description: Further secrets, such as the API's token, that are removed wherever they stand.
    type: list
    elements: str
    default: []
  harmless:
    description: Names of further settings of the service that may be shown with their values.
    type: list
    elements: str
    default: []
  state_dir:
    description: The directory, absolute. It must exist; the playbook C(media_ops.runbook.prepare_hosts) makes it.
    type: path
    default: /var/lib/media-ops
  keep:
    description: How many bundles are kept, the newest.
    type: int
    default: 20
  keep_bytes:
    description: Size to which all bundles together are limited. The newest is always kept.
    type: int
    default: 209715200
  send_bytes:
    description: Up to which size the archive is answered as RV(archive) where the host's disk has no room for it.
    type: int
    default: 4194304
  controller_dir:
    description:
      - Directory on the controller, in which the archive is kept as C(evidence/HOST/bundles/RUN_ID.tar.gz) where the
        host's disk has no room for it. RV(path) begins with C(controller:) then. Without it, the module fails there.
    type: path
notes:
  - Ansible logs the arguments of a module on the host. Where O(documents) may hold secrets, set C(no_log=true) on the
    task.
"""

EXAMPLES = r"""
- name: Keep the evidence before anything is done
  media_ops.runbook.evidence_bundle:
    run_id: 20261124T060000Z
    unit: media-processing-service
    log_dir: /srv/media-processing/temp/logs
    documents:
      health_detailed: "{{ answers.endpoints.health_detailed }}"
      plan: "{{ plan }}"
    secret_values: ["{{ media_ops_api_token }}"]
  no_log: true
  register: evidence
"""

RETURN = r"""
path:
  description: The archive. In check mode where it would be. On the controller, after C(controller:), where
    O(controller_dir) has it.
  type: str
  returned: success
not_kept:
  description: Why it is not kept on the host.
  type: str
  returned: when the host's disk has no room for it
archive:
  description: The archive, base64; the action keeps it on the controller, and leaves it out.
  type: str
  returned: when the host's disk has no room for it
sha256:
  description: Hash of the archive.
  type: str
  returned: success
bytes:
  description: Its size.
  type: int
  returned: success
files:
  description: What is in it, with C(name), C(source), C(bytes), C(sha256) and C(truncated), by name.
  type: list
  elements: dict
  returned: success
missing:
  description: What could not be had, with C(name) and C(why).
  type: list
  elements: dict
  returned: success
redaction:
  description: Where the secrets that were removed by value come from, C(environment) (V(process), V(unit) or
    V(none)), and C(secrets_known), how many they are.
  type: dict
  returned: success
removed:
  description: Old bundles that had to go.
  type: list
  elements: str
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.errors import run_module
from ..module_utils.evidence.evidence_bundle import evidence_bundle
from ..module_utils.system.operated import service_spec

# runbook: P0-1C


def main() -> None:
    logs = ["application.log", "media_processing.log", "errors.log", "performance.log"]
    module = AnsibleModule(
        argument_spec={
            "run_id": {"type": "str", "required": True},
            **service_spec(),
            "log_dir": {"type": "path", "required": True},
            "log_files": {"type": "list", "elements": "str", "default": logs},
            "tail_lines": {"type": "int", "default": 500},
            "tail_bytes": {"type": "int", "default": 262144},
            "journal_lines": {"type": "int", "default": 500},
            "documents": {"type": "dict", "default": {}},
            "max_bytes": {"type": "int", "default": 8388608},
            "redact_patterns": {"type": "list", "elements": "str", "default": []},
            "secret_values": {"type": "list", "elements": "str", "default": [], "no_log": True},
            "harmless": {"type": "list", "elements": "str", "default": []},
            "state_dir": {"type": "path", "default": "/var/lib/media-ops"},
            "keep": {"type": "int", "default": 20},
            "keep_bytes": {"type": "int", "default": 209715200},
            "send_bytes": {"type": "int", "default": 4194304},
            "controller_dir": {"type": "path"},  # for the action
        },
        supports_check_mode=True,
    )
    run_module(module, lambda: evidence_bundle(module.params, check_mode=module.check_mode))


if __name__ == "__main__":
    main()
