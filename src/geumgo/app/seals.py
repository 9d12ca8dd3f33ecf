"""Another seal on the same root keys: what they sealed does not change."""

import os

from geumgo.app.directory import occupy, seal_of
from geumgo.sealing import keyring
from geumgo.sealing.seals import Seal, SealError
from geumgo.settings import Settings


def add(settings: Settings, new: Settings) -> None:
    """The seal that `new` names opens the keyring as well as the one that `settings` names. A server may run.

    Raises SealError if it is on the keyring already, or does not open it afterwards.
    """
    current, added = seal_of(settings), seal_of(new)
    if _opens(settings, added):
        raise SealError("That seal is on these root keys already; nothing was changed.")
    keyring.add_seal(settings.data, current, added)
    keyring.open_keyring(settings.data, added)


def drop(settings: Settings, old: Settings) -> None:
    """The seal that `old` names opens the keyring no more; the one that `settings` names has just opened it.

    A server must not run: its processes open the keyring again whenever one is started. Raises SettingsError if one does, SealError.
    """
    descriptor = occupy(settings)
    try:
        dropped = seal_of(old)
        if not _opens(settings, dropped):
            raise SealError("The seal to be dropped does not open these root keys; nothing was changed.")
        keyring.drop_seal(settings.data, seal_of(settings), dropped)
    finally:
        os.close(descriptor)


def _opens(settings: Settings, seal: Seal) -> bool:
    try:
        keyring.open_keyring(settings.data, seal)
    except SealError:
        return False
    return True
