"""The settings of a webhook, checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, field_validator

from alerts.channels.webhook import template
from alerts.channels.webhook.headers import content_type_of, parse_headers
from alerts.channels.webhook.target import Target, target_of

MAX_SECRET = 1_000


class WebhookSettings(BaseModel):
    """Where messages are sent, and how.

    headers: a JSON object of names and values; it may be given as a mapping. body: a template; without one, the body is
    the JSON of the message.
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    url: SecretStr = Field(title="Address", description="The address that gets the messages, with http or https.")
    signing_secret: SecretStr = Field(
        SecretStr(""),
        max_length=MAX_SECRET,
        description="Messages are signed with it, so that a receiver can check them.",
    )
    headers: SecretStr = Field(
        SecretStr(""), description='Further headers, as a JSON object: {"Authorization": "Bearer …"}.'
    )
    body: str = Field(
        "", max_length=template.MAX_LENGTH, description="A template of the body. Without one, the body is the message."
    )
    allow_private: bool = Field(
        False, title="Allow private addresses", description="Those of this machine and of private networks."
    )

    @property
    def target(self) -> Target:
        return target_of(self.url.get_secret_value())

    @property
    def header_values(self) -> dict[str, str]:
        """The headers that are set for this channel."""
        return parse_headers(self.headers.get_secret_value())

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, url: SecretStr) -> SecretStr:
        target_of(url.get_secret_value())
        return url

    @field_validator("headers", mode="before")
    @classmethod
    def _as_text(cls, headers: Any) -> Any:
        return orjson.dumps(headers).decode() if isinstance(headers, Mapping) else headers

    @field_validator("headers")
    @classmethod
    def _are_headers(cls, headers: SecretStr) -> SecretStr:
        parse_headers(headers.get_secret_value())
        return headers

    @field_validator("body")
    @classmethod
    def _is_a_template(cls, body: str, info: ValidationInfo) -> str:
        if "headers" in info.data and body:
            headers = parse_headers(info.data["headers"].get_secret_value())
            template.check(body, is_json="json" in content_type_of(headers).lower())
        return body


def shown(settings: WebhookSettings) -> str:
    """Return the scheme and the host; the rest of the address is often a secret."""
    return settings.target.shown
