"""The snippets of the Connect page and of docs/integrations, run as they stand with their client libraries."""

from __future__ import annotations

import contextlib
import socket
import ssl
import textwrap
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
import trustme
from conftest import Recorded
from provider import Handler, Provider
from snippets import ELSEWHERE, MODELS, check, programs

COUNTS = b'{"input_tokens": 7, "output_tokens": 4}'
# What follows in a program that has made its channel.
CALL = """
import json, types
read = lambda message: types.SimpleNamespace(**json.loads(message))
{wait}channel.unary_unary("/test.Model/Complete", response_deserializer=read)(b"")
"""


class Proxy(Handler):
    """The provider as a proxy: it stands for every host, and `service` for those that are not of HTTP."""

    tls: ssl.SSLContext
    service: tuple[str, int]

    def do_CONNECT(self) -> None:  # noqa: N802 (of http.server)
        self.send_response(200)
        self.end_headers()
        self.close_connection = True
        if self.path.endswith(":443"):
            with self.tls.wrap_socket(self.connection, server_side=True) as connection:
                Handler(connection, self.client_address, self.server)
            return
        with socket.create_connection(self.service) as service:
            threading.Thread(target=copy, args=(service, self.connection), daemon=True).start()
            copy(self.connection, service)


def copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)


class Service(grpc.GenericRpcHandler):
    """A model behind gRPC."""

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        return grpc.unary_unary_rpc_method_handler(lambda request, context: COUNTS)


@pytest.fixture(scope="module")
def variables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment in which all providers are on this machine."""
    authority = trustme.CA()
    certificates = tmp_path_factory.mktemp("tls") / "ca.pem"
    authority.cert_pem.write_to_path(str(certificates))
    Proxy.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("api.openai.com", "api.anthropic.com", "router.huggingface.co").configure_cert(Proxy.tls)
    service = grpc.server(ThreadPoolExecutor(2))
    service.add_generic_rpc_handlers([Service()])
    Proxy.service = ("127.0.0.1", service.add_insecure_port("127.0.0.1:0"))
    service.start()
    keys = dict.fromkeys(("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "HF_TOKEN"), "hf_none")
    with Provider(Proxy) as proxy:
        yield keys | {"http_proxy": proxy.url, "https_proxy": proxy.url, "SSL_CERT_FILE": str(certificates)}
    service.stop(None)


class TheSnippet:
    def test_of_each_kind_and_page_is_run(self) -> None:
        assert {name for group in MODELS.values() for name in group} | ELSEWHERE == programs().keys()

    @pytest.mark.parametrize("name", MODELS["clients"])
    def test_sends_its_events(self, name: str, recorded: Recorded, variables: dict[str, str], tmp_path: Path) -> None:
        program = programs()[name]
        if "grpc.aio" in program:
            body = textwrap.indent(program + CALL.format(wait="await "), "    ")
            program = f"import asyncio\n\n\nasync def main():\n{body}\n\nasyncio.run(main())\n"
        elif "grpc" in program:
            program += CALL.format(wait="")
        check(program, MODELS["clients"][name], recorded, tmp_path, **variables)
