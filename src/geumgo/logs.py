"""Where logging is set up: structured lines on stderr, one for each event, with what to do next. Never a value."""

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any, Final

import structlog

from geumgo.sealing.plaintext import Plaintext
from geumgo.settings import Settings

STARS: Final = "***"
DEPTH: Final = 6
HIDDEN: Final = re.compile(
    r"secret|secretstring|secretbinary|secretaccesskey|secretkey|plaintext|password|passphrase|.*password|.*token|authorization|body|params"
)
"""Names, in small letters without - and _, under which a value may stand that must not be seen."""


def configure(settings: Settings) -> None:
    """From now on every logger of this process writes as the settings say, those of libraries from warnings on."""
    level = getattr(logging, settings.log_level.upper())
    shared: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        redact,
        *rendering(settings.log_format),
    ]
    structlog.configure(
        processors=shared,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[Library()], force=True)


def rendering(form: str) -> list[Any]:
    if form == "text":
        return [
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)
        ]
    frames = structlog.tracebacks.ExceptionDictTransformer(show_locals=False, max_frames=20)
    return [structlog.processors.ExceptionRenderer(frames), structlog.processors.JSONRenderer(default=repr)]


class Library(logging.Handler):
    """What libraries log goes the same way."""

    def emit(self, record: logging.LogRecord) -> None:
        logger = structlog.get_logger()
        name = record.levelname.lower()
        write = getattr(logger, name if name in ("warning", "error", "critical") else "info")
        write(record.getMessage(), logger=record.name, exc_info=record.exc_info or None)


def redact(_logger: Any, _method: str, event: Any) -> Any:
    """Drop what must not be seen, whoever logged it by mistake."""
    return {name: value if name == "exc_info" else seen(name, value, DEPTH) for name, value in event.items()}


def seen(name: str, value: Any, depth: int) -> Any:
    if isinstance(value, Plaintext | bytes) or not depth or HIDDEN.fullmatch(re.sub("[-_]", "", name.lower())):
        return STARS
    if isinstance(value, Mapping):
        return {key: seen(str(key), each, depth - 1) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [seen("", each, depth - 1) for each in value]
    return value
