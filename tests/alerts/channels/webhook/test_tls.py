"""TLS is checked for the name of the receiver, although the connection is to an address."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from alerts.channels.failure import SendFailed
from alerts.channels.message import Message
from alerts.channels.webhook import KIND, sending
from tests.alerts.channels.webhook.conftest import Names
from tests.alerts.channels.webhook.receiver import Receiver, running_receiver
from tests.alerts.channels.webhook.test_sending import dribbles


def make_certificate(path: Path, name: str) -> None:
    """Write a certificate that is its own authority, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(certificate.public_bytes(pem) + private)


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of `receiver.test`, trusted."""
    path = tmp_path / "certificate.pem"
    make_certificate(path, "receiver.test")
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    return path


@pytest.fixture
def tls_receiver(certificate: Path, names: Names) -> Iterator[Receiver]:
    names.addresses = {"receiver.test": [["127.0.0.1"]], "other.test": [["127.0.0.1"]]}
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with running_receiver(context) as receiver:
        yield receiver


def refusal(receiver: Receiver, message: Message, host: str) -> SendFailed:
    with pytest.raises(SendFailed) as caught:
        KIND.send(receiver.settings(host=host), message)
    assert receiver.requests == []
    assert not caught.value.is_final
    return caught.value


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Of a server that accepts a connection, and does not begin with TLS."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


class TheTimeLimit:
    def test_applies_to_the_beginning_of_tls(
        self, silent_port: int, message: Message, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sending, "SEND_SECONDS", 0.5)

        assert "did not respond within 0.5 s" in str(refusal(Receiver(silent_port, "https"), message, "127.0.0.1"))

    def test_applies_to_an_answer_that_comes_byte_by_byte(
        self, tls_receiver: Receiver, message: Message, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sending, "SEND_SECONDS", 0.5)
        tls_receiver.answer = dribbles(tls_receiver)
        with pytest.raises(SendFailed, match=r"did not respond within 0\.5 s"):
            KIND.send(tls_receiver.settings(host="receiver.test"), message)


class ACertificate:
    def test_of_the_name_is_accepted(self, tls_receiver: Receiver, message: Message) -> None:
        KIND.send(tls_receiver.settings(host="receiver.test"), message)

        assert tls_receiver.requests[0].headers["Host"] == f"receiver.test:{tls_receiver.port}"

    @pytest.mark.parametrize("host", ["other.test", "127.0.0.1"])
    def test_of_another_name_is_refused(self, tls_receiver: Receiver, message: Message, host: str) -> None:
        failure = refusal(tls_receiver, message, host)

        assert str(failure).startswith(f"the certificate of {host}:{tls_receiver.port} is not valid: ")
        assert "mismatch" in str(failure)

    def test_of_an_unknown_authority_is_refused(
        self, tls_receiver: Receiver, message: Message, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make_certificate(tmp_path / "other.pem", "receiver.test")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "other.pem"))

        assert "is not valid" in str(refusal(tls_receiver, message, "receiver.test"))
