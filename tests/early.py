"""Loaded by `-p` before pytest-django reads the settings, which is before any conftest.py."""

from tests import ports

ports.prepare()
