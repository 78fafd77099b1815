"""Fixtures of the tests on delivery."""

from tests.alerts.delivery.receiver import receiver  # noqa: F401 (a fixture)
