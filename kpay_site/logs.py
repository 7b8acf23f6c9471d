"""Structured lines on stderr, without personal data."""

import logging
import re
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog

# Openids start with "o" and have 28 characters (`wechat.md` 0); phone numbers of mainland China.
_OPENID = re.compile(r"\bo[A-Za-z0-9_-]{27}\b")
_PHONE = re.compile(r"(?<!\d)1[3-9]\d{9}(?!\d)")
_SECRET = re.compile(
    r"((?:access_token|session_key|secret|js_code|code|refresh|access|Bearer)[\"']?[=: ]+[\"']?)"
    r"[A-Za-z0-9_\-+/=.]{12,}"
)


def redact(text: str) -> str:
    """`text` without openids, phone numbers, tokens and keys."""
    return _SECRET.sub(r"\1***", _PHONE.sub("1**********", _OPENID.sub("o***", text)))


class PersonalDataFilter(logging.Filter):
    """At the root handler: nothing leaves unfiltered (`invariants.md` section 3)."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        cleaned = redact(message)
        if cleaned != message:
            record.msg = cleaned
            record.args = None
        return True


def _redact_event(logger: Any, name: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    return {key: redact(v) if isinstance(v, str) else v for key, v in event.items()}


def formatter() -> logging.Formatter:
    """One logfmt line a record: time, level, logger, request id, message."""
    return structlog.stdlib.ProcessorFormatter(
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _redact_event,
            structlog.processors.LogfmtRenderer(
                key_order=["timestamp", "level", "logger", "event"]
            ),
        ],
        foreign_pre_chain=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.ExtraAdder(),
            structlog.processors.TimeStamper(fmt="iso"),
        ],
    )
