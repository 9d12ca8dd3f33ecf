"""Packages for functions of tests."""

import io
import zipfile


def package(code: str = "", **files: str | bytes) -> bytes:
    """A zip with `code` as app.py, and further files by name."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in {**({"app.py": code} if code else {}), **files}.items():
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))  # the same bytes each time
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            file.writestr(entry, content)
    return made.getvalue()


ECHO = "def handler(event, context):\n    return event\n"
