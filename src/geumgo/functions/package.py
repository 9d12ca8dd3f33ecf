"""A zip package, read before anything of it is unpacked: what is in it, and that it can do no harm where it is unpacked. Pure.

Source: "Lambda quotas", developer guide (250 MB unpacked). The other limits are ours: a package is unpacked for every invocation.
"""

import io
import stat
import zipfile
from dataclasses import dataclass
from typing import Final

UNPACKED_BYTES: Final = 250 << 20
ENTRIES: Final = 10_000
RATIO: Final = 200  # unpacked to packed, for an entry of more than SMALL
SMALL: Final = 1 << 20
NAME: Final = 1_024  # characters
PAGE: Final = 4_096  # bytes, of the memory that files are in


class BadPackage(Exception):
    """Not a package that is unpacked here. The message says why, without quoting what is inside."""


class TooLarge(BadPackage):
    """It would take more room than there is."""


@dataclass(frozen=True, slots=True)
class Measure:
    """What a package is unpacked: the `bytes` of its files, and the `room` (bytes) that they take where files are whole pages."""

    bytes: int
    room: int


def read(content: bytes) -> int:
    """The size of the package unpacked (bytes), after everything about it was found to be in order. Raises BadPackage, TooLarge."""
    return measure(content).bytes


def measure(content: bytes) -> Measure:
    """How large the package is unpacked, after everything about it was found to be in order. Raises BadPackage, TooLarge."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as package:
            entries = package.infolist()
            start = package.start_dir
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, EOFError, OverflowError):
        raise BadPackage("it is no zip file") from None
    if len(entries) > ENTRIES:
        raise BadPackage(f"it has more than {ENTRIES} entries")
    names: set[str] = set()
    for entry in entries:
        _refuse_entry(entry)
        name = entry.filename.rstrip("/").casefold()
        if name in names:
            raise BadPackage("two of its entries have one name")
        names.add(name)
    _refuse_overlaps(entries, start)
    total = sum(entry.file_size for entry in entries)
    if total > UNPACKED_BYTES:
        raise TooLarge(f"Unzipped size must be smaller than {UNPACKED_BYTES} bytes")
    return Measure(total, sum(-(-entry.file_size // PAGE) * PAGE for entry in entries))


def _refuse_entry(entry: zipfile.ZipInfo) -> None:
    name = entry.filename
    parts = name.rstrip("/").split("/")
    if not name or len(name) > NAME or "\0" in name or "\\" in name or name.startswith("/"):
        raise BadPackage("the name of an entry is no relative path")
    if entry.orig_filename != name or any(part in ("", ".", "..") for part in parts):
        raise BadPackage("the name of an entry leads elsewhere")
    if any(ord(character) < 0x20 or 0xD800 <= ord(character) < 0xE000 for character in name):
        raise BadPackage("the name of an entry has a character that a name does not have")
    mode = entry.external_attr >> 16
    if mode and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)) and stat.S_IFMT(mode) != 0:
        raise BadPackage("an entry is neither a file nor a directory")
    if entry.flag_bits & 0x41:
        raise BadPackage("an entry is encrypted")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise BadPackage("an entry is compressed in a way that is not read here")
    if entry.file_size > SMALL and entry.file_size > RATIO * max(entry.compress_size, 1):
        raise TooLarge("An entry is compressed far more than files are")


def _refuse_overlaps(entries: list[zipfile.ZipInfo], end: int) -> None:
    """Entries lie behind one another: none is counted twice."""
    for entry in sorted(entries, key=lambda each: each.header_offset, reverse=True):
        after = entry.header_offset + 30 + entry.compress_size
        if entry.header_offset < 0 or after > end:
            raise BadPackage("its entries overlap")
        end = entry.header_offset
