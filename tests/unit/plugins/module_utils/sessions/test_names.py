"""Names that speak of a session, in whatever way they write its id."""

from __future__ import annotations

import pytest
from ansible_collections.media_ops.runbook.plugins.module_utils.sessions.names import Names

UUID = "a1b2c3d4-e5f6-4a7b-8c9d-0e1f2a3b4c5d"


@pytest.mark.parametrize(
    ("session", "name"),
    [
        (UUID, f"thumb_{UUID.upper()} (1).mp4"),
        (UUID, UUID.replace("-", "") + ".mp4"),
        (UUID, UUID.replace("-", "_").upper()),
        (UUID.replace("-", ""), f"{UUID}.part"),
        ("merge_ab12cd34ef", "merge%5Fab12cd34ef.mp4"),
        ("merge_ab12cd34ef", "ab12cd34ef.mp4"),
        ("merge_ab12cd34ef", "merge-ab12cd34ef"),
        ("session:ab12cd34ef", "x_ab12cd34ef"),
        ("urn:uuid:" + UUID, f"{UUID}.mp4"),
        ("ab12", "clip_ab12.mp4"),
        ("a1", "clip_a1.mp4"),
    ],
)
def test_an_id_is_found_in_whatever_way_it_is_written(session: str, name: str) -> None:
    assert Names([session]).find(name) == session


@pytest.mark.parametrize(
    ("session", "name"),
    [
        (UUID, UUID[:-2]),
        (UUID, UUID.replace("-", "")[:-2]),
        ("merge_ab12cd34ef", "merge.mp4"),
        ("merge_ab12", "12.mp4"),
        ("ab-12", "ab12.mp4"),
        ("a1", "ba1c.mp4"),
    ],
)
def test_what_is_no_more_than_like_an_id_is_none(session: str, name: str) -> None:
    assert Names([session]).find(name) == ""
