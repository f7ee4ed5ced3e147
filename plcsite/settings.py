"""Settings; the only place that reads the environment. README's table lists each variable."""

import hashlib
import os
import secrets
import sys
from pathlib import Path
from tempfile import mkdtemp

import environ

BASE_DIR = Path(__file__).resolve().parent.parent
IS_TEST = "pytest" in sys.modules
IS_DEMO = "demo" in sys.argv[1:2]

env = environ.Env()
# Tests get a fresh directory, so that they neither see nor touch what the demo keeps.
# Nor does a real gateway start with the demo's known passwords.
DATA_DIR = Path(
    env.str("DATA_DIR", default="")
    or (mkdtemp(prefix="plc-gateway-") if IS_TEST else BASE_DIR / "data" / ("demo" if IS_DEMO else "gateway"))
)
"""Database, secret key and the lock that keeps a second gateway out."""
DATA_DIR.mkdir(parents=True, exist_ok=True)


def _secret_key() -> str:
    """The key of the environment, else one made on first start and kept in a file of mode 600."""
    if key := env.str("SECRET_KEY", default=""):
        return str(key)
    path = DATA_DIR / "secret_key"
    try:
        with open(path, "x", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(secrets.token_urlsafe(50))
    except FileExistsError:
        pass
    return path.read_text().strip()


SECRET_KEY = _secret_key()
KEY_ENVIRONMENT = env.str("KEY_ENVIRONMENT", default="live")
KEY_PEPPER = env.str("KEY_PEPPER", default=hashlib.sha256(b"api keys:" + SECRET_KEY.encode()).hexdigest())
DEBUG = env.bool("DEBUG", default=False)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
LIVE_PUBLIC = env.bool("LIVE_PUBLIC", default=IS_DEMO)
"""Whether the live page may be watched without logging in."""

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "ninja",
    "devices",
]
MIDDLEWARE = [  # Django's own, kept on the event loop: see plcsite/middleware.py
    "plcsite.middleware.SecurityMiddleware",
    "plcsite.middleware.SessionMiddleware",
    "plcsite.middleware.CommonMiddleware",
    "plcsite.middleware.ProblemMiddleware",
    "plcsite.middleware.CsrfViewMiddleware",
    "plcsite.middleware.AuthenticationMiddleware",
    "plcsite.middleware.MessageMiddleware",
    "plcsite.middleware.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "plcsite.urls"
ASGI_APPLICATION = "plcsite.asgi.application"
DRAIN_S = env.float("DRAIN_S", default=30.0)
"""How long a server that was told to end lets running commands and requests finish."""
FRAMES_DAYS = env.int("FRAMES_DAYS", default=30)
"""How long the raw frames of a run are kept; 0 stores none."""
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
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA busy_timeout=20000",
        },
        "TEST": {"NAME": str(DATA_DIR / "test.sqlite3")},
    }
else:
    DATABASES["default"] |= {"CONN_MAX_AGE": 0}
    if not IS_TEST:
        DATABASES["default"]["OPTIONS"] = {"pool": {"min_size": 2, "max_size": 10}}

REDIS_URL = env.str("REDIS_URL", default="")
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {
            "hosts": [REDIS_URL],
            # Redis's pub/sub knows no database numbers: two gateways on one server would hear each other.
            "prefix": "gateway-" + hashlib.sha256(b"push:" + SECRET_KEY.encode()).hexdigest()[:12],
        },
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
SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"
LANGUAGE_CODE = "en"
TIME_ZONE = env.str("TIME_ZONE", default="UTC")
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
if env.list("TRUSTED_ORIGINS", default=[]):
    CSRF_TRUSTED_ORIGINS = env.list("TRUSTED_ORIGINS")

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
        # Its errors dump the frames of every PLC from one buffer of the process; the link says what went wrong.
        "pymodbus": {"level": "CRITICAL"},
    },
}
