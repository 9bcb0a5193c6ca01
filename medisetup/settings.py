"""Settings: every variable of the environment is read here, once. Production is the default.

Secrets have no default and may come from a file (`NAME_FILE`). `checks.py` refuses what is unsafe.
"""

from datetime import timedelta
from pathlib import Path

import environ
from celery.schedules import schedule
from django.conf.locale import LANG_INFO

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.FileAwareEnv()

DEBUG = env.bool("DEBUG", default=False)
DEMO = env.bool("DEMO", default=False)
SECRET_KEY = env.str("SECRET_KEY")
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
SEALING_KEYS = env.str("SEALING_KEYS")
PORTAL_ORIGIN: str = env.str("PORTAL_ORIGIN")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[])
CSRF_TRUSTED_ORIGINS = [PORTAL_ORIGIN]
# Outside the database: the end of the audit chain, a line each hour, for `verify_audit`.
AUDIT_ANCHOR_FILE = env.str("AUDIT_ANCHOR_FILE", default="")
# Where support reads the rows behind the pages, as in « support/ »; empty: nowhere.
ADMIN_PATH = env.str("ADMIN_PATH", default="")
SECURE = PORTAL_ORIGIN.startswith("https://")

# --- the house -------------------------------------------------------------------------------
INSTALLED_APPS = [
    "accounts.apps.AccountsConfig",
    "practitioners.apps.PractitionersConfig",
    "billing.apps.BillingConfig",
    "ehealth.apps.EhealthConfig",
    "medisetup.apps.MedisetupConfig",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "django.forms",
    # Finds no module by itself and opens no site of its own: `medisetup.support` is the one there is.
    "django.contrib.admin.apps.SimpleAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
]
MIDDLEWARE = [
    "medisetup.security.HeadersMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "accounts.middleware.LanguageMiddleware",
    "medisetup.limits.BodyLimits",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "accounts.middleware.SessionLimits",
    "accounts.middleware.KnownDevice",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "accounts.middleware.Gate",
    "medisetup.security.ForbiddenMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "medisetup.urls"
WSGI_APPLICATION = "medisetup.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "medisetup.navigation.navigation",
            ],
            "builtins": [
                "django.templatetags.i18n",
                "django.templatetags.static",
                "medisetup.templatetags.medisetup",
                "accounts.templatetags.people",
            ],
        },
    }
]
FORM_RENDERER = "medisetup.forms.Renderer"

# --- database --------------------------------------------------------------------------------
DATABASES = {"default": env.db_url("DATABASE_URL", engine="django.db.backends.postgresql")}
DATABASES["default"] |= {
    "CONN_MAX_AGE": 60,
    "CONN_HEALTH_CHECKS": True,
    "OPTIONS": {
        "connect_timeout": 3,
        # A peer that has vanished without a word is an error after some ten seconds, not after hours.
        "keepalives": 1,
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "tcp_user_timeout": 8_000,
        # Readiness is many small look-ups: no compilation, and the cost of a disk that need not seek.
        "options": "-c jit=off -c random_page_cost=1.1 -c statement_timeout=30000 -c lock_timeout=5000"
        " -c idle_in_transaction_session_timeout=30000",
    },
}

