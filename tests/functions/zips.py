"""Packages for functions of tests."""

import io
import zipfile


def package(code: str = "", **files: str | bytes) -> bytes:
    """A zip with `code` as app.py, and further files by name."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in {**({"app.py": code} if code else {}), **files}.items():
            file.writestr(name, content)
    return made.getvalue()


ECHO = "def handler(event, context):\n    return event\n"
