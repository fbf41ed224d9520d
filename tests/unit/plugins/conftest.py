"""Fixtures that tests of several modules use."""

from tests.unit.plugins.deletion import moved_clock

__all__ = ["moved_clock"]
