"""Fixtures of the tests on channels."""

from tests.alerts.channels.mail_server import mail_server, starttls_server, tls_server  # noqa: F401 (fixtures)
