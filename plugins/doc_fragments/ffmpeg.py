# Copyright: (c) 2026, media_ops.runbook contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of the modules that try the service's ffmpeg; the argument spec is in module_utils/ffmpeg/probe.py."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  unit:
    description:
      - The service's systemd unit. Its running process says which E(PATH), E(LD_LIBRARY_PATH) and E(LD_PRELOAD) ffmpeg
        is started with; where it does not run, the unit and its environment files do.
      - Not looked at with O(process).
    type: str
    default: media-processing-service
  service_user:
    description:
      - The service's user, which everything is tried as. The module runs as this user, as one that may become it (role
        P(media_ops.runbook.prepare#role)), or as root.
    type: str
    default: media
  path_env:
    description:
      - The service's E(PATH), where O(unit) does not say it. Without it, the one that systemd gives.
      - Of a service without a unit it stands above the one that its process has, such as for one that starts ffmpeg by
        a path of its own.
    type: str
  package:
    description: The Debian package that ffmpeg should come from.
    type: str
    default: ffmpeg
  timeout:
    description: Seconds that one run of ffmpeg may take, 0.5 to 600. One that takes longer is ended.
    type: float
    default: 30
  video_encoders:
    description:
      - Video encoders that must work. The first one that a format takes is used with each of O(muxers).
      - One of hardware (C(h264_vaapi), C(h264_qsv), C(h264_nvenc)) is tried by itself, with O(hardware_device).
        At least one must need no device.
    type: list
    elements: str
    default: [libx264]
  audio_encoders:
    description: Audio encoders that must work. The first one that a format takes is used with each of O(muxers).
    type: list
    elements: str
    default: [aac]
  muxers:
    description: Formats that must be written. The first one is read again.
    type: list
    elements: str
    default: [mp4]
  decoders:
    description: Decoders that ffmpeg must list.
    type: list
    elements: str
    default: [h264, aac]
  ffprobe:
    description: Whether C(ffprobe) must work as well, on what ffmpeg has encoded.
    type: bool
    default: true
  hardware_device:
    description: The device of VAAPI and Quick Sync, a path below V(/dev).
    type: str
    default: /dev/dri/renderD128
"""
