# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter that renders a result document."""

from __future__ import annotations

DOCUMENTATION = r"""
name: render_report
short_description: Render a result document as a report for people
version_added: 0.1.0
author:
  - media_ops.runbook contributors (@media-ops)
description:
  - Renders the result document by a Jinja template in an environment of its own,
    in which no Ansible filter or lookup can be used.
  - A variable that is not defined is an error that names the template.
  - Text of the document is data. It is made one line, shortened, and escaped for HTML or Markdown;
    nothing in it is evaluated.
  - An HTML report holds charts as SVG. Without matplotlib the report is made without charts, and says what to install.
  - The same document gives the same bytes.
positional: template_path
options:
  _input:
    description:
      - A result document, as P(media_ops.runbook.result_document#filter) gives it.
      - An error when it is no dictionary, or when its C(schema_version) is not V(1).
    type: dict
    required: true
  template_path:
    description:
      - Path of the template on the controller. Its name must end in V(.html.j2) or V(.md.j2),
        which decides how text is escaped. What it includes or extends is looked for beside it; those of the role
        C(report) have their frame in C(page.html.j2), with C(macros.html.j2) and C(style.css).
      - The template gets C(document), C(view) (what to show, already grouped and bounded) and C(charts);
        and the filters C(percent), C(duration), C(bytes), C(when), C(figure), C(state_label), C(state_symbol),
        C(code) and C(code_block).
    type: path
    required: true
requirements:
  - matplotlib >= 3.6 on the controller, for charts in HTML reports
"""

EXAMPLES = r"""
- name: Write the report
  ansible.builtin.copy:
    content: "{{ report_result | media_ops.runbook.render_report('report.html.j2') }}"
    dest: report.html
    mode: "0640"
"""

RETURN = r"""
_value:
  description:
    - The report. An HTML report is one file that fetches nothing over the network.
  type: str
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ..module_utils.errors import MediaOpsError
from ..plugin_utils.report.render import render


def _render_report(document: Any, template_path: str) -> str:
    try:
        return render(document, str(template_path))
    except MediaOpsError as error:
        raise AnsibleFilterError(f"render_report: {error}") from error


class FilterModule:
    """Filters over the result document."""

    def filters(self) -> Mapping[str, Callable[..., Any]]:
        """The filters by name."""
        return {"render_report": _render_report}
