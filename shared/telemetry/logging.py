"""JSON logs with a correlation id that crosses services and jobs."""

from __future__ import annotations

import logging
import logging.config
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from uuid import uuid4

import structlog

CORRELATION_HEADER = "X-Correlation-ID"
_ACCEPTABLE = re.compile(r"[A-Za-z0-9._:-]{8,128}")
_TCKN = re.compile(r"(?<!\d)([1-9]\d)\d{7}(\d{2})(?!\d)")

_DEEPEST_MASKED = 6

correlation_id: ContextVar[str] = ContextVar("correlation_id", default="")


def new_correlation_id() -> str:
    """A fresh id, 32 hex digits."""
    return uuid4().hex


@contextmanager
def correlated(value: str | None) -> Iterator[str]:
    """Run a block under a correlation id: the caller's if it is well-formed, else a new one."""
    chosen = value if value and _ACCEPTABLE.fullmatch(value) else new_correlation_id()
    token = correlation_id.set(chosen)
    try:
        yield chosen
    finally:
        correlation_id.reset(token)


def mask_identity_numbers(text: str) -> str:
    """Hide what looks like a national identity number (eleven digits), keeping the ends (legal.md 6)."""
    return _TCKN.sub(r"\1*******\2", text)


def _add_correlation(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    if identifier := correlation_id.get():
        event["correlation_id"] = identifier
    return event


def _mask(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    for key, value in event.items():
        event[key] = _masked(value)
    return event


def _masked(value: Any, depth: int = 0) -> Any:
    if isinstance(value, str):
        return mask_identity_numbers(value)
    if depth > _DEEPEST_MASKED:
        return mask_identity_numbers(repr(value))
    if isinstance(value, Mapping):
        return {_masked(key, depth + 1): _masked(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_masked(item, depth + 1) for item in value]
    return mask_identity_numbers(str(value)) if isinstance(value, BaseException) else value


def configure_logging(service: str, *, level: str, log_format: str) -> None:
    """Send structlog and the standard library's loggers to stderr in one format."""

    def _add_service(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        event["service"] = service
        return event

    before: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _add_service,
        _add_correlation,
        _mask,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[*before, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    stream = logging.StreamHandler(sys.stderr)
    stream.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=before,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [stream]
    root.setLevel(level)
    # Their DEBUG output holds whole envelopes and statements, with passwords (detsis.md 11); their INFO is noise.
    for noisy in ("zeep", "httpx", "httpcore", "aioimaplib", "sqlalchemy", "psycopg", "uvicorn.access", "mail.log"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))
    for chatty in ("procrastinate", "aiosmtpd", "alembic", "pymap", "aiosmtplib", "uvicorn.error", "pyhanko"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))
