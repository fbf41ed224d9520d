"""The one-liners of the runbook, of services of any shape."""

from __future__ import annotations

from typing import Any

from ansible_collections.media_ops.runbook.plugins.module_utils.shapes import SAID_NOT_OFFERED
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.quick import quick_reference

URL = "http://media1:8000/api/v1/monitoring"


def endpoints(**answers: Any) -> Any:
    found = {"answers": answers, "verdicts": []}
    return quick_reference(found, api_url=URL, log_dir="/srv/logs", contacts=[])["endpoints"]


def test_where_to_ask_is_as_the_runbook_says() -> None:
    asked = {name: {"state": "ok", "url": f"{URL}/{name}?limit=200"} for name in ("health", "alerts")}
    assert endpoints(**asked) == [f"{URL}/health", f"{URL}/health/detailed", f"{URL}/alerts?level=critical"]


def test_where_to_ask_a_service_of_another_shape_is_where_it_was_asked() -> None:
    healthz = {"state": "ok", "url": "http://media1:9000/healthz"}
    none = {"state": "not_offered", "url": ""}
    assert endpoints(health=healthz, health_detailed=healthz, alerts=none) == [healthz["url"]]
    assert endpoints(health=none, health_detailed=none, alerts=none) == SAID_NOT_OFFERED
