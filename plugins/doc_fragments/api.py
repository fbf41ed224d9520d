# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options that every module of the action group ``api`` has; the argument spec is in module_utils/api/settings.py."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
requirements:
  - requests (Debian package C(python3-requests)) on the host
options:
  api_url:
    description:
      - Base address of the monitoring API, as seen from the host.
      - Must begin with V(http://) or V(https://), and have no credentials, query or fragment in it.
    type: str
    default: http://localhost:8000/api/v1/monitoring
  api_token:
    description:
      - Bearer token for the API.
      - An empty text counts as none, so that a lookup of an unset variable may be given.
      - Where there is neither this nor O(api_token_file), the environment variable E(MEDIA_OPS_API_TOKEN) of the host
        is used.
      - A token that has characters other than visible ASCII is refused, and never shown.
    type: str
  api_token_file:
    description:
      - File on the host that holds the bearer token. Read only where there is no O(api_token).
      - The module fails where the file cannot be read or is empty, and warns where everybody may read it.
    type: path
  ca_path:
    description:
      - File (PEM) or directory of the certificate authorities to trust for an V(https://) address.
      - Without it, those that the library requests trusts. E(REQUESTS_CA_BUNDLE) and the like are not looked at.
    type: path
  client_cert:
    description: File (PEM) of the certificate to show to the API, with the key in it unless O(client_key) is set.
    type: path
  client_key:
    description: File (PEM) of the key of O(client_cert). It must not be encrypted.
    type: path
  validate_certs:
    description: Whether the API's certificate and name are checked. V(false) gives the token to whoever answers.
    type: bool
    default: true
  connect_timeout:
    description: Seconds to wait for a connection, 0.05 to 600.
    type: float
    default: 3
  read_timeout:
    description: Seconds to wait for the next part of an answer, 0.05 to 600.
    type: float
    default: 10
  total_timeout:
    description:
      - Seconds for one endpoint, with its retries and with name resolution, 0.05 to 600.
      - An answer that comes drop by drop ends here.
    type: float
    default: 20
  overall_timeout:
    description:
      - Seconds for all endpoints of one task together, 0.05 to 3600.
      - What is not asked by then has the state V(timeout).
    type: float
    default: 45
  retries:
    description:
      - How often to ask again, 0 to 10, after a connection that failed or broke off, and after the statuses 502, 503
        and 504 that came without the document asked for. Pauses are 0.2 s, 0.4 s, 0.8 s and so on, up to 2 s.
      - Only reading is repeated, never what changes something.
      - After an endpoint that could not be reached, the next ones are asked once, until one answers.
    type: int
    default: 2
  max_body_bytes:
    description: Bytes of one answer, as sent and as unpacked, beyond which it is not read on, 1024 to 1073741824.
    type: int
    default: 8388608
  api_offered:
    description:
      - Whether the service has an API at all. V(false) is as every endpoint of O(api_map) being null.
    type: bool
    default: true
  api_map:
    description:
      - What the service offers of the API, by the names of the endpoints, V(health), V(health_detailed), V(stats),
        V(alerts), V(metrics), V(sessions) and V(cleanup). Where it is not empty, it must name each of them.
      - An endpoint that is null is not offered. No request is made for it, and its state is V(not_offered).
      - Else it is a dictionary with C(path), C(fields) and, for V(stats), C(hours), the only windows that there are.
        One that is empty is as the runbook has it.
      - C(fields) gives for each field of ours where it stands in the service's answer, as JMESPath or as a dictionary
        with C(query), C(unit) (V(s), V(ms), V(min), V(ratio), V(percent), V(iso), V(epoch), V(epoch_ms)) and C(values),
        ours by the service's. A field that is null is not offered. The document C(docs/other_services.md) has them all.
      - What is mapped and not in the answer is missing, never 0.
    type: dict
    default: {}
  api_header:
    description: Name of the header that carries the token.
    type: str
    default: Authorization
  api_scheme:
    description: The word before the token in O(api_header). Empty where the token stands alone.
    type: str
    default: Bearer
  api_login:
    description:
      - How a token is had that expires, at the service's login or refresh endpoint. Without it, a token must be given.
      - C(path) of the POST on the server of O(api_url), C(body) with its fields, in which C({username}), C({password})
        and C({refresh_token}) stand for the options of these names, and C(form), whether it is sent as a form and not
        as JSON.
      - C(token) and C(expires_in) are JMESPath to the token in the answer and to the seconds that it holds, by default
        these of OAuth 2. The end of a JWT is read from itself.
      - C(renew_before), how many seconds before its end it is renewed, at most half of its time, by default 60. One of
        which no end is known is renewed once after a status 401.
      - O(api_token) and O(api_token_file) are not looked at then.
    type: dict
    default: {}
  api_username:
    description: For O(api_login).
    type: str
  api_password:
    description: For O(api_login).
    type: str
  api_refresh_token:
    description: For O(api_login). It must hold for more than one use.
    type: str
  api_state_dir:
    description:
      - Directory of the host in which the token of O(api_login) is kept, in a file of mode 0600 for this address and
        these credentials alone, in check mode as well. Where it cannot be used, each task logs in for itself.
    type: path
"""
