"""Which root keys a process holds is told by locks, and a change of them is seen."""

import os
from pathlib import Path

import pytest

from geumgo import app
from geumgo.app import rings, seals
from geumgo.app.directory import seal_of
from geumgo.sealing import keyring
from geumgo.settings import Settings


@pytest.fixture(name="settings")
def settings_of_a_new_directory(tmp_path: Path) -> Settings:
    settings = Settings(data=tmp_path / "data")
    app.initialise(settings)
    return settings


def test_who_holds_a_ring_is_seen_until_he_lets_go_and_then_forgotten(settings: Settings) -> None:
    root, descriptor = rings.hold(settings)
    keyring.add_term(settings.data, [seal_of(settings)])
    newer, other = rings.hold(settings)
    assert (root.terms, newer.terms) == ((1,), (1, 2))
    assert rings.others(settings, (1, 2)) == [(1,)]
    assert rings.others(settings, (1,)) == [(1, 2)]
    assert any(f"({os.getpid()})" in each for each in rings.users(settings, [(1,)]))
    rings.forget(settings, (1, 2))
    assert rings.others(settings, (1, 2)) == [(1,)], "what is held is not forgotten"
    os.close(descriptor)
    assert rings.others(settings, (1, 2)) == []
    rings.forget(settings, (1, 2))
    assert [path.name for path in (settings.data / rings.PLACE).iterdir()] == ["1-2"]
    os.close(other)


def test_a_ring_is_held_for_the_length_of_a_block(settings: Settings) -> None:
    with rings.held(settings):
        assert rings.others(settings, ()) == [(1,)]
    assert rings.others(settings, ()) == []


def test_the_supervisor_sees_another_term_once_and_another_seal_never(settings: Settings, tmp_path: Path) -> None:
    changed = rings.changed(settings)
    assert not changed()
    seals.add(settings, Settings(data=settings.data, seal_file=str(tmp_path / "other.key")))
    assert not changed()
    keyring.drop_seal(
        settings.data, seal_of(settings), seal_of(Settings(data=settings.data, seal_file=str(tmp_path / "other.key")))
    )
    keyring.add_term(settings.data, [seal_of(settings)])
    assert changed()
    assert not changed()
    keyring.drop_term(settings.data, seal_of(settings), 1)
    assert changed()


def test_a_keyring_that_cannot_be_read_for_a_moment_changes_nothing(settings: Settings) -> None:
    changed = rings.changed(settings)
    path = settings.data / keyring.FILE_NAME
    content = path.read_bytes()
    path.write_bytes(b"{")
    assert not changed()
    path.unlink()
    assert not changed()
    path.write_bytes(content)
    path.chmod(0o600)
    assert not changed()
