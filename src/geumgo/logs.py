"""Where logging is set up: structured lines on stderr, one for each event, with what to do next. Never a value."""

import logging
import sys
from typing import Any

import structlog

from geumgo.sealing.plaintext import Plaintext
from geumgo.settings import Settings

HIDDEN = frozenset(
    {
        "secret",
        "secretstring",
        "secretbinary",
        "plaintext",
        "password",
        "token",
        "authorization",
        "body",
        "params",
        "secretaccesskey",
    }
)


def configure(settings: Settings) -> None:
    """From now on every logger of this process writes as the settings say."""
    level = getattr(logging, settings.log_level.upper())
    render: Any = (
        structlog.processors.JSONRenderer()
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            redact,
            structlog.processors.ExceptionRenderer(
                structlog.tracebacks.ExceptionDictTransformer(show_locals=False, max_frames=20)
            )
            if settings.log_format == "json"
            else structlog.processors.format_exc_info,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(
        level=max(level, logging.WARNING), stream=sys.stderr, format="%(name)s: %(message)s", force=True
    )


def redact(_logger: Any, _method: str, event: Any) -> Any:
    """Drop what must not be seen, whoever logged it by mistake."""
    for name, value in event.items():
        if isinstance(value, Plaintext | bytes) or name.lower().replace("_", "") in HIDDEN:
            event[name] = "***"
    return event
