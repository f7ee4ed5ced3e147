"""Settings; the only place that reads the environment. README's table lists each variable."""

import hashlib
import sys
from pathlib import Path
from tempfile import mkdtemp

from django.core.exceptions import ImproperlyConfigured

from devices.modbus import networks
from plcsite import postgresql, secret_key
from plcsite.environment import BASE_DIR, IS_DEMO, IS_TEST, env
from plcsite.security import *  # noqa: F403

# Tests get a fresh directory, so that they neither see nor touch what the demo keeps.
# Nor does a real gateway start with the demo's known passwords.
DATA_DIR = Path(
    env.str("DATA_DIR", default="")
    or (mkdtemp(prefix="plc-gateway-") if IS_TEST else BASE_DIR / "data" / ("demo" if IS_DEMO else "gateway"))
)
"""Database and the lock that keeps a second gateway out; the secret key too, unless it lies in the checkout."""
DATA_DIR.mkdir(parents=True, exist_ok=True)


def _secret_key() -> str:
    """The key of the environment, else the one made on first start."""
    if key := env.str("SECRET_KEY", default=""):
        return str(key)
    user_data = secret_key.user_data(env.str("HOME", default=""), env.str("XDG_DATA_HOME", default=""))
    try:
        return secret_key.kept_key(DATA_DIR, BASE_DIR, user_data)
    except secret_key.Unusable as error:
        sys.exit(str(error))


SECRET_KEY = _secret_key()
KEY_ENVIRONMENT = env.str("KEY_ENVIRONMENT", default="live")
KEY_PEPPER = env.str("KEY_PEPPER", default=hashlib.sha256(b"api keys:" + SECRET_KEY.encode()).hexdigest())


def _plc_networks() -> tuple[networks.Network, ...]:
    """Those of the environment, else none: a gateway is told where its PLCs are. The demo's are on this computer."""
    known = env.list("PLC_NETWORKS", default=list(map(str, networks.LOOPBACK)) if IS_DEMO or IS_TEST else [])
    if IS_TEST:
        known.append("192.168.0.0/24")  # of PLCs that are typed into forms, and never called
    try:
        return networks.parse(known)
    except ValueError as error:
        raise ImproperlyConfigured(str(error)) from error


PLC_NETWORKS = _plc_networks()
"""Where PLCs may be."""
TLS_DIR = Path(env.str("TLS_DIR", default="") or DATA_DIR / "tls")
"""A folder each for the certificates with which PLCs are talked to over TLS."""
LIVE_PUBLIC = env.bool("LIVE_PUBLIC", default=IS_DEMO)
"""Whether the live page may be watched without logging in."""
PAGES_PER_CALLER = env.int("PAGES_PER_CALLER", default=20)
"""How many live pages a user may have open at a process; without a login, an address."""

INSTALLED_APPS = [
    "plcsite.apps.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "axes",
    "channels",
    "ninja",
    "devices",
]
MIDDLEWARE = [  # Django's own, kept on the event loop: see plcsite/middleware.py
    "plcsite.middleware.HeadersMiddleware",
    "plcsite.middleware.SecurityMiddleware",
    "plcsite.middleware.SessionMiddleware",
    "plcsite.middleware.CommonMiddleware",
    "plcsite.middleware.ProblemMiddleware",
    "plcsite.middleware.CsrfViewMiddleware",
    "plcsite.middleware.AuthenticationMiddleware",
    "plcsite.acting.ActorMiddleware",
    "plcsite.middleware.MessageMiddleware",
    "plcsite.middleware.LoginLimitMiddleware",
]
ROOT_URLCONF = "plcsite.urls"
ASGI_APPLICATION = "plcsite.asgi.application"
DRAIN_S = env.float("DRAIN_S", default=30.0)
"""How long a server that was told to end lets running commands and requests finish."""
FRAMES_DAYS = env.int("FRAMES_DAYS", default=30)
"""How long the raw frames of a run are kept; 0 stores none."""
HISTORY_DAYS = env.int("HISTORY_DAYS", default=30)
"""How long what recorded tags held is kept; 0 records nothing."""
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "devices/live/templates", BASE_DIR / "devices/admin/templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "devices/live/static"]

DATABASES = {"default": env.db_url("DATABASE_URL", default=f"sqlite:///{DATA_DIR / 'gateway.sqlite3'}")}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"] |= {
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            # FULL: NORMAL can lose the last commits at a power cut, and with them what a machine was told.
            # A checkpoint holds up the command that meets it; of four times as many pages (16 MB) it takes as long.
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA busy_timeout=20000;"
            " PRAGMA wal_autocheckpoint=4000",
        },
        "TEST": {"NAME": str(DATA_DIR / "test.sqlite3")},
    }
else:
    DATABASES["default"] |= {
        "CONN_MAX_AGE": 0,
        "CONN_HEALTH_CHECKS": True,  # of one that the pool lends: a server that was restarted has dropped them all
        "OPTIONS": postgresql.options_beside(DATABASES["default"].get("OPTIONS", {})),
    }
    if not IS_TEST:
        DATABASES["default"]["OPTIONS"]["pool"] = postgresql.POOL

REDIS_URL = env.str("REDIS_URL", default="")
# Redis's pub/sub knows no database numbers: two gateways on one server would hear each other.
REDIS_PREFIX = "gateway-" + hashlib.sha256(b"push:" + SECRET_KEY.encode()).hexdigest()[:12]
"""Of all that one gateway has in Redis; its processes share the SECRET_KEY."""
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [REDIS_URL], "prefix": REDIS_PREFIX},
    }
    if REDIS_URL
    else {"BACKEND": "channels.layers.InMemoryChannelLayer"}
}

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "/"
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("zh-hans", "简体中文")]
"""Of the live pages; the API and the admin speak English."""
TIME_ZONE = env.str("TIME_ZONE", default="UTC")
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": "plcsite.log_lines.OneLine",
            "format": "{asctime} {levelname} {name}: {message}",
            "style": "{",
        }
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": env.str("LOG_LEVEL", default="INFO")},
    "loggers": {
        "django": {"handlers": [], "level": "INFO", "propagate": True},
        "daphne": {"level": "WARNING"},
        "twisted": {"level": "WARNING"},
        "axes": {"level": "WARNING"},
    },
}
