"""The certificate of the API, and another one in its place while the server runs.

The files are looked at once in a while. A new certificate is taken for every handshake from then on; connections that are there keep
what they were made with. Certificate and key are two files: what does not belong together yet is not taken.
"""

import os
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final, final

import structlog

from geumgo.settings import Settings

log = structlog.get_logger("geumgo.tls")

PROTOCOLS: Final = ["http/1.1"]


@final
class Certificate:
    """TLS 1.2 and 1.3 with the certificate that the settings name. Raises OSError, ssl.SSLError if it cannot be used at the start."""

    def __init__(self, certificate: str, key: str) -> None:
        self._certificate, self._key = certificate, key
        self._seen = self._files()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.set_alpn_protocols(PROTOCOLS)
        self._take()

    def look(self) -> None:
        """A certificate that was put in place of the last one is used from now on. If it cannot be used the log says why."""
        found = self._files()
        if found == self._seen:
            return
        self._seen = found
        try:
            self._take()
        except (OSError, ssl.SSLError) as fault:
            log.error(  # noqa: TRY400  what is wrong with the files is said in full
                "certificate not taken",
                certificate=self._certificate,
                fault=type(fault).__name__,
                detail=str(fault),
                next="the last one is used; put certificate and key in place that belong together",
            )
        else:
            log.info("certificate taken", certificate=self._certificate)

    def _take(self) -> None:
        """What is tried is what is taken, whoever writes to the files meanwhile. If this raises, the context is as it was."""
        with ExitStack() as copies:
            paths = [copies.enter_context(copied(path)) for path in (self._certificate, self._key) if path]
            for context in (ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), self.context):
                context.load_cert_chain(*paths)

    def _files(self) -> list[tuple[int, int, int] | None]:
        return [mark_of(path) for path in (self._certificate, self._key) if path]


@contextmanager
def copied(path: str) -> Iterator[str]:
    """The path of a copy in memory, which nobody else writes to. Raises OSError."""
    descriptor = os.memfd_create("certificate", os.MFD_CLOEXEC)
    try:
        with open(path, "rb") as file, open(descriptor, "wb", closefd=False) as copy:  # noqa: PTH123
            copy.write(file.read())
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def mark_of(path: str) -> tuple[int, int, int] | None:
    """What tells one file from another that lies in its place; None: there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def certificate_of(settings: Settings) -> Certificate | None:
    """None: the settings name none."""
    return Certificate(settings.tls_certificate, settings.tls_key) if settings.tls_certificate else None