# --- sign-in ---------------------------------------------------------------------------------
AUTH_USER_MODEL = "accounts.User"
# Unique is `login_key`, the canonical form; the login itself keeps the case it was typed in.
SILENCED_SYSTEM_CHECKS = ["auth.W004"]
AUTHENTICATION_BACKENDS = ["accounts.signin.LoginBackend"]
PASSWORD_HASHERS = [
    "accounts.hashing.Argon2",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [{"NAME": "accounts.passwords.SeedPasswordValidator"}]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "home"
PASSWORD_RESET_TIMEOUT = 30 * 60
ACCOUNT_ADAPTER = "accounts.signin.Adapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = "login"
ACCOUNT_USER_MODEL_EMAIL_FIELD = "email"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"  # a verified address is an item of the checklist, not a gate
ACCOUNT_EMAIL_CONFIRMATION_EXPIRE_DAYS = 3
ACCOUNT_CHANGE_EMAIL = True
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_LOGOUT_ON_PASSWORD_CHANGE = False
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_REAUTHENTICATION_TIMEOUT = 600
ACCOUNT_SESSION_REMEMBER = False
ACCOUNT_LOGIN_ON_PASSWORD_RESET = False
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "https" if SECURE else "http"
ACCOUNT_FORMS = {
    "login": "accounts.signin.LoginForm",
    "reset_password": "accounts.signin.ResetPasswordForm",
    "reset_password_from_key": "accounts.signin.NewPasswordForm",
    "reauthenticate": "accounts.signin.ReauthenticateForm",
}
ACCOUNT_RATE_LIMITS = {
    "login": "50/s",
    "login_failed": "10/15m/key,100/15m/ip",
    "reset_password": "10/h/ip,3/h/key",
    "reset_password_from_key": "20/h/ip",
    "reauthenticate": "10/15m/user",
    "change_password": "5/15m/user",
    "manage_email": "10/15m/user",
    "confirm_email": "1/3m/key",
}
ALLAUTH_TRUSTED_PROXY_COUNT: int = env.int("TRUSTED_PROXY_COUNT", default=0)

SESSION_ENGINE = "accounts.sessions"
SESSION_COOKIE_NAME = "__Host-sessionid" if SECURE else "sessionid"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = SECURE
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = LANGUAGE_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_HTTPONLY = LANGUAGE_COOKIE_HTTPONLY = True
CSRF_COOKIE_NAME = "__Host-csrftoken" if SECURE else "csrftoken"
CSRF_COOKIE_HTTPONLY = True
SESSION_IDLE = timedelta(minutes=30)
SESSION_ABSOLUTE = timedelta(hours=12)
SESSION_COOKIE_AGE = int(SESSION_ABSOLUTE.total_seconds())
# Throttles must outlive the broker, so the cache is a table.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "throttle_cache",
        # Past its default of 300 rows the cache would throw limits away, which a guesser could provoke.
        "OPTIONS": {"MAX_ENTRIES": 200_000},
    }
}
KEY_SESSION_PROOF = env.str("KEY_SESSION_PROOF", default="required")  # required | warn | off

# --- headers, limits -------------------------------------------------------------------------
SECURE_SSL_REDIRECT = SECURE
SECURE_HSTS_SECONDS = 63072000 if SECURE else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = SECURE
SECURE_REFERRER_POLICY = "same-origin"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if ALLAUTH_TRUSTED_PROXY_COUNT else None
SECURE_REDIRECT_EXEMPT = [r"^health/"]
X_FRAME_OPTIONS = "DENY"
CSRF_FAILURE_VIEW = "medisetup.views.csrf_failure"
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
# Eight addresses with eight telecoms each are the largest form.
DATA_UPLOAD_MAX_NUMBER_FIELDS = 400
DATA_UPLOAD_MAX_NUMBER_FILES = 5
# Keystores never touch a disk.
FILE_UPLOAD_HANDLERS = ["accounts.uploads.MemoryOnlyHandler"]

# --- static files ----------------------------------------------------------------------------
STATIC_URL = "/static/"
STATIC_ROOT = env.path("STATIC_ROOT", default=str(BASE_DIR / "staticfiles"))()
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "medisetup.static.Storage"
    },
}

# --- languages -------------------------------------------------------------------------------
LANGUAGE_CODE = "fr"
LANGUAGES = [(code, LANG_INFO[code]["name_local"].capitalize()) for code in ("fr", "nl", "de", "en")]
LOCALE_PATHS = [BASE_DIR / "locale"]
FORMAT_MODULE_PATH = "medisetup.formats"
USE_TZ = True
TIME_ZONE = "Europe/Brussels"

# --- mail ------------------------------------------------------------------------------------
EMAIL_CONFIG = env.email_url("EMAIL_URL", default="smtp://localhost:25")
vars().update(EMAIL_CONFIG)
OUTBOX_DIR = env.str("OUTBOX_DIR", default="")
if OUTBOX_DIR:
    EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    EMAIL_FILE_PATH = OUTBOX_DIR
# Where the demonstration puts its keystores and key files; the sign-in page names the folder.
DEMO_DIR = Path(OUTBOX_DIR).parent / "demo" if DEMO else None
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="medisetup <noreply@localhost>")
SUPPORT_EMAIL = env.str("SUPPORT_EMAIL", default="support@localhost")

