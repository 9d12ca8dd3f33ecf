"""Another seal on the same root keys: what they sealed does not change."""

import os
from collections.abc import Sequence

from geumgo.app.directory import file_locked, occupy, seal_of
from geumgo.sealing import keyring
from geumgo.sealing.seals import Seal, SealError, SharesSeal
from geumgo.sealing.shares import read
from geumgo.settings import Settings


def add_shares(settings: Settings, *, threshold: int, count: int) -> list[str]:
    """Any `threshold` of the `count` shares that are answered open the keyring as well as the seal that `settings` names does.

    They are kept nowhere. Raises SealError.
    """
    seal = SharesSeal(threshold=threshold, count=count)
    _add(settings, seal)
    return [share.text() for share in seal.made]


def drop_shares(settings: Settings, texts: Sequence[str]) -> None:
    """As `drop`, for the seal that these shares are of. Raises BadShare too."""
    _drop(settings, SharesSeal([read(text) for text in texts]))


def add(settings: Settings, new: Settings) -> None:
    """The seal that `new` names opens the keyring as well as the one that `settings` names. A server may run.

    Raises SealError if it is on the keyring already, or does not open it afterwards.
    """
    _add(settings, seal_of(new))


def _add(settings: Settings, added: Seal) -> None:
    current = seal_of(settings)
    if _opens(settings, added):
        raise SealError("That seal is on these root keys already; nothing was changed.")
    with file_locked(settings, changes=True):
        keyring.add_seal(settings.data, current, added)
    keyring.open_keyring(settings.data, added)


def drop(settings: Settings, old: Settings) -> None:
    """The seal that `old` names opens the keyring no more; the one that `settings` names has just opened it.

    A server must not run: its processes open the keyring again whenever one is started. Raises SettingsError if one does, SealError.
    """
    _drop(settings, seal_of(old))


def _drop(settings: Settings, dropped: Seal) -> None:
    descriptor = occupy(settings)
    try:
        if not _opens(settings, dropped):
            raise SealError("The seal to be dropped does not open these root keys; nothing was changed.")
        with file_locked(settings, changes=True):
            keyring.drop_seal(settings.data, seal_of(settings), dropped)
    finally:
        os.close(descriptor)


def _opens(settings: Settings, seal: Seal) -> bool:
    try:
        keyring.open_keyring(settings.data, seal)
    except SealError:
        return False
    return True
