"""The one place that reads the environment. Everything else gets frozen values."""

import base64
import binascii
import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent
STATE_DIR = Path(os.environ.get("KPAY_STATE_DIR", BASE_DIR / ".kpay"))
EXAMPLE_SECRET = "change-me-in-production"  # noqa: S105  (refused by production)
EMBEDDED_PORT = 54329


@dataclass(frozen=True)
class WeChatSettings:
    """Credentials of the mini-program (mp), the official account (oa), WeChat Pay and xpay."""

    mp_appid: str
    mp_secret: str = field(repr=False)
    mp_token: str = field(repr=False)
    mp_aes_key: str = field(repr=False)
    oa_appid: str
    oa_secret: str = field(repr=False)
    oa_token: str = field(repr=False)
    oa_aes_key: str = field(repr=False)
    mchid: str
    mch_serial: str
    mch_key_file: str
    apiv3_key: str = field(repr=False)
    apiv2_key: str = field(repr=False)
    pay_public_key_id: str
    pay_public_key_file: str
    pay_cert_dir: str
    # virtual payment; empty where a shop does without it
    xpay_offer_id: str
    xpay_app_key: str = field(repr=False)
    xpay_app_key_sandbox: str = field(repr=False)
    xpay_env: int  # 0 live, 1 sandbox
    api_base: str
    pay_base: str


@dataclass(frozen=True)
class KpaySettings:
    """Everything of KPay's own that the environment decides."""

    env: str
    public_base_url: str
    cache_url: str
    clock_offset_file: str
    rate_limits: bool
    model_dir: Path
    field_keys: tuple[tuple[str, bytes], ...] = field(repr=False)
    wechat: WeChatSettings
    access_token_seconds: int
    refresh_token_seconds: int
    play_ticket_seconds: int
    login_per_minute: int
    order_expiry_seconds: int
    quote_expiry_seconds: int
    query_plan_seconds: tuple[int, ...]
    sweep_seconds: int
    model_reload_seconds: int
    refund_auto_limit_fen: int
    gift_days: int
    points_value_fen: int
    points_cap_bp: int
    rating_watched_percent: int
    http_timeout: tuple[float, float]
    # calls to one upstream: failures in a row, then seconds without any call
    breaker_failures: int
    breaker_seconds: int
    train_threads: int
    # where `spark_ials` is fitted, the folder its executors see, their heap, the longest fit
    spark_master: str
    spark_dir: Path | None
    spark_memory: str
    spark_seconds: int
    java_home: str
    # reverse proxies in front of the web process that append to X-Forwarded-For
    proxy_hops: int
    # the platform holds payments of this mini-program back until deliveries are uploaded
    trade_managed: bool
    # virtual payment: seconds from an item's publication until it may be sold, and its picture
    xpay_quiet_seconds: int
    xpay_item_image: str
    # thresholds of the recommender's cleaning, its interaction matrix, its drift: by name
    cleaning: dict[str, float]
    matrix: dict[str, float]
    drift: dict[str, float]
    # further blocks about courses that models learn from, as dotted paths, and a file of vectors
    content_blocks: tuple[str, ...]
    item_vectors: str

    @property
    def production(self) -> bool:
        return self.env == "production"


def text(name: str, default: str = "") -> str:
    return os.environ.get(name, default).strip()


def number(name: str, default: int) -> int:
    raw = text(name, str(default))
    if not raw.lstrip("-").isdigit():
        raise ImproperlyConfigured(f"{name} must be an integer, not {raw!r}")
    return int(raw)


def names(name: str) -> tuple[str, ...]:
    """What stands between commas, without blanks."""
    return tuple(part.strip() for part in text(name).split(",") if part.strip())


