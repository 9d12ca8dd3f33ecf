"""Node.js for tests: the runtime that the machine's serves, and packages."""

from typing import Final

import pytest

from geumgo.functions import NotRun
from geumgo.functions.runtimes import find_node
from tests.functions.zips import package


def _major() -> int:
    try:
        return find_node().major
    except NotRun:
        return 0


MAJOR: Final = _major()
RUNTIME: Final = "nodejs20.x" if MAJOR >= 20 else "nodejs18.x"

needs_node = pytest.mark.skipif(not MAJOR, reason="this machine has no Node.js 18 or newer")


def node_package(code: str, name: str = "app.js", **files: str | bytes) -> bytes:
    """A zip with `code` as the file `name`, and further files."""
    return package("", **{name: code, **files})
