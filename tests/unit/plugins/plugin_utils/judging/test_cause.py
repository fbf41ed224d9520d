"""What a long message says at its end."""

from __future__ import annotations

import time

import pytest
from ansible_collections.media_ops.runbook.plugins.plugin_utils.judging.cause import cause
from hypothesis import given
from hypothesis import strategies as st

# As ffmpeg 7.0.2 of Debian writes it
BANNER = """ffmpeg version 7.0.2-static https://johnvansickle.com/ffmpeg/  Copyright (c) 2000-2024 the FFmpeg developers
  built with gcc 8 (Debian 8.3.0-6)
  configuration: --enable-gpl --enable-version3 --enable-static --disable-debug --disable-ffplay --enable-libx264
  libavutil      59.  8.100 / 59.  8.100
  libavcodec     61.  3.100 / 61.  3.100
  libavformat    61.  1.100 / 61.  1.100
  libpostproc    58.  1.100 / 58.  1.100
"""
INPUT = """Input #0, mov,mp4,m4a,3gp,3g2,mj2, from '/srv/a/prepared_00.mp4':
  Metadata:
    major_brand     : isom
  Duration: 00:00:01.00, start: 0.000000, bitrate: 70 kb/s
  Stream #0:0[0x1](und): Video: h264 (High)
"""
CAUSE = """[mov,mp4,m4a,3gp,3g2,mj2 @ 0x55d] moov atom not found
[in#0 @ 0x55c] Error opening input: Invalid data found when processing input
Error opening input file /srv/a/prepared_01.mp4.
Error opening input files: Invalid data found when processing input
"""
LAST = (
    "[in#0 @ 0x55c] Error opening input: Invalid data found when processing input; "
    "Error opening input file /srv/a/prepared_01.mp4.; "
    "Error opening input files: Invalid data found when processing input"
)
TRACEBACK = """Upload failed
Traceback (most recent call last):
  File "a.py", line 3, in put
    x()
botocore.exceptions.ClientError: Access Denied"""


def real(version: str) -> str:
    return BANNER.replace("7.0.2-static https://johnvansickle.com/ffmpeg/ ", version)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("disk is full", "disk is full"),
        ("very\nbad", "very bad"),
        ("", ""),
        (BANNER + INPUT + CAUSE, LAST),
        (real("7.0.2") + CAUSE, LAST),
        (f"Merge failed: {BANNER}{INPUT}{CAUSE}", f"Merge failed: {LAST}"),
        (f"Merge failed: {(BANNER + CAUSE)!r}", f"Merge failed: {LAST}"),
        (BANNER + INPUT + CAUSE + "frame=    0 fps=0.0 q=0.0 size= 0KiB\rConversion failed!\n", LAST),
        (" ".join(f"Merge failed: {BANNER}Conversion failed!".split()), "Merge failed: Conversion failed!"),
        (f"Merge failed: {BANNER[:200]}", "Merge failed: of ffmpeg's output only its banner was kept"),
        (
            TRACEBACK,
            "Upload failed: botocore.exceptions.ClientError: Access Denied",
        ),
    ],
)
def test_the_cause_is_what_people_read(message: str, said: str) -> None:
    assert cause(message) == said.strip("'\"")


def test_of_a_long_end_the_end_is_kept() -> None:
    said = cause(f"{BANNER}{'x' * 400}\n{'y' * 400} No space left on device")
    assert len(said) <= 300
    assert said.endswith("No space left on device")


@given(
    st.one_of(st.text(), st.lists(st.sampled_from([BANNER, INPUT, CAUSE, "Traceback (most recent call last):", "x\n"])))
)
def test_whatever_a_message_is_it_becomes_one_line(message: object) -> None:
    text = "".join(message) if isinstance(message, list) else str(message)
    said = cause(text, 120)
    assert len(said) <= 120
    assert "\n" not in said
    assert said or not text.strip() or not any(c.isprintable() and not c.isspace() for c in text)


@pytest.mark.parametrize("part", ["lib", "frame=", "lib 1. 1. ", "encoder "])
def test_a_message_that_repeats_itself_takes_no_long_time(part: str) -> None:
    began = time.process_time()
    cause(f"ffmpeg version 7.0 Copyright (c) 2000-2024\n{part * 20_000}")
    assert time.process_time() - began < 3
