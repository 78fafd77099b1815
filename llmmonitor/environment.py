"""The settings of an installation, read once from environment variables and from `.env` in the working directory.

The variable of a field is `LLMMONITOR_` and the field's name in capitals. `DATABASE_URL` and `REDIS_URL` have the names
that hosting services use. A secret can be read from a file: `LLMMONITOR_ADMIN_PASSWORD_FILE=/run/secrets/admin` sets
`admin_password`. `docs/configuration.md` is generated from this class.
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
    TypeAdapter,
    ValidationError,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

CHECKOUT = Path(__file__).resolve().parent.parent
SECRETS = ("ADMIN_PASSWORD", "BACKUP_PASSPHRASE", "SECRET_KEY", "SMTP_URL")
UNPREFIXED = ("database_url", "redis_url")
# Not shown in error messages. URLs may contain passwords.
HIDDEN = ("admin_password", "backup_passphrase", "secret_key", "database_url", "redis_url", "smtp_url")
# Pydantic's error types in words for the person who sets the variable.
EXPECTED = {
    "bool_parsing": "expected true or false",
    "int_parsing": "expected a whole number",
    "int_from_float": "expected a whole number",
    "float_parsing": "expected a number",
    "greater_than": "expected a number above {gt:g}",
    "greater_than_equal": "expected {ge:g} or more",
    "less_than_equal": "expected {le:g} or less",
    "too_long": "expected at most {max_length} entries, separated by commas",
    "string_too_short": "expected {min_length} characters or more",
    "literal_error": "expected {expected}",
}
# The first parts of the monitor's own paths. A prefix that begins with one would be ambiguous.
OWN_PATHS = frozenset(
    (
        *("admin", "alerts", "annotations", "dashboard", "demo", "docs", "errors", "export", "health", "login"),
        *("logout", "metrics", "models", "requests", "robots.txt", "schema", "sdk", "static", "storage", "track", "ws"),
    )
)
UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
UNITS |= {"kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}


class BadEnvironment(Exception):
    """A variable has an invalid value. The message names the variable, the value and what was expected."""


def parse_bytes(value: Any) -> Any:
    """Return the number of bytes in a size such as `5GiB`, `500 MB` or `1024`."""
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", value.lower())
    if not match or match[2] not in UNITS:
        raise ValueError("expected a size such as 5GiB, 500MB or a number of bytes")
    return int(float(match[1]) * UNITS[match[2]])


def split_words(value: Any) -> Any:
    """Return the tuple of words in `a, b, c`."""
    return tuple(word.strip() for word in value.split(",") if word.strip()) if isinstance(value, str) else value


Bytes = Annotated[int, BeforeValidator(parse_bytes), Field(ge=0)]
Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(split_words)]


class Environment(BaseSettings):
    """The settings of one installation. They do not change while the process runs."""

    model_config = SettingsConfigDict(
        env_prefix="LLMMONITOR_",
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        populate_by_name=True,
    )

    # Addresses, data and services.
    host: str = Field("127.0.0.1", description="Address that the server listens on.")
    port: int = Field(8899, ge=0, le=65535, description="Port that the server listens on.")
    path_prefix: str = Field(
        "",
        description="Path below which a proxy serves the monitor, such as `/monitor`. The proxy may strip it or not.",
    )
    public_url: str = Field(
        "",
        description="Address of the monitor in messages, such as `https://monitor.example.com/monitor`. If empty, "
        "`http://`, the host and the port that the server listens on, and the path prefix.",
    )
    data_dir: Path = Field(CHECKOUT / "data", description="Directory of the database and the secret key (mode 0700).")
    database_url: str | None = Field(
        None,
        validation_alias=AliasChoices("DATABASE_URL", "database_url"),
        description="`postgres://user:password@host:port/name`. If empty, SQLite in the data directory.",
    )
    redis_url: str | None = Field(
        None,
        validation_alias=AliasChoices("REDIS_URL", "redis_url"),
        description="`redis://host:port/0` for the broker, the caches, the live channel. If empty, Redis is not used.",
    )
    debug: bool = Field(False, description="Show Django's debug pages. Do not use this on a public address.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Lowest level that is logged.")
    log_format: Literal["text", "json"] = Field("text", description="`json`: one JSON object a line.")

    # Access.
    admin_password: str | None = Field(
        None, description="Password of the first admin. If empty, a random password is printed."
    )
    secret_key: str | None = Field(
        None, description="Django's signing key. If empty, a key is generated and stored in the data directory."
    )
    allowed_hosts: Words = Field(
        (), description="Host names that requests may use, in addition to loopback and the server's own address."
    )
    cors_origins: Words = Field(
        (), description="Origins whose pages may call the API, such as `https://tools.example.com`."
    )
    trust_loopback: bool = Field(
        True,
        description="Requests from this machine need no login. Set it to false behind a proxy that adds no header.",
    )
    tls: bool = Field(
        False,
        description="Clients use HTTPS only: cookies are marked secure, and `X-Forwarded-Proto` is trusted. Set it "
        "only behind a proxy that sets this header.",
    )
    rate_limit_ingest_per_minute: int = Field(
        600_000, ge=1, description="Maximum posts per minute of a key or an address."
    )
    rate_limit_read_per_minute: int = Field(1_200, ge=1, description="Maximum reads per minute of a key or an address.")
    login_attempts_per_minute: int = Field(10, ge=1, description="Maximum login attempts per minute of an address.")

    # E-mail.
    smtp_url: str | None = Field(
        None,
        description="Mail server of alert messages: `smtp://user:password@host:587`, with STARTTLS unless "
        "`?starttls=false` follows, or `smtps://user:password@host:465`. Characters such as `@` in the password are "
        "percent-encoded.",
    )
    email_from: str = Field(
        "", description="Sender of alert messages by e-mail, such as `LLM Monitor <monitor@example.com>`."
    )

    # Ingest.
    max_body_bytes: Bytes = Field(16 * 2**20, description="Maximum size of a request body, also after decompression.")
    max_events_per_request: int = Field(10_000, ge=1, description="Maximum number of events in a post.")
    max_series: int = Field(
        10_000,
        ge=1,
        description="Maximum number of label sets of requests, and the same for samples. Further requests are counted "
        "in the series `__other__`; further samples are rejected.",
    )
    max_error_groups: int = Field(
        10_000,
        ge=1,
        description="Maximum number of error groups. Further errors are counted in a group `__other__` for each type.",
    )
    tags: Words = Field((), max_length=5, description="Metadata keys to filter and group by; at most five.")
    keep_content_keys: Words = Field(
        (), description="Metadata keys to store although their names usually denote content."
    )
    drop_error_text: bool = Field(False, description="Drop error messages and stack traces on ingest.")
    future_tolerance_seconds: int = Field(
        300, ge=0, description="Seconds that an event may be ahead of the server's clock."
    )
    max_age_days: int = Field(400, ge=1, description="Maximum age of an event, in days.")

    fast_lane: bool = Field(
        True, description="Handle posts in front of Django, which saves CPU time. Without effect with Redis."
    )

    # Commits.
    recorder_max_batch: int = Field(5_000, ge=1, description="Maximum number of events in a transaction.")
    recorder_max_delay_ms: float = Field(
        5.0, ge=0, le=1000, description="Maximum wait for more events before a commit, in milliseconds."
    )
    recorder_queue_events: int = Field(
        50_000, ge=1, description="Maximum number of events that wait for a commit. Further posts get 429."
    )
    recorder_queue_bytes: Bytes = Field(
        64 * 2**20, description="Maximum size of the posts that wait for a commit. Further posts get 429."
    )

    # Retention (`metrics.retention_policy`) and disk. Longer than a century is beyond the dates of Python.
    raw_inference_days: float = Field(30, gt=0, le=36_500, description="Days to keep single requests.")
    errors_days: float = Field(90, gt=0, le=36_500, description="Days to keep single errors.")
    samples_hours: float = Field(
        24, gt=0, le=876_000, description="Hours to keep single host, GPU, queue and engine samples."
    )
    one_second_minutes: float = Field(135, gt=0, le=525_600, description="Minutes to keep one-second rollups.")
    one_minute_days: float = Field(8, gt=0, le=36_500, description="Days to keep one-minute rollups.")
    one_hour_days: float = Field(400, gt=0, le=36_500, description="Days to keep one-hour rollups.")
    recent_id_minutes: float = Field(
        15,
        gt=0,
        le=525_600,
        description="Minutes to keep the ids of events without a timestamp, to detect repeated ones.",
    )
    max_disk: Bytes = Field(
        5 * 2**30, description="Maximum size of the store. Above 90 % of it, the oldest raw rows are deleted."
    )
    disk_floor: Bytes = Field(
        256 * 2**20, description="Minimum free disk space. Below it, new events are rejected with 503."
    )

    archive_dir: Path | None = Field(
        None,
        description="Existing directory to which single requests and errors are written before they are deleted. If "
        "empty, they are deleted without it.",
    )

    # Backup.
    backup_dir: Path | None = Field(
        None, description="Existing directory for backups at intervals. If empty, none are written."
    )
    backup_hours: float = Field(24, gt=0, description="Hours from one of these backups to the next.")
    backup_keep: int = Field(7, ge=1, description="Number of these backups to keep.")
    backup_passphrase: str | None = Field(
        None,
        min_length=12,
        description="Passphrase that encrypts the secrets of a backup; 12 characters or more. If empty, backups have "
        "no secrets.",
    )

    # Queries.
    query_budget_seconds: float = Field(
        5.0, gt=0, description="Maximum duration of a query. A longer query is stopped with 503."
    )

    @field_validator("data_dir", "archive_dir", "backup_dir")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return value and value.expanduser().absolute()

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: str | None) -> str | None:
        if value and not re.match(r"postgres(ql)?://", value):
            raise ValueError("expected postgres://user:password@host:port/name")
        return value or None

    @field_validator("path_prefix")
    @classmethod
    def _plain_prefix(cls, value: str) -> str:
        prefix = value.rstrip("/")
        if prefix and not re.fullmatch(r"(/[\w.~-]+)+", prefix, re.ASCII):
            raise ValueError("expected a path such as /monitor, of letters, digits and the characters . _ ~ -")
        if {".", ".."} & {*prefix.split("/")}:
            raise ValueError("expected a path such as /monitor, without . and .. as names")
        if prefix.split("/")[1:2] and prefix.split("/")[1] in OWN_PATHS:
            raise ValueError(f"expected a path that does not begin with /{prefix.split('/')[1]}, a path of the monitor")
        return prefix

    @field_validator("public_url")
    @classmethod
    def _plain_address(cls, value: str) -> str:
        if value and not re.fullmatch(r"https?://[^/?#@\s]+(/[\w.~/-]*)?", value, re.ASCII):
            raise ValueError("expected an address such as https://monitor.example.com")
        return value.rstrip("/")

    @property
    def base_url(self) -> str:
        """The address of the monitor for people who read a message, with the path prefix and without a final slash."""
        return self.public_url or f"http://{self.host}:{self.port}{self.path_prefix}"

    @field_validator("smtp_url")
    @classmethod
    def _mail_server(cls, value: str | None) -> str | None:
        server = r"([^/?#@\s]+@)?[\w.-]+(:\d{1,5})?/?"
        if value and not re.fullmatch(rf"smtps://{server}|smtp://{server}(\?starttls=(true|false))?", value):
            raise ValueError("expected smtp://user:password@host:587 or smtps://user:password@host:465")
        return value or None

    @field_validator("email_from")
    @classmethod
    def _sender(cls, value: str) -> str:
        if value and not re.fullmatch(r"([^<>@\r\n]*<)?[^<>@\s]+@[^<>@\s]+>?", value):
            raise ValueError("expected an address such as monitor@example.com, or LLM Monitor <monitor@example.com>")
        return value

    @field_validator("cors_origins")
    @classmethod
    def _plain_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            # "*" is not allowed: on loopback, every page on the web could then call the API.
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
    """Return the environment variable of a field."""
    return field.upper() if field in UNPREFIXED else f"LLMMONITOR_{field.upper()}"


def read_environment() -> Environment:
    """Return the settings. Raises BadEnvironment."""
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
        raise BadEnvironment(f"{variable_name(field)}={shown}: {_expected(error)}") from None


def check_value(field: str, value: Any) -> None:
    """Raise ValueError, with what is expected, if the setting of a field does not accept a value."""
    info = Environment.model_fields[field]
    accepted: Any = Annotated[(info.annotation, *info.metadata)]
    try:
        TypeAdapter(accepted).validate_python(value)
    except ValidationError as error:
        raise ValueError(_expected(error)) from None


def _expected(error: ValidationError) -> str:
    """Return what the first error expected."""
    first = error.errors()[0]
    expected = EXPECTED.get(first["type"]) or first["msg"].removeprefix("Value error, ")
    return expected.format(**first.get("ctx", {}))
