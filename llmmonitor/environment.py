"""Everything that a person may set from outside, read once from the environment.

One typed class, one line a variable: its name is `LLMMONITOR_` and the field in capitals (`DATABASE_URL` and
`REDIS_URL` keep the names that hosting services give them). `.env` in the working directory is read where it is
present. A secret may come from a file instead: `LLMMONITOR_ADMIN_PASSWORD_FILE=/run/secrets/admin` fills
`admin_password`. A wrong value stops the start with one sentence that names the variable, the value and what was
expected (`BadEnvironment`). `docs/configuration.md` is written from this class.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AliasChoices,
    BeforeValidator,
    Field,
    ValidationError,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

CHECKOUT = Path(__file__).resolve().parent.parent
SECRETS = ("ADMIN_PASSWORD", "SECRET_KEY")
UNPREFIXED = ("database_url", "redis_url")
# Never shown: URLs may hold passwords.
HIDDEN = ("admin_password", "secret_key", "database_url", "redis_url")
# What pydantic means, in words for whoever sets the variable.
EXPECTED = {
    "bool_parsing": "expected true or false",
    "int_parsing": "expected a whole number",
    "int_from_float": "expected a whole number",
    "float_parsing": "expected a number",
    "greater_than": "expected a number above {gt:g}",
    "greater_than_equal": "expected {ge:g} or more",
    "less_than_equal": "expected {le:g} or less",
    "too_long": "expected at most {max_length} entries, separated by commas",
    "literal_error": "expected {expected}",
}
UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
UNITS |= {"kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}


class BadEnvironment(Exception):
    """A variable holds what cannot be used; the text is the sentence to show."""


def parse_bytes(value: Any) -> Any:
    """A size in bytes out of `5GiB`, `500 MB` or a plain number."""
    if not isinstance(value, str):
        return value
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", value.lower())
    if not found or found[2] not in UNITS:
        raise ValueError("expected a size such as 5GiB, 500MB or a number of bytes")
    return int(float(found[1]) * UNITS[found[2]])


def split_words(value: Any) -> Any:
    """A tuple out of `a, b, c`."""
    return tuple(word.strip() for word in value.split(",") if word.strip()) if isinstance(value, str) else value


Bytes = Annotated[int, BeforeValidator(parse_bytes), Field(ge=0)]
Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(split_words)]


class Environment(BaseSettings):
    """The settings of one installation. Frozen: read at the start, the same until the end."""

    model_config = SettingsConfigDict(
        env_prefix="LLMMONITOR_",
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        populate_by_name=True,
    )

    # Where it listens and lives.
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8899, ge=0, le=65535, description="Port to listen on.")
    data_dir: Path = Field(
        CHECKOUT / "data",
        description="Directory of the database and the secret key (mode 0700).",
    )
    database_url: str | None = Field(
        None,
        validation_alias=AliasChoices("DATABASE_URL", "database_url"),
        description="`postgres://user:password@host:port/name`; SQLite in the data directory when empty.",
    )
    redis_url: str | None = Field(
        None,
        validation_alias=AliasChoices("REDIS_URL", "redis_url"),
        description="`redis://host:port/0` for broker, caches and live channel; in-process parts when empty.",
    )
    debug: bool = Field(False, description="Django's debug pages. Never on a public address.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least severe level logged.")

    # Who may come in.
    admin_password: str | None = Field(
        None,
        description="Password of the first admin; a random one is printed when empty.",
    )
    secret_key: str | None = Field(
        None,
        description="Django's signing key; made and kept in the data directory when empty.",
    )
    allowed_hosts: Words = Field(
        (),
        description="Host names that the server answers to, beside loopback and its own address.",
    )
    cors_origins: Words = Field(
        (),
        description="Origins whose pages may call the API, such as `https://tools.example.com`.",
    )
    trust_loopback: bool = Field(
        True,
        description="A person at this machine needs no login. Set it to false behind a proxy that adds no header.",
    )
    tls: bool = Field(
        False,
        description="The server is reached over HTTPS only: cookies are marked secure.",
    )
    rate_limit_ingest_per_minute: int = Field(600_000, ge=1, description="Posts a minute for one key or address.")
    rate_limit_read_per_minute: int = Field(1_200, ge=1, description="Reads a minute for one key or address.")
    login_attempts_per_minute: int = Field(10, ge=1, description="Login attempts a minute for one address.")

    # What is taken in.
    max_body_bytes: Bytes = Field(16 * 2**20, description="Largest body accepted, unpacked.")
    max_events_per_request: int = Field(10_000, ge=1, description="Most events in one request.")
    max_series: int = Field(
        10_000,
        ge=1,
        description="Most label sets of requests and of samples each. Requests beyond land in the series `__other__`, "
        "samples beyond are refused.",
    )
    max_error_groups: int = Field(
        10_000,
        ge=1,
        description="Most groups of errors that are the same. Errors beyond land in the group `__other__` of their "
        "type.",
    )
    tags: Words = Field(
        (),
        max_length=5,
        description="Metadata keys (at most five) to filter and group by.",
    )
    keep_content_keys: Words = Field(
        (),
        description="Metadata keys to keep although they name content by convention.",
    )
    drop_error_text: bool = Field(False, description="Drop error messages and stack traces at the door.")
    future_tolerance_seconds: int = Field(300, ge=0, description="How far ahead of the server's clock an event may be.")
    max_age_days: int = Field(400, ge=1, description="How old an event may be.")

    # How it is written.
    recorder_max_batch: int = Field(5_000, ge=1, description="Most events in one transaction.")
    recorder_max_delay_ms: float = Field(
        5.0, ge=0, le=1000, description="Longest wait for more events before a commit."
    )
    recorder_queue_events: int = Field(50_000, ge=1, description="Most events that wait for a commit; beyond: 429.")

    # How long it is kept.
    raw_inference_days: float = Field(30, gt=0, description="Days that single requests are kept.")
    errors_days: float = Field(90, gt=0, description="Days that single errors are kept.")
    samples_hours: float = Field(
        24,
        gt=0,
        description="Hours that single host, GPU, queue and engine samples are kept.",
    )
    one_second_minutes: float = Field(135, gt=0, description="Minutes that one-second figures are kept.")
    one_minute_days: float = Field(3, gt=0, description="Days that one-minute figures are kept.")
    one_hour_days: float = Field(400, gt=0, description="Days that one-hour figures are kept.")
    recent_id_minutes: float = Field(
        15,
        gt=0,
        description="Minutes in which a repeat without a timestamp is recognised.",
    )
    max_disk: Bytes = Field(
        5 * 2**30,
        description="Most bytes the store may use; the oldest raw rows go first.",
    )
    disk_floor: Bytes = Field(256 * 2**20, description="Free bytes below which new events are refused (503).")

    # How it answers.
    query_budget_seconds: float = Field(
        5.0,
        gt=0,
        description="Longest time a query may take before it is stopped (503).",
    )

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: str | None) -> str | None:
        if value and not re.match(r"postgres(ql)?://", value):
            raise ValueError("expected postgres://user:password@host:port/name")
        return value or None

    @field_validator("cors_origins")
    @classmethod
    def _plain_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            # No "*": on loopback it would open the API to every page on the web.
            if not re.fullmatch(r"https?://[^/?#@*\s]+", origin):
                raise ValueError("expected origins such as https://tools.example.com, without a path or a star")
        return value

    @field_validator("redis_url")
    @classmethod
    def _known_broker(cls, value: str | None) -> str | None:
        if value and not re.match(r"rediss?://|unix://", value):
            raise ValueError("expected redis://host:port/number")
        return value or None


def variable_name(field: str) -> str:
    """The environment variable that fills this field."""
    return field.upper() if field in UNPREFIXED else f"LLMMONITOR_{field.upper()}"


def read_environment() -> Environment:
    """The environment as settings. Raises BadEnvironment with a sentence to show."""
    secrets: dict[str, Any] = {}
    for name in SECRETS:
        path = os.environ.get(f"LLMMONITOR_{name}_FILE")
        if path:
            try:
                secrets[name.lower()] = Path(path).read_text().strip()
            except OSError as error:
                raise BadEnvironment(f"LLMMONITOR_{name}_FILE={path}: cannot be read ({error.strerror})") from None
    try:
        return Environment(**secrets)
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0]).lower()
        value = first["input"]
        shown = "…" if field in HIDDEN else ",".join(value) if isinstance(value, tuple) else value
        said = EXPECTED.get(first["type"]) or first["msg"].removeprefix("Value error, ")
        raise BadEnvironment(f"{variable_name(field)}={shown}: {said.format(**first.get('ctx', {}))}") from None
