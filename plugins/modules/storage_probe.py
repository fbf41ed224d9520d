#!/usr/bin/python
# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# runbook: P0-2C, P0-3G, P0-3H, P0-3I, P1-2D, P1-2E, P1-2F

from __future__ import annotations

DOCUMENTATION = r"""
module: storage_probe
short_description: Reach, credentials and permissions of the service's S3 storage, and the class of what is wrong
version_added: 0.1.0
author:
  - media_ops.runbook contributors (@media-ops)
description:
  - Probes the storage as the service uses it, with the service's own environment and credentials, step by step - name,
    connection, TLS, credentials, identity, list, write, read, delete. Says which class of fault it is and what to do.
  - Run it as the service's user (C(become_user)), who alone can read the environment of the running service.
  - Whatever is wrong with the storage is a value, RV(state) with RV(reason). The module fails only for options that
    cannot be right, and for a missing library.
  - The object that is written has a name of its own below O(prefix). It is removed whatever happens after it was sent,
    also when reading it fails, and RV(left_behind) names what could not be removed now or by earlier probes.
  - No secret is shown. RV(environment) says of each variable only whether it is set.
  - Time and requests are bounded - by O(total_timeout), also when nothing answers at all or an answer comes drop by
    drop, and by 16 requests.
  - Proxies, CA bundle and profile are those of the service's environment.
extends_documentation_fragment:
  - media_ops.runbook.storage
  - media_ops.runbook.action
  - media_ops.runbook.process
attributes:
  check_mode:
    support: full
    details: Nothing is written, so the steps put, get, delete and leftovers are skipped.
  platform:
    platforms: linux
options:
  bucket:
    description: Bucket, instead of E(AWS_S3_BUCKET_NAME) of the environment.
    type: str
  write:
    description: Write, read and delete an object. Without, the probe ends with the list.
    type: bool
    default: true
  prefix:
    description: What the written object's key begins with. Only probes should use it.
    type: str
    default: media-ops-probe/
  connect_timeout:
    description: Seconds that a connection may take, 0.05 to 60.
    type: float
    default: 3
  read_timeout:
    description: Seconds of silence that an answer may have, 0.05 to 60.
    type: float
    default: 10
  total_timeout:
    description: Seconds that all steps together may take, 1 to 600. A part of them is kept for the removal.
    type: float
    default: 30
seealso:
  - module: media_ops.runbook.pipeline_info
    description: What the service itself says of its storage, component cloud_storage.
"""

EXAMPLES = r"""
- name: Probe the storage as the service uses it
  media_ops.runbook.storage_probe:
    unit: media-processing-service
  become: true
  become_user: media
  register: storage

- name: Say what is wrong
  ansible.builtin.debug:
    msg: "{{ storage.state }}: {{ storage.reason }}"
  when: storage.state != 'ok'

- name: Only list, at a store that is not AWS
  media_ops.runbook.storage_probe:
    environment_file: /etc/media-processing/service.env
    endpoint_url: https://minio.example.com:9000
    write: false
"""

