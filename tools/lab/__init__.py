"""A lab of real hosts: systemd, sshd, apt and the rest in containers of systemd-nspawn, on a network of their own."""

from __future__ import annotations

from .lab import Host, Lab
from .system import LabError, missing_reason

__all__ = ["Host", "Lab", "LabError", "missing_reason"]
