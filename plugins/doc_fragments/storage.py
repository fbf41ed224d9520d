# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of modules that speak to the storage; the argument spec is in module_utils/storage/settings.py."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
requirements:
  - boto3 1.26 or newer (Debian package C(python3-boto3)) on the host
options:
  unit:
    description:
      - The service's systemd unit, whose environment has the settings and credentials. It is that of its main process,
        or where it does not run, the one that a start would give it. With O(process) there is only the former.
    type: str
  environment_file:
    description: Read the environment from this file instead, written as for systemd's C(EnvironmentFile=).
    type: path
  endpoint_url:
    description:
      - Endpoint of an S3-compatible store, instead of E(AWS_S3_ENDPOINT_URL), E(AWS_ENDPOINT_URL_S3) or
        E(AWS_ENDPOINT_URL) of the environment. Where nothing names one it is that of AWS.
    type: str
  region:
    description:
      - Region, instead of E(AWS_S3_REGION), E(AWS_REGION) or E(AWS_DEFAULT_REGION) of the environment. Where nothing
        names one it is V(us-east-1).
    type: str
  path_style:
    description:
      - Whether the bucket stands in the path instead of the host name. By default it does where an endpoint is named,
        and boto3 decides where none is.
    type: bool
  credentials:
    description:
      - With V(environment), only credentials that the environment has or names (a profile, a web identity, a
        container's role).
      - With V(chain), where it names none, also what boto3 finds by itself for this user - C(~/.aws), and the role of
        the instance, which is asked for once and for a second. For services that rely on an instance role.
    type: str
    choices: [environment, chain]
    default: environment
  retries:
    description: How often a request is repeated after a fault that may pass, 0 or 1.
    type: int
    default: 1
"""
