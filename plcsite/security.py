"""What protects browsers, sessions and logins: a part of the settings. docs/security.md explains it."""

from datetime import timedelta
from ipaddress import ip_network

from plcsite.environment import IS_DEMO, IS_TEST, env

HTTPS = env.bool("HTTPS", default=not (IS_DEMO or IS_TEST))
"""Whether browsers reach the gateway over HTTPS, through a proxy that ends it."""
DEBUG = env.bool("DEBUG", default=False)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"] if IS_DEMO or IS_TEST else [])
TRUSTED_PROXIES = [ip_network(text) for text in env.list("TRUSTED_PROXIES", default=[])]
"""Who may say for whom he calls, by X-Forwarded-For and X-Forwarded-Proto."""
if env.list("TRUSTED_ORIGINS", default=[]):
    CSRF_TRUSTED_ORIGINS = env.list("TRUSTED_ORIGINS")

SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^api/health/"]  # probes ask this computer, past the proxy
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS

_HOST = "__Host-" if HTTPS else ""  # no other host of the domain, and nobody on plain HTTP, can set such a cookie
SESSION_COOKIE_NAME = f"{_HOST}sessionid"
CSRF_COOKIE_NAME = f"{_HOST}csrftoken"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "devices.api.problems.forged"

X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
CONTENT_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
"""What a PLC or a user writes can do nothing on a page, even if it got there as markup."""
SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": X_FRAME_OPTIONS,
    "Referrer-Policy": SECURE_REFERRER_POLICY,
    "Cross-Origin-Opener-Policy": SECURE_CROSS_ORIGIN_OPENER_POLICY,
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
}
"""Of every answer, static files and errors included."""

DATA_UPLOAD_MAX_NUMBER_FIELDS = 30_000
"""Of a form; a profile's page has about 20 for each tag. Its bytes are bounded too: DATA_UPLOAD_MAX_MEMORY_SIZE."""

REQUESTS_PER_MINUTE = env.int("REQUESTS_PER_MINUTE", default=0 if IS_TEST else 6000)
"""That one key or user may make of the API; 0: as many as it likes."""
FAILURES_PER_MINUTE = 60 if REQUESTS_PER_MINUTE else 0
"""Requests without a valid key or login that one address may make."""

SESSION_ENGINE = "plcsite.sessions"
SESSION_COOKIE_AGE = 8 * 3600
"""After so many seconds a person logs in again, whatever he did in between."""
SESSION_IDLE_S = 30 * 60
"""Without a request of his for so long, a person logs in again too."""

AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AXES_FAILURE_LIMIT = 5
"""Wrong passwords for one name from one address; five times as many for all names from it (plcsite/logins.py)."""
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"], "ip_address"]
AXES_HANDLER = "plcsite.logins.Handler"
AXES_LOCKOUT_CALLABLE = "plcsite.logins.locked_out"
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False  # who knows the password gets in when the time is over
AXES_RESET_ON_SUCCESS = True
AXES_DISABLE_ACCESS_LOG = True  # the audit has who logged in
AXES_ENABLE_ADMIN = False  # and who failed to
AXES_VERBOSE = False
AXES_SENSITIVE_PARAMETERS = ["username"]  # in the log: some type their password there
AXES_IPWARE_META_PRECEDENCE_ORDER = ["REMOTE_ADDR"]  # plcsite/proxies.py has seen to it

SILENCED_SYSTEM_CHECKS = [
    # They look for stock middleware by name; ours are subclasses of it, or do the same, on the event loop.
    "security.W001",
    "security.W002",
    "security.W003",
    "axes.W002",
]
