"""Packages are read before anything of them is unpacked."""

import io
import stat
import zipfile

import pytest

from geumgo.functions import package as packages
from geumgo.functions.package import BadPackage
from tests.functions.zips import ECHO, package


def named(*names: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        for name in names:
            file.writestr(name, b"x")
    return made.getvalue()


def with_mode(mode: int) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        entry = zipfile.ZipInfo("app.py")
        entry.external_attr = mode << 16
        file.writestr(entry, b"/etc/passwd")
    return made.getvalue()


def bomb() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("zeros", bytes(8 << 20))
    return made.getvalue()


def overlapping() -> bytes:
    """Two entries of the directory that share one file, as in the zip bomb of 2019."""
    made = bytearray(named("first.py", "other.py"))
    second = made.rindex(b"PK\x01\x02")
    first = made.index(b"PK\x01\x02")
    made[second + 42 : second + 46] = made[first + 42 : first + 46]
    return bytes(made)


def lying(size: int) -> bytes:
    made = bytearray(named("app.py"))
    at = made.index(b"PK\x01\x02") + 24
    made[at : at + 4] = size.to_bytes(4, "little")
    return bytes(made)


def test_what_is_in_order_is_measured() -> None:
    assert packages.read(package(ECHO)) == len(ECHO)
    assert packages.read(named("a/b/c.py", "a/", "a/d.py")) == 3
    assert packages.read(with_mode(stat.S_IFREG | 0o644)) == 11


def test_many_small_files_take_whole_pages() -> None:
    found = packages.measure(named(*(f"{number}.js" for number in range(1_000))))
    assert (found.bytes, found.room) == (1_000, 1_000 * packages.PAGE)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"PK", b"x" * 100, package(ECHO)[:-10],
        named("../app.py"), named("a/../../app.py"), named("/etc/passwd"), named("a//b"), named("./a"), named("a\\b"), named("a\nb"),
        named("app.py", "APP.PY"), named("a", "a/"),
        with_mode(stat.S_IFLNK | 0o777), with_mode(stat.S_IFCHR | 0o666), with_mode(stat.S_IFIFO | 0o666),
        bomb(), overlapping(), lying(400 << 20),
    ],
)  # fmt: skip
def test_what_could_do_harm_is_refused(content: bytes) -> None:
    with pytest.raises(BadPackage):
        packages.read(content)


def test_too_many_entries_are_refused() -> None:
    with pytest.raises(BadPackage):
        packages.read(named(*(f"{number}" for number in range(packages.ENTRIES + 1))))
