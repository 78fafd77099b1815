"""The settings of a webhook are checked when they are saved, and its secrets are not shown."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from alerts.channels.message import Message
from alerts.channels.stored import secret_names, settings_of, split
from alerts.channels.webhook import KIND, template
from alerts.channels.webhook.settings import WebhookSettings
from alerts.models import Channel
from tests.alerts.channels.webhook.test_sending import documented

URL = "https://hooks.example.org/services/t0ken?key=k3y"


def settings(**fields: Any) -> WebhookSettings:
    return WebhookSettings(**{"url": URL, **fields})


def reason(**fields: Any) -> str:
    """Why the settings are refused: the reason of the only field that is."""
    with pytest.raises(ValidationError) as caught:
        settings(**fields)
    [error] = caught.value.errors()
    assert error["loc"] == tuple(fields)[:1]
    return str(error["ctx"]["error"])


class TheSecrets:
    def test_are_stored_encrypted_and_read_again(self) -> None:
        made = settings(signing_secret="s1gn", headers={"Authorization": "Bearer t0p"}, body="{}")
        public, secret = split(KIND, made)

        assert secret_names(KIND) == ["url", "signing_secret", "headers"]
        assert public == {"body": "{}", "allow_private": False}
        assert settings_of(Channel(kind="webhook", settings=public, secrets=secret)) == made

    def test_are_not_in_what_is_shown_nor_in_errors(self) -> None:
        assert KIND.shown(settings()) == "https://hooks.example.org/…"
        assert KIND.shown(settings(url="http://[::1]:8080/a")) == "http://[::1]:8080/…"
        with pytest.raises(ValidationError) as caught:
            settings(url="https://user:t0ken@example.org/", headers="t0ken")
        assert "t0ken" not in str(caught.value)


class AnAddress:
    @pytest.mark.parametrize(
        "url", ["", "ftp://example.org/", "file:///etc/passwd", "example.org", "http://", "http://a b/"]
    )
    def test_without_http_and_a_host_is_refused(self, url: str) -> None:
        assert reason(url=url).startswith("must be an address with http or https")

    def test_with_a_password_is_refused(self) -> None:
        assert "Authorization" in reason(url="https://user:password@example.org/")


class TheHeaders:
    @pytest.mark.parametrize("name", ["Host", "content-length", "Connection", "LLMMonitor-Signature"])
    def test_of_the_connection_and_of_the_message_are_refused(self, name: str) -> None:
        assert reason(headers={name: "x"}) == f"must not have {name}: it is set by LLM Monitor."

    @pytest.mark.parametrize(
        "headers",
        ["x", "[]", '{"a": 1}', {"a b": "x"}, {"a": "x\r\nb: y"}, {"a": "ü"}, {"A": "x", "a": "y"}, {"": "x"},
         {f"a{number}": "" for number in range(11)}],
    )  # fmt: skip
    def test_that_are_invalid_are_refused(self, headers: Any) -> None:
        assert reason(headers=headers).startswith("must ")


class ATemplate:
    def test_of_the_documentation_makes_json_of_any_message(self, message: Message) -> None:
        text = documented().split("```\n")[-2]
        made = settings(body=text)

        assert orjson.loads(template.render(made.body, message)) == {
            "text": '■ High "CPU" fires: gpu-1, 93.25 % (above 80 %)',
            "attachments": [{"title": 'High "CPU"', "title_link": "http://monitor/dashboard/"}],
        }

    def test_may_be_of_another_type_than_json(self, message: Message) -> None:
        text = "{% for alert in alerts %}<b>{{ alert.name }}</b> {{ alert.labels.gpu|default:'-' }}{% endfor %}"
        made = settings(headers={"Content-Type": "text/html"}, body=text)

        assert template.render(made.body, message) == b'<b>High "CPU"</b> -'

    @pytest.mark.parametrize(
        "body",
        ['{"text": "{{ title }}"}', '{"text": {{ text }}}', "{{ title }}", '{"value": {{ alerts.0.value }}}', "{"],
    )
    def test_whose_result_is_no_json_is_refused(self, body: str) -> None:
        assert reason(body=body).startswith("must be JSON, also for texts with quotes: write {{ title|json }}.")

    @pytest.mark.parametrize("name", ["titel", "alerts.0.valu", "settings.SECRET_KEY", "alerts.0.labels_hash"])
    def test_with_a_name_that_messages_do_not_have_is_refused(self, name: str) -> None:
        assert reason(body=f"[{{{{ {name}|json }}}}]") == f"must not use names that messages do not have: {name}."

    @pytest.mark.parametrize(
        "body",
        [
            "{% include '/etc/passwd' %}", "{% extends 'base.html' %}", "{% load static %}", "{% debug %}",
            "{% url 'x' %}", "{% ssi '/etc/passwd' %}", "{{ title.__class__ }}", "{{ title|ljust:'1000000000' }}",
            "{% if title %}", "{{ title|jsn }}",
        ],
    )  # fmt: skip
    def test_that_reads_anything_else_or_is_invalid_is_refused(self, body: str) -> None:
        assert reason(body=body).startswith("must be a valid template: ")

    @pytest.mark.parametrize("depth", [17, 40])
    def test_whose_nested_loops_would_run_for_hours_is_refused(self, depth: int) -> None:
        body = "{% for alert in alerts %}" * depth + "{% endfor %}" * depth
        assert reason(body=body, headers={"Content-Type": "text/plain"}).startswith(
            "must be a valid template: its loops make more than 100,000 iterations"
        )