def numbers(name: str) -> dict[str, float]:
    """Named numbers, `{"name": 1.5}`; empty: every default holds."""
    try:
        told = json.loads(text(name) or "{}")
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} is not JSON: {error}") from error
    if not isinstance(told, dict) or not all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in told.values()
    ):
        raise ImproperlyConfigured(f'{name} is a JSON object of numbers, like {{"name": 1.5}}')
    return told


def flag(name: str, default: bool) -> bool:
    raw = text(name, "on" if default else "off").lower()
    if raw not in {"on", "off", "true", "false", "1", "0", "yes", "no"}:
        raise ImproperlyConfigured(f"{name} must be on or off, not {raw!r}")
    return raw in {"on", "true", "1", "yes"}


def embedded_url() -> str:
    """Where the embedded PostgreSQL serves when no DATABASE_URL is set."""
    return f"postgresql://kpay@127.0.0.1:{number('KPAY_PG_PORT', EMBEDDED_PORT)}/kpay"


def database_url() -> str:
    return text("DATABASE_URL") or embedded_url()


def database_settings(url: str) -> dict[str, object]:
    """Django's DATABASES entry for a postgresql:// address."""
    parts = urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql"} or not parts.path.strip("/"):
        raise ImproperlyConfigured("DATABASE_URL must look like postgresql://user@host:5432/name")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.strip("/"),
        "USER": parts.username or "",
        "PASSWORD": parts.password or "",
        "HOST": parts.hostname or "",
        "PORT": str(parts.port or ""),
        "CONN_MAX_AGE": number("KPAY_DB_CONN_MAX_AGE", 600),
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            "connect_timeout": 5,
            "application_name": "kpay",
            # Lets `kernel.sql` prepare; Django's own cursors bind on the client and never do.
            "prepare_threshold": 5 if flag("KPAY_DB_PREPARE", True) else None,
        },
        "TEST": {"NAME": text("KPAY_TEST_DB", "test_kpay")},
    }


def broker_url(database: str) -> str:
    """The queue's address; without one it lives in the same PostgreSQL (pgmq)."""
    given = text("CELERY_BROKER_URL")
    if given:
        return given
    parts = urlsplit(database)
    user = quote(parts.username or "", safe="")
    password = f":{quote(parts.password, safe='')}" if parts.password else ""
    return f"pgmq://{user}{password}@{parts.hostname}:{parts.port or 5432}{parts.path}"


def _field_keys(env: str, secret: str) -> tuple[tuple[str, bytes], ...]:
    raw = text("KPAY_FIELD_KEYS")
    if not raw:
        if env == "production":
            raise ImproperlyConfigured("KPAY_FIELD_KEYS is missing")
        return (("dev", hashlib.sha256(f"field:{secret}".encode()).digest()),)
    keys = []
    for part in raw.split(","):
        key_id, _, body = part.strip().partition(":")
        try:
            key = base64.b64decode(body, validate=True)
        except binascii.Error as error:
            raise ImproperlyConfigured("KPAY_FIELD_KEYS is id:base64(32 bytes), …") from error
        if not key_id or len(key) != 32:
            raise ImproperlyConfigured("KPAY_FIELD_KEYS is id:base64(32 bytes), comma separated")
        keys.append((key_id, key))
    return tuple(keys)


