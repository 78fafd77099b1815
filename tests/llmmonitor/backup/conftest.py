"""Fixtures of the tests on backups."""

from tests.support.instances import make_instance, make_module_instance  # noqa: F401 (fixtures)
