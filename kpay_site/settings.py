"""Django settings: composition only. Values come from `env`; importing this starts nothing."""

import django_stubs_ext

from kpay_site import env

django_stubs_ext.monkeypatch()

BASE_DIR = env.BASE_DIR
KPAY = env.load()
SECRET_KEY = env.secret_key(KPAY.env)
DEBUG = False
ALLOWED_HOSTS = (
    env.text("KPAY_ALLOWED_HOSTS").split(",")
    if env.text("KPAY_ALLOWED_HOSTS")
    else [KPAY.public_base_url.split("://")[-1].split(":")[0].split("/")[0]]
)
if not KPAY.production:
    ALLOWED_HOSTS += ["127.0.0.1", "localhost", "testserver", "[::1]"]

INSTALLED_APPS = [
    "kpay_site.apps.KpaySiteConfig",
    "dashboard",
    "simulation",
    "messaging",
    "recommender",
    "incentives",
    "experiments",
    "feedback",
    "content",
    "payments",
    "accounts",
    "wechat",
    "kernel",
    "unfold",
    "unfold.contrib.filters",
    "unfold.contrib.import_export",
    "django.contrib.admin.apps.SimpleAdminConfig",  # kpay_site.admin_urls discovers
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "import_export",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_prometheus",
]

MIDDLEWARE = [
    "kernel.requests.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "kpay_site.middleware.Sessions",
    "kpay_site.middleware.Locale",
    "django.middleware.common.CommonMiddleware",
    "kpay_site.middleware.Csrf",
    "kpay_site.middleware.Auth",
    "kpay_site.middleware.Messages",
    "kpay_site.middleware.Frames",
    "kpay_site.middleware.PlainQueries",
]

ROOT_URLCONF = "kpay_site.urls"
WSGI_APPLICATION = "kpay_site.wsgi.application"
APPEND_SLASH = True

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [],
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

DATABASES = {"default": env.database_settings(env.database_url())}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "accounts.User"
LOGIN_REDIRECT_URL = "/admin/"  # who opens the login page itself
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

CACHES = {
    "default": (
        {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": KPAY.cache_url}
        if KPAY.cache_url
        else {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}
    )
}

LANGUAGE_CODE = "zh-hans"
LANGUAGES = [("zh-hans", "简体中文"), ("en", "English")]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = "Asia/Shanghai"
USE_TZ = True

STATIC_URL = "/static/"
# Development serves what the finders find; production what collectstatic gathered.
STATIC_ROOT = env.text("KPAY_STATIC_ROOT") or (
    str(BASE_DIR / "staticfiles") if KPAY.production else None
)
MEDIA_ROOT = env.text("KPAY_MEDIA_ROOT") or env.STATE_DIR / "media"
WHITENOISE_USE_FINDERS = not KPAY.production
WHITENOISE_AUTOREFRESH = False

SESSION_ENGINE = "kpay_site.sessions"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = KPAY.production
CSRF_COOKIE_SECURE = KPAY.production
SECURE_SSL_REDIRECT = KPAY.production and env.flag("KPAY_SSL_REDIRECT", True)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_HSTS_SECONDS = 31_536_000 if KPAY.production else 0
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
CSRF_TRUSTED_ORIGINS = [KPAY.public_base_url] if KPAY.public_base_url.startswith("http") else []
X_FRAME_OPTIONS = "SAMEORIGIN"
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
# A form of the admin may hold a course with twelve lessons.
DATA_UPLOAD_MAX_NUMBER_FIELDS = 4000

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["accounts.authentication.BearerAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": ["kernel.wire.codecs.JSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["kernel.wire.codecs.JSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "kernel.api.views.exception_handler",
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "kernel.wire.negotiation.JSONOnly",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
    "TEST_REQUEST_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "UNAUTHENTICATED_USER": None,
}

SPECTACULAR_SETTINGS = {
    "TITLE": "KPay",
    "DESCRIPTION": "微信内知识付费的开放后端：登录、内容、推荐、支付、积分与优惠。",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": [],
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SCHEMA_PATH_PREFIX_TRIM": False,
    "COMPONENT_SPLIT_REQUEST": True,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "kpay_site.schema.add_error_replies",
        "kpay_site.examples.add",
    ],
    "ENUM_NAME_OVERRIDES": {
        "ProductKindEnum": "payments.models.Product.Kind",
        "ChannelEnum": "payments.models.products.Channel",
        "CourseKindEnum": "content.models.Course.Kind",
        "LessonKindEnum": "content.models.Lesson.Kind",
        "PointEntryKindEnum": "incentives.models.PointEntry.Kind",
        "OrderStatusEnum": "payments.models.Order.Status",
        "RefundStatusEnum": "payments.models.Refund.Status",
        "GiftStatusEnum": "payments.models.Gift.Status",
        "GroupStatusEnum": "payments.models.Group.Status",
        "InvoiceStatusEnum": "payments.models.Invoice.Status",
        "InvoiceKindEnum": "payments.models.Invoice.Kind",
    },
}

CELERY_BROKER_URL = env.broker_url(env.database_url())
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_CREATE_MISSING_QUEUES = True
CELERY_TASK_ROUTES = {
    "recommender.train": {"queue": "train"},
    "recommender.score_shards": {"queue": "batch"},
}
CELERY_TASK_TIME_LIMIT = 100
CELERY_TIMEZONE = "Asia/Shanghai"
CELERY_ENABLE_UTC = True
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 10
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
# In memory: what is due once a day asks the tables whether it was done, so a restart loses nothing.
CELERY_BEAT_SCHEDULER = "celery.beat:Scheduler"
QUEUE_APP = "kpay_site.celery.app"
# Measured per broker: what a killed worker's task waits for (docs/dependencies.md).
_TRANSPORT: dict[str, dict[str, object]] = {
    "pgmq": {
        "init_extension": False,
        "visibility_timeout": 120,
        "use_notify": True,
        "wait_time_seconds": 1,
        "polling_interval": 1,
        "pool_size": 4,
    },
    "redis": {"visibility_timeout": 120, "unacked_restore_interval": 1},
}
CELERY_BROKER_TRANSPORT_OPTIONS = _TRANSPORT.get(CELERY_BROKER_URL.split("://")[0].rstrip("s"), {})
if CELERY_BROKER_URL.startswith("amqp"):
    CELERY_TASK_DEFAULT_QUEUE_TYPE = "quorum"
    CELERY_TASK_CREATE_MISSING_QUEUE_TYPE = "quorum"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"personal": {"()": "kpay_site.logs.PersonalDataFilter"}},
    "formatters": {"line": {"()": "kpay_site.logs.formatter"}},
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": "line",
            "filters": ["personal"],
        }
    },
    "root": {"handlers": ["console"], "level": env.text("KPAY_LOG_LEVEL", "INFO")},
    "loggers": {
        "django.request": {"level": "ERROR"},
        "django.server": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.beat": {"level": "WARNING"},
        "kombu": {"level": "WARNING"},
    },
}

from kpay_site.admin_theme import UNFOLD  # noqa: E402, F401