def _wechat() -> WeChatSettings:
    def of(name: str) -> str:
        return text(f"KPAY_WECHAT_{name}")

    return WeChatSettings(
        mp_appid=of("MP_APPID"),
        mp_secret=of("MP_SECRET"),
        mp_token=of("MP_TOKEN"),
        mp_aes_key=of("MP_AES_KEY"),
        oa_appid=of("OA_APPID"),
        oa_secret=of("OA_SECRET"),
        oa_token=of("OA_TOKEN"),
        oa_aes_key=of("OA_AES_KEY"),
        mchid=of("MCHID"),
        mch_serial=of("MCH_SERIAL"),
        mch_key_file=of("MCH_KEY_FILE"),
        apiv3_key=of("APIV3_KEY"),
        apiv2_key=of("APIV2_KEY"),
        pay_public_key_id=of("PAY_PUBLIC_KEY_ID"),
        pay_public_key_file=of("PAY_PUBLIC_KEY_FILE"),
        pay_cert_dir=of("PAY_CERT_DIR"),
        xpay_offer_id=text("KPAY_XPAY_OFFER_ID"),
        xpay_app_key=text("KPAY_XPAY_APP_KEY"),
        xpay_app_key_sandbox=text("KPAY_XPAY_APP_KEY_SANDBOX"),
        xpay_env=number("KPAY_XPAY_ENV", 0),
        api_base=text("KPAY_WECHAT_API_BASE", "https://api.weixin.qq.com").rstrip("/"),
        pay_base=text("KPAY_WECHAT_PAY_BASE", "https://api.mch.weixin.qq.com").rstrip("/"),
    )


def environment() -> str:
    env = text("KPAY_ENV", "development")
    if env not in {"production", "development", "test"}:
        raise ImproperlyConfigured("KPAY_ENV is production, development or test")
    return env


def secret_key(env: str) -> str:
    secret = text("KPAY_SECRET_KEY", "" if env == "production" else EXAMPLE_SECRET)
    if env == "production" and (len(secret) < 32 or secret == EXAMPLE_SECRET):
        raise ImproperlyConfigured("KPAY_SECRET_KEY is missing, too short or the example's")
    return secret


def _xpay_check(wechat: WeChatSettings) -> None:
    """Virtual payment is configured whole or not at all."""
    if wechat.xpay_env not in {0, 1}:
        raise ImproperlyConfigured("KPAY_XPAY_ENV is 0 (live) or 1 (sandbox)")
    name, key = (
        ("KPAY_XPAY_APP_KEY_SANDBOX", wechat.xpay_app_key_sandbox)
        if wechat.xpay_env
        else ("KPAY_XPAY_APP_KEY", wechat.xpay_app_key)
    )
    if wechat.xpay_offer_id and not key:
        raise ImproperlyConfigured(f"KPAY_XPAY_OFFER_ID is set, {name} is missing")
    if (wechat.xpay_app_key or wechat.xpay_app_key_sandbox) and not wechat.xpay_offer_id:
        raise ImproperlyConfigured("KPAY_XPAY_OFFER_ID is missing, an app key is set")


def _production_check(kpay: KpaySettings) -> None:
    """Production refuses to start half configured (contract section 7)."""
    wechat = kpay.wechat
    required = {
        "KPAY_WECHAT_MP_APPID": wechat.mp_appid,
        "KPAY_WECHAT_MP_SECRET": wechat.mp_secret,
        "KPAY_WECHAT_OA_APPID": wechat.oa_appid,
        "KPAY_WECHAT_OA_SECRET": wechat.oa_secret,
        "KPAY_WECHAT_OA_TOKEN": wechat.oa_token,
        "KPAY_WECHAT_MCHID": wechat.mchid,
        "KPAY_WECHAT_MCH_SERIAL": wechat.mch_serial,
        "KPAY_WECHAT_MCH_KEY_FILE": wechat.mch_key_file,
        "KPAY_WECHAT_APIV3_KEY": wechat.apiv3_key,
    }
    missing = [name for name, value in required.items() if not value or value == EXAMPLE_SECRET]
    if not (wechat.pay_public_key_id and wechat.pay_public_key_file) and not wechat.pay_cert_dir:
        missing.append("KPAY_WECHAT_PAY_PUBLIC_KEY_ID and _FILE, or KPAY_WECHAT_PAY_CERT_DIR")
    if not kpay.public_base_url.startswith("https://"):
        missing.append("KPAY_PUBLIC_BASE_URL (https://…)")
    if not text("DATABASE_URL"):
        missing.append("DATABASE_URL")
    if wechat.xpay_offer_id and wechat.xpay_env:
        missing.append("KPAY_XPAY_ENV=0 (1 sells for test money)")
    if missing:
        raise ImproperlyConfigured("production needs " + ", ".join(missing))


