"""Django's settings. The settings of an installation are in `llmmonitor.environment`."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from csp.constants import NONE, SELF

from llmmonitor import __version__
from llmmonitor.access.host_names import default_allowed_hosts
from llmmonitor.environment import CHECKOUT, BadEnvironment, read_environment
from llmmonitor.http.request_ids import current_request_id
from llmmonitor.infra.databases import database_settings
from llmmonitor.infra.secret_key import NoSecretKey, secret_key_in

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy only adds and sorts; a thread per core costs memory

try:
    LLMMONITOR = read_environment()
except BadEnvironment as problem:
    sys.exit(str(problem))

BASE_DIR = CHECKOUT
VERSION = __version__
DEBUG = LLMMONITOR.debug

try:
    SECRET_KEY = LLMMONITOR.secret_key or secret_key_in(LLMMONITOR.data_dir)
except NoSecretKey as problem:
    sys.exit(str(problem))

INSTALLED_APPS = [
    "llmmonitor.infra",  # first, because it keeps the others from loading optional libraries
    "llmmonitor.access.apps.AccessAdminConfig",  # django.contrib.admin, with roles for permissions
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "rest_framework",
    "drf_spectacular_sidecar",
    "corsheaders",
    "csp",
    "llmmonitor.access",
    "llmmonitor.process",
    "llmmonitor.backup",
    "metrics",
    "alerts",
    "dashboard",
]

# All asynchronous, because a synchronous middleware costs a thread switch for every request.
MIDDLEWARE = [
    "llmmonitor.http.response_times.RouteMiddleware",
    "llmmonitor.access.async_middleware.SecurityMiddleware",
    "llmmonitor.access.async_middleware.CSPMiddleware",
    "llmmonitor.access.async_middleware.SessionMiddleware",
    "llmmonitor.access.async_middleware.CommonMiddleware",
    "llmmonitor.access.async_middleware.CsrfViewMiddleware",
    "llmmonitor.access.async_middleware.AuthenticationMiddleware",
    "llmmonitor.access.async_middleware.MessageMiddleware",
    "llmmonitor.access.async_middleware.XFrameOptionsMiddleware",
    "llmmonitor.access.middleware.AccessMiddleware",
]
# `check --deploy` looks for three of them by Django's names.
SILENCED_SYSTEM_CHECKS = ["security.W001", "security.W002", "security.W003"]
# No origin is allowed unless it is listed. Pages of listed origins send a key, not cookies.
CORS_ALLOWED_ORIGINS = list(LLMMONITOR.cors_origins)
CORS_ALLOW_CREDENTIALS = False
CORS_URLS_REGEX = r"^/(?!admin/|login/|logout/)"
CORS_EXPOSE_HEADERS = ["Retry-After"]
if CORS_ALLOWED_ORIGINS:
    MIDDLEWARE.insert(0, "corsheaders.middleware.CorsMiddleware")

# The package is located without importing it.
SPECTACULAR_TEMPLATES = Path(str(find_spec("drf_spectacular").origin)).parent / "templates"  # type: ignore[union-attr]

ROOT_URLCONF = "llmmonitor.urls"
ASGI_APPLICATION = "llmmonitor.asgi.application"
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        # The template of Swagger UI. drf-spectacular is not in INSTALLED_APPS, because every start would load it.
        "DIRS": [BASE_DIR / "templates", SPECTACULAR_TEMPLATES],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {"default": database_settings(LLMMONITOR.database_url, LLMMONITOR.data_dir)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"


def _cache(name: str, max_entries: int) -> dict[str, Any]:
    """Return the settings of a cache. Each purpose has its own cache, so that none evicts the entries of another."""
    if LLMMONITOR.redis_url:
        return {
            "BACKEND": "llmmonitor.infra.redis_cache.ForgivingRedisCache",
            "LOCATION": LLMMONITOR.redis_url,
            "KEY_PREFIX": f"llmmonitor:{name}",
            "OPTIONS": {"socket_connect_timeout": 2, "socket_timeout": 2},  # in seconds; the default is no timeout
        }
    return {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "LOCATION": name,
        "OPTIONS": {"MAX_ENTRIES": max_entries},
    }


CACHES = {
    "default": _cache("default", 1_000),
    "ring": _cache("ring", 2_000),  # 900 ticks, the newest sample of each host, claimed seconds
    "throttle": _cache("throttle", 20_000),
    "keys": _cache("keys", 2_000),
    "queries": _cache("queries", 500),
}

CHANNEL_LAYERS: dict[str, Any] = {
    "default": (
        {
            "BACKEND": "channels_redis.core.RedisChannelLayer",
            "CONFIG": {
                # A receiver blocks for five seconds, which is also the client library's default timeout.
                "hosts": [{"address": LLMMONITOR.redis_url, "socket_timeout": 20}],
                "prefix": "llmmonitor",
                "capacity": 20,
                "expiry": 10,
            },
        }
        if LLMMONITOR.redis_url
        else {"BACKEND": "llmmonitor.infra.channel_layer.ThreadSafeInMemoryChannelLayer"}
    )
}

AUTHENTICATION_BACKENDS = ["llmmonitor.access.roles.RoleBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
FORCE_SCRIPT_NAME = LLMMONITOR.path_prefix or None
LOGIN_URL = LOGOUT_REDIRECT_URL = f"{LLMMONITOR.path_prefix}/login/"
LOGIN_REDIRECT_URL = f"{LLMMONITOR.path_prefix}/"
LOGIN_LINK_REDIRECT_URL = f"{LLMMONITOR.path_prefix}/dashboard/start/"
CSRF_FAILURE_VIEW = "llmmonitor.access.views.csrf_failed"

ALLOWED_HOSTS = [*default_allowed_hosts(LLMMONITOR.host), *LLMMONITOR.allowed_hosts]
if "*" in LLMMONITOR.allowed_hosts:
    ALLOWED_HOSTS = ["*"]
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LLMMONITOR.tls
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
# Cookies do not depend on the port, and those of a shorter path are sent, too: with the same names, another Django on
# this machine, or another monitor on the same host, would end the session.
_cookie_suffix = LLMMONITOR.path_prefix.replace("/", "_")
SESSION_COOKIE_NAME = f"llmmonitor_session{_cookie_suffix}"
CSRF_COOKIE_NAME = f"llmmonitor_csrf{_cookie_suffix}"
SESSION_COOKIE_PATH = CSRF_COOKIE_PATH = LLMMONITOR.path_prefix or "/"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
if LLMMONITOR.tls:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False
FORMAT_MODULE_PATH = "llmmonitor.access.formats"

STATIC_URL = f"{LLMMONITOR.path_prefix}/static/"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "llmmonitor.http.static.FingerprintedStorage"},
}

DATA_UPLOAD_MAX_MEMORY_SIZE = None  # llmmonitor.http limits every body

REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["metrics.api.renderers.JSONRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "metrics.api.renderers.IgnoreAcceptNegotiation",
    "DEFAULT_PARSER_CLASSES": ["metrics.api.parsers.JSONParser"],
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "llmmonitor.access.authentication.APIKeyAuthentication",
        "llmmonitor.access.authentication.UserAuthentication",
        "llmmonitor.access.authentication.LoopbackAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["llmmonitor.access.permissions.CanRead"],
    "DEFAULT_THROTTLE_CLASSES": ["llmmonitor.access.throttles.ReadThrottle"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "metrics.api.error_handlers.exception_handler",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "LLM Monitor",
    "VERSION": VERSION,
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SWAGGER_UI_SETTINGS": "{deepLinking: true, plugins: [pathsAsText]}",  # a script; api/docs.js has the plugin
    "SERVE_PUBLIC": True,
    "DESCRIPTION": (
        "Send events with `POST /track/inference`, read figures with `GET /metrics/…`, and act on alerts with "
        "`/alerts`. "
        "From the machine that the server runs on, sending and reading need no key. From others, send a key as "
        "`Authorization: Bearer llmm_…`. Times are ISO 8601 in UTC; errors are problem details (RFC 9457)."
    ),
    # In the order in which a person needs them.
    "TAGS": [
        {"name": "track", "description": "Send requests, errors, queue lengths and samples of machines."},
        {"name": "metrics", "description": "Read figures: now, over time, and of a window."},
        {"name": "models", "description": "The models, with their figures."},
        {"name": "requests", "description": "Single requests."},
        {"name": "errors", "description": "Single errors, and errors in groups."},
        {"name": "alerts", "description": "Alerts, rules, silences and channels."},
        {"name": "annotations", "description": "Marks on the time axis."},
        {"name": "storage", "description": "What is stored, and how much space it takes."},
        {"name": "export", "description": "Files of all of these."},
        {"name": "health", "description": "Whether the server runs and can store events."},
        {"name": "demo", "description": "Generated data, to look around."},
    ],
}
if LLMMONITOR.path_prefix:
    SPECTACULAR_SETTINGS["SERVERS"] = [{"url": LLMMONITOR.path_prefix}]


def is_unavailable(record: Any) -> bool:
    """Return whether a record only reports a response 503. The response, or a line once a minute, has the reason."""
    return getattr(record, "status_code", None) == 503


LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "text": {"()": "llmmonitor.infra.log_formats.TextFormatter"},
        "json": {"()": "llmmonitor.infra.log_formats.JSONFormatter"},
    },
    "filters": {
        "request_id": {"()": "llmmonitor.infra.log_formats.RequestIdFilter", "read": current_request_id.get},
        "unavailable": {"()": "django.utils.log.CallbackFilter", "callback": lambda record: not is_unavailable(record)},
    },
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": LLMMONITOR.log_format, "filters": ["request_id"]}
    },
    "root": {"handlers": ["console"], "level": "WARNING"},
    "loggers": {
        **{name: {"level": LLMMONITOR.log_level} for name in ("llmmonitor", "metrics", "alerts", "dashboard")},
        # A client that sends invalid requests all day must not fill the disk with log lines.
        "django.request": {"level": "ERROR", "filters": ["unavailable"]},
        # Unknown hosts, forms with too many fields or without a token: Django logs each, mostly with a traceback.
        "django.security": {"level": "CRITICAL"},
    },
}