# --- background work -------------------------------------------------------------------------
CELERY_BROKER_URL = env.str("REDIS_URL")
CELERY_TASK_ACKS_LATE = CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_TIME_LIMIT = 60
CELERY_TASK_SOFT_TIME_LIMIT = 45
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_PUBLISH_RETRY_POLICY = {
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0.1,
    "interval_max": 0.1,
}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 180,
    "socket_timeout": 2,
    "socket_connect_timeout": 2,
    "socket_keepalive": True,
    "unacked_restore_interval": 10,
    "unacked_restore_throttle": 1,
    # A dead broker costs a request less than a second; the row and the sweep are the truth.
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0.1,
    "interval_max": 0.1,
}
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_WORKER_MAX_TASKS_PER_CHILD = 500
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TASK_DEFAULT_QUEUE = "interactive"
CELERY_TASK_ROUTES = {"ehealth.tasks.poll_due_mailboxes": {"queue": "poll"}}
CELERY_BEAT_MAX_LOOP_INTERVAL = 5
CELERY_TIMEZONE = "UTC"
SWEEP_SECONDS = env.int("SWEEP_SECONDS", default=30)


def every(task: str, seconds: int, queue: str = "") -> dict[str, object]:
    """One line of the beat table; a message that waited a whole period is stale.

    With `queue` it goes there, and the task is told.
    """
    line = {"task": task, "schedule": schedule(timedelta(seconds=seconds)), "options": {"expires": seconds}}
    if queue:
        line |= {"kwargs": {"queue": queue}, "options": {"expires": seconds, "queue": queue}}
    return line


CELERY_BEAT_SCHEDULE = {
    "sweep eDMG": every("ehealth.tasks.sweep_registrations", SWEEP_SECONDS),
    "sweep connections": every("ehealth.tasks.sweep_connections", SWEEP_SECONDS),
    "remind of certificates": every("ehealth.tasks.remind_of_certificates", 3600),
    "poll mailboxes": every("ehealth.tasks.poll_due_mailboxes", SWEEP_SECONDS),
    "note who is ready": every("medisetup.tasks.note_ready", 3600),
    "send mails": every("accounts.tasks.send_due_mails", SWEEP_SECONDS),
    "tell of lost supervisors": every("billing.tasks.tell_of_lost_supervisors", SWEEP_SECONDS),
    "take up imports of people": every("practitioners.tasks.sweep_imports", SWEEP_SECONDS),
    "sweep licences": every("accounts.tasks.sweep_licences", 3600),
    "lengthen the audit chain": every("accounts.tasks.lengthen_audit_chain", 60),
    "anchor the audit chain": every("accounts.tasks.anchor_audit_chain", 3600),
    "heartbeat": every("medisetup.tasks.leave_heartbeat", 60, "interactive"),
    "heartbeat of the poller": every("medisetup.tasks.leave_heartbeat", 60, "poll"),
    "purge": every("accounts.tasks.purge_expired", 3600),
}

# --- the eHealth platform --------------------------------------------------------------------
EHEALTH_ENVIRONMENT = env.str("EHEALTH_ENVIRONMENT", default="production")
EHEALTH_BASE_URLS = env.list("EHEALTH_BASE_URL", default=["https://services.ehealth.fgov.be"])
EHEALTH_ISSUERS_FILE = env.str("EHEALTH_ISSUERS_FILE")
EHEALTH_STS_CERTIFICATES_FILE = env.str("EHEALTH_STS_CERTIFICATES_FILE")
EHEALTH_TLS_CA_FILE = env.str("EHEALTH_TLS_CA_FILE", default="")
EHEALTH_LICENCE_NAME = env.str("EHEALTH_LICENCE_NAME")
EHEALTH_LICENCE_USERNAME = env.str("EHEALTH_LICENCE_USERNAME")
EHEALTH_LICENCE_PASSWORD = env.str("EHEALTH_LICENCE_PASSWORD")
EHEALTH_TIMEOUTS = env.tuple("EHEALTH_TIMEOUTS", cast=float, default=(5.0, 15.0, 30.0))  # connect, read, call
# Keeps every message of the simulation in files, to be checked against the official schemas.
EHEALTH_CAPTURE_DIR = env.str("EHEALTH_CAPTURE_DIR", default="")
MAILBOX_INTERVAL = timedelta(minutes=15)
MAILBOX_BATCH = 100
MAILBOX_THREADS = 25

# --- logs ------------------------------------------------------------------------------------
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "medisetup.logs.JsonFormatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {
        "zeep": {"level": "WARNING"},
        "urllib3": {"level": "WARNING"},
        "django.request": {"level": "ERROR"},
    },
}