def load() -> KpaySettings:
    """The settings, checked. Raises ImproperlyConfigured naming what is wrong."""
    env = environment()
    plan = text("KPAY_QUERY_PLAN_SECONDS", "5,30,60,180,300,600,1800")
    kpay = KpaySettings(
        env=env,
        public_base_url=text("KPAY_PUBLIC_BASE_URL", "http://127.0.0.1:8000").rstrip("/"),
        cache_url=text("CACHE_URL"),
        clock_offset_file=text("KPAY_CLOCK_OFFSET_FILE") if env == "test" else "",
        rate_limits=flag("KPAY_RATE_LIMITS", True) if env == "test" else True,
        model_dir=Path(text("KPAY_MODEL_DIR") or STATE_DIR / "models"),
        field_keys=_field_keys(env, secret_key(env)),
        wechat=_wechat(),
        access_token_seconds=number("KPAY_ACCESS_TOKEN_SECONDS", 7200),
        refresh_token_seconds=number("KPAY_REFRESH_TOKEN_SECONDS", 30 * 86400),
        play_ticket_seconds=number("KPAY_PLAY_TICKET_SECONDS", 600),
        login_per_minute=number("KPAY_LOGIN_PER_MINUTE", 120),
        order_expiry_seconds=number("KPAY_ORDER_EXPIRY_SECONDS", 1800),
        quote_expiry_seconds=number("KPAY_QUOTE_EXPIRY_SECONDS", 900),
        query_plan_seconds=tuple(int(part) for part in plan.split(",")),
        sweep_seconds=number("KPAY_SWEEP_SECONDS", 5),
        model_reload_seconds=number("KPAY_MODEL_RELOAD_SECONDS", 2),
        refund_auto_limit_fen=number("KPAY_REFUND_AUTO_LIMIT_FEN", 50_000),
        gift_days=number("KPAY_GIFT_DAYS", 30),
        points_value_fen=number("KPAY_POINTS_VALUE_FEN", 1),
        points_cap_bp=number("KPAY_POINTS_CAP_BP", 3000),
        rating_watched_percent=number("KPAY_RATING_WATCHED_PERCENT", 30),
        http_timeout=(
            number("KPAY_HTTP_CONNECT_MS", 3000) / 1000,
            number("KPAY_HTTP_READ_MS", 8000) / 1000,
        ),
        breaker_failures=number("KPAY_BREAKER_FAILURES", 10),
        breaker_seconds=number("KPAY_BREAKER_SECONDS", 3),
        train_threads=number("KPAY_TRAIN_THREADS", 2),
        spark_master=text("KPAY_SPARK_MASTER", "local[*]"),
        spark_dir=Path(text("KPAY_SPARK_DIR")) if text("KPAY_SPARK_DIR") else None,
        spark_memory=text("KPAY_SPARK_MEMORY", "2g"),
        spark_seconds=number("KPAY_SPARK_SECONDS", 6 * 3600),
        java_home=text("JAVA_HOME"),
        proxy_hops=number("KPAY_PROXY_HOPS", 0),
        trade_managed=flag("KPAY_TRADE_MANAGED", False),
        xpay_quiet_seconds=number("KPAY_XPAY_QUIET_SECONDS", 1800),
        xpay_item_image=text("KPAY_XPAY_ITEM_IMAGE"),
        cleaning=numbers("KPAY_CLEANING"),
        matrix=numbers("KPAY_MATRIX"),
        drift=numbers("KPAY_DRIFT"),
        content_blocks=names("KPAY_CONTENT_BLOCKS"),
        item_vectors=text("KPAY_ITEM_VECTORS"),
    )
    _xpay_check(kpay.wechat)
    if kpay.production:
        _production_check(kpay)
    return kpay
