# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Option id_maps; the argument spec is in module_utils/sessions/joined.py."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  id_maps:
    description:
      - Maps of other ids of sessions, such as of uploads or merges, that the service keeps in files of JSON. What works
        with such a file is the session's, as if it lay in the session's directory.
      - An id of two sessions, or a map that is there and cannot be read, leaves sessions unknown. They need jmespath
        (Debian package C(python3-jmespath)) on the host.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: File of JSON that the service keeps. One that is not there says nothing.
        type: path
        required: true
      query:
        description: JMESPath to the map in it, an object by ids or a list.
        type: str
        default: "@"
      id:
        description: JMESPath from a row of the map to its other id, or ids. Without, the row's key.
        type: str
      session:
        description: JMESPath from a row of the map to the id of its session.
        type: str
        default: "session_id || @"
      directories:
        description: In which names begin with other ids, such as V(ID_clip.mp4), or are one.
        type: list
        elements: path
        required: true
"""