RETURN = r"""
state:
  description:
    - V(ok), or the class of the first fault on the way.
    - V(not_configured), no bucket, no credentials, or settings that boto3 refuses.
    - V(dns), V(refused), V(timeout), V(tls), the endpoint cannot be reached or not be trusted.
    - V(unknown_key), V(bad_signature), V(bad_token), the credentials are wrong; V(clock_skew), the clock is.
    - V(no_such_bucket), V(wrong_region), the bucket is not there.
    - V(denied_list), V(denied_put), V(denied_get), V(denied_delete), a permission is missing; V(kms), that to use the
      key that encrypts the bucket.
    - V(account), V(full), the account is not served, or is full or at its cap, whatever code the store has for it.
    - V(dropped), the connection broke off before the answer was whole.
    - V(throttled), V(read_only), V(server_error), the store asks for fewer requests, takes no writes, or fails.
    - V(unsupported), the store does not know something that boto3 sends. Checksums, which newer versions of it send by
      default, are asked for only where the service's environment does.
    - V(archived), what was written went into a cold class, and cannot be read.
    - V(invalid), the answer is not that of an S3 store, or what was read is not what was written. A refusal without an
      error code is none of a store's, but of what stands in between.
    - V(unknown), none of these.
  type: str
  returned: success
  sample: denied_put
reason:
  description: In one line, the step, what to do, and what was seen. Empty when RV(state) is V(ok).
  type: str
  returned: success
  sample: "put: these credentials may not write: allow s3:PutObject (HTTP 403 AccessDenied: Access Denied.)"
steps:
  description:
    - The steps in order - C(dns), C(tcp), C(tls), C(credentials), C(identity), C(list), C(put), C(get), C(delete),
      C(leftovers). C(identity) and C(leftovers) do not count for RV(state).
  type: list
  elements: dict
  returned: success
  contains:
    step:
      description: Its name.
      type: str
    state:
      description: A value of RV(state), V(skipped), or V(not_offered) where a store has no STS.
      type: str
    reason:
      description: In one line. Why it was skipped, for a step that was.
      type: str
    ms:
      description: How long it took.
      type: int
  sample: [{step: dns, state: ok, reason: "", ms: 2}]
endpoint:
  description: Scheme, host and port that the requests are for. Empty when RV(state) is V(not_configured).
  type: str
  returned: success
  sample: https://media.s3.eu-west-3.amazonaws.com:443
bucket:
  description: The bucket. Empty where none is named.
  type: str
  returned: success
region:
  description: The region that was asked for.
  type: str
  returned: success
addressing:
  description: V(path), V(virtual) (the bucket stands in the host name), or V(auto), as boto3 decides.
  type: str
  returned: success
proxy:
  description: The proxy in between, without its credentials. Null where there is none.
  type: str
  returned: success
addresses:
  description: What the name of the endpoint (or proxy) resolves to, at most 8.
  type: list
  elements: str
  returned: success
certificate:
  description: The endpoint's certificate, with C(expires_at). Null where there was none, or it is not trusted.
  type: dict
  returned: success
credentials:
  description:
    - C(found_in), where boto3 found the credentials (C(env), C(shared-credentials-file), C(iam-role) ...), null where
      that was not reached; C(access_key), the first 4 characters of the access key id and its length.
  type: dict
  returned: success
  sample: {found_in: env, access_key: AKIA… (20 characters)}
identity:
  description: Whose credentials these are, with C(arn), C(account) and C(user_id). Null where that is not known.
  type: dict
  returned: success
environment:
  description: The service's variables whose names begin with C(AWS_), each V(set) or V(not set), at most 40.
  type: dict
  returned: success
  sample: {AWS_S3_BUCKET_NAME: set, AWS_SESSION_TOKEN: not set}
environment_source:
  description: V(process), the running service; V(unit), what a start would give it; V(file). Empty where there is none.
  type: str
  returned: success
clock:
  description:
    - C(store_at) and C(host_at), the clocks of store and host at the last answer, and C(skew_s), by how many seconds
      the store is ahead. Null where there was no answer with a date.
  type: dict
  returned: success
  sample: {store_at: "2026-11-24T06:00:00Z", host_at: "2026-11-24T06:00:00Z", skew_s: 0}
key:
  description: Key of the object that was written. Empty where none was.
  type: str
  returned: success
left_behind:
  description: Keys below O(prefix) that this probe or earlier ones could not remove, at most 20.
  type: list
  elements: str
  returned: success
notes:
  description: Remarks that change no state, each one line.
  type: list
  elements: str
  returned: success
requests:
  description: How many requests were sent.
  type: int
  returned: success
checked_at:
  description: When, in UTC, by the host's clock.
  type: str
  returned: success
elapsed_ms:
  description: How long it took.
  type: int
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.errors import run_module
from ..module_utils.storage.settings import storage_argument_spec
from ..module_utils.storage.storage_probe import storage_probe


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **storage_argument_spec(),
            "bucket": {"type": "str"},
            "write": {"type": "bool", "default": True},
            "prefix": {"type": "str", "default": "media-ops-probe/"},
            "connect_timeout": {"type": "float", "default": 3},
            "read_timeout": {"type": "float", "default": 10},
            "total_timeout": {"type": "float", "default": 30},
        },
        required_one_of=[("unit", "process", "environment_file")],
        mutually_exclusive=[("unit", "environment_file"), ("process", "environment_file")],
        supports_check_mode=True,
    )
    hide = module.no_log_values.add
    run_module(module, lambda: storage_probe(module.params, check_mode=module.check_mode, hide=hide))


if __name__ == "__main__":
    main()
