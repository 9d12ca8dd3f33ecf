import json
import os
import stat
from base64 import b64decode, b64encode

import pytest

from geumgo.sealing import Plaintext, Unsealable, keyring
from geumgo.sealing.seals import FileSeal, PassphraseSeal, SealError, read_passphrase, refuse_weak

WORDS = Plaintext(b"orbit lantern cedar violin marble thunder pickle saddle ribbon glacier hammer quartz")
OTHER = Plaintext(b"another lantern cedar violin marble thunder pickle saddle ribbon glacier hammer quartz")


@pytest.fixture(name="home")
def private_directory(tmp_path):
    tmp_path.chmod(0o700)
    return tmp_path


@pytest.fixture(name="seal")
def file_seal(home):
    return FileSeal(home / "seal.key")


def sealed_by(keys):
    return keys.wrap("kms", {}, Plaintext(b"value"))


def test_a_ring_that_was_created_opens_again(home, seal):
    sealed = sealed_by(keyring.create(home, seal))
    assert keyring.open_keyring(home, seal).unwrap("kms", {}, sealed).reveal() == b"value"


def test_the_root_key_is_nowhere_in_the_files(home, seal):
    keys = keyring.create(home, seal)
    root = keys._terms[1].reveal()
    for file in home.iterdir():
        content = file.read_bytes()
        assert all(form not in content for form in (root, root.hex().encode(), b64encode(root)))


def test_the_files_are_private_and_nothing_is_left_beside_them(home, seal):
    keyring.create(home, seal)
    assert sorted(file.name for file in home.iterdir()) == ["keyring.json", "seal.key"]
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in home.iterdir())


def test_a_ring_is_never_created_over_another(home, seal):
    keyring.create(home, seal)
    before = (home / "keyring.json").read_bytes()
    with pytest.raises(SealError, match="never overwritten"):
        keyring.create(home, seal)
    assert (home / "keyring.json").read_bytes() == before


def test_the_wrong_seal_file_opens_nothing(home, seal):
    keyring.create(home, seal)
    seal.path.write_bytes(os.urandom(32))
    with pytest.raises(SealError, match=r"^The seal does not open these root keys"):
        keyring.open_keyring(home, seal)


def test_a_missing_seal_file_and_a_missing_ring_are_said_plainly(home, seal):
    with pytest.raises(SealError, match="no keyring file"):
        keyring.open_keyring(home, seal)
    keyring.create(home, seal)
    seal.path.unlink()
    with pytest.raises(SealError, match="is missing"):
        keyring.open_keyring(home, seal)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o606])
def test_a_seal_file_that_others_can_reach_is_refused(home, seal, mode):
    keyring.create(home, seal)
    seal.path.chmod(mode)
    with pytest.raises(SealError, match="must have mode 0600"):
        keyring.open_keyring(home, seal)


def test_a_symbolic_link_in_place_of_the_seal_file_is_refused(home, seal):
    keyring.create(home, seal)
    seal.path.rename(home / "real.key")
    seal.path.symlink_to(home / "real.key")
    with pytest.raises(SealError, match="cannot be opened as a plain file"):
        keyring.open_keyring(home, seal)


def test_a_pipe_in_place_of_the_seal_file_is_refused_without_waiting(home, seal):
    keyring.create(home, seal)
    seal.path.unlink()
    os.mkfifo(seal.path, 0o600)
    with pytest.raises(SealError, match="not a plain file"):
        keyring.open_keyring(home, seal)


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o1777])
def test_a_directory_that_others_may_write_is_refused(home, seal, mode):
    keyring.create(home, seal)
    home.chmod(mode)
    with pytest.raises(SealError, match="can be written by others"):
        keyring.open_keyring(home, seal)
    home.chmod(0o700)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_seal_file_of_another_size_is_refused(home, seal, size):
    keyring.create(home, seal)
    seal.path.write_bytes(b"x" * size)
    with pytest.raises(SealError):
        keyring.open_keyring(home, seal)


def flipped(text):
    raw = bytearray(b64decode(text))
    raw[-1] ^= 1
    return b64encode(raw).decode()


EDITS = {
    "a wrapped key": lambda d: d["seals"][0]["copies"].update({"1": flipped(d["seals"][0]["copies"]["1"])}),
    "a copy that is no base64": lambda d: d["seals"][0]["copies"].update({"1": "?"}),
    "the id": lambda d: d.update(id="0" * 32),
    "a check value": lambda d: d["terms"]["1"].update(check="0" * 64),
    "the MAC": lambda d: d.update(mac="0" * 64),
    "no MAC": lambda d: d.pop("mac"),
    "a further term": lambda d: d["terms"].update({"2": d["terms"]["1"]}),
    "a further seal": lambda d: d["seals"].append(d["seals"][0] | {"kind": "passphrase"}),
    "a further member": lambda d: d.update(more=1),
    "no seals": lambda d: d.update(seals=[]),
    "another version": lambda d: d.update(version=2),
    "another format": lambda d: d.update(format="x"),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_an_edited_ring_opens_for_nobody(home, seal, edit):
    keyring.create(home, seal)
    path = home / "keyring.json"
    document = json.loads(path.read_text())
    edit(document)
    path.write_text(json.dumps(document))
    with pytest.raises(SealError):
        keyring.open_keyring(home, seal)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff"])
def test_a_file_that_is_no_ring_is_refused(home, seal, content):
    keyring.create(home, seal)
    (home / "keyring.json").write_bytes(content)
    with pytest.raises(SealError):
        keyring.open_keyring(home, seal)


def test_several_seals_open_one_ring_until_one_is_dropped(home, seal):
    sealed = sealed_by(keyring.create(home, seal))
    by_words = PassphraseSeal(WORDS)
    keyring.add_seal(home, seal, by_words)
    assert keyring.open_keyring(home, by_words).unwrap("kms", {}, sealed).reveal() == b"value"
    keyring.drop_seal(home, by_words, seal)
    assert keyring.open_keyring(home, by_words).unwrap("kms", {}, sealed).reveal() == b"value"
    with pytest.raises(SealError, match="not sealed by file"):
        keyring.open_keyring(home, seal)
    with pytest.raises(SealError, match="only seal"):
        keyring.drop_seal(home, by_words, by_words)


def test_two_passphrases_open_one_ring_and_a_third_does_not(home):
    one, two = PassphraseSeal(WORDS), PassphraseSeal(OTHER)
    sealed = sealed_by(keyring.create(home, one))
    keyring.add_seal(home, one, two)
    for seal in (one, two):
        assert keyring.open_keyring(home, seal).unwrap("kms", {}, sealed).reveal() == b"value"
    with pytest.raises(SealError, match="does not open"):
        keyring.open_keyring(home, PassphraseSeal(Plaintext(b"neither")))


def test_a_new_term_seals_and_the_old_one_opens_until_it_is_dropped(home, seal):
    before = sealed_by(keyring.create(home, seal))
    keys = keyring.add_term(home, [seal])
    after = sealed_by(keys)
    opened = keyring.open_keyring(home, seal)
    assert opened.terms == (1, 2)
    assert [opened.unwrap("kms", {}, sealed).reveal() for sealed in (before, after)] == [b"value", b"value"]
    keyring.drop_term(home, seal, 1)
    assert keyring.open_keyring(home, seal).terms == (2,)
    with pytest.raises(SealError, match="cannot be dropped"):
        keyring.drop_term(home, seal, 2)


def test_a_new_term_needs_every_seal(home, seal):
    keyring.create(home, seal)
    by_words = PassphraseSeal(WORDS)
    keyring.add_seal(home, seal, by_words)
    with pytest.raises(SealError, match="each of the 2 seals"):
        keyring.add_term(home, [seal])
    keyring.add_term(home, [seal, by_words])
    assert keyring.open_keyring(home, by_words).terms == keyring.open_keyring(home, seal).terms == (1, 2)


def test_the_newest_term_cannot_be_hidden_by_editing_the_file(home, seal):
    keyring.create(home, seal)
    path = home / "keyring.json"
    old = json.loads(path.read_text())
    keyring.add_term(home, [seal])
    document = json.loads(path.read_text())
    document["terms"].pop("2")
    document["seals"][0]["copies"].pop("2")
    document["mac"] = old["mac"][::-1]
    path.write_text(json.dumps(document))
    with pytest.raises(SealError):
        keyring.open_keyring(home, seal)


@pytest.mark.parametrize(
    "weak",
    [b"", b"hunter2", b"a" * 60, b"abcdefghijklmnopqrstuvwxyz", b"one two three four", b"tree " * 20, b"\xff" * 40],
)
def test_a_passphrase_that_is_guessed_easily_is_refused(home, weak):
    with pytest.raises(SealError):
        keyring.create(home, PassphraseSeal(Plaintext(weak)))
    assert not keyring.exists(home)


@pytest.mark.parametrize("strong", [WORDS.reveal(), b"kF7#qZ2!mX9@wL4$", b"xkqvwmzjfhrbtnygpdls"])
def test_a_passphrase_that_is_long_enough_is_taken(strong):
    refuse_weak(Plaintext(strong))


def test_white_space_at_the_end_of_a_passphrase_file_does_not_matter(home):
    keyring.create(home, PassphraseSeal(WORDS))
    reading, writing = os.pipe()
    os.write(writing, WORDS.reveal() + b"\n")
    os.close(writing)
    keyring.open_keyring(home, PassphraseSeal(read_passphrase(reading)))


def test_a_refusal_never_shows_the_passphrase(home):
    keyring.create(home, PassphraseSeal(WORDS))
    with pytest.raises(SealError) as caught:
        keyring.open_keyring(home, PassphraseSeal(OTHER))
    assert "lantern" not in f"{caught.value!r}{PassphraseSeal(WORDS)!r}{WORDS!r}"


def test_a_write_that_fails_leaves_the_old_ring(home, seal, monkeypatch):
    sealed = sealed_by(keyring.create(home, seal))

    def fails(_descriptor):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fails)
        with pytest.raises(OSError, match="Input/output"):
            keyring.add_term(home, [seal])
    assert keyring.open_keyring(home, seal).unwrap("kms", {}, sealed).reveal() == b"value"
    assert len(list(home.iterdir())) == 2


def test_a_dropped_term_leaves_its_sessions_for_a_while_and_the_public_key_of_its_trail(home, seal):
    first = keyring.create(home, seal)
    token, row = first.seal_token(b"claims", {"for": "them"}), first.vouch("iam_principal", {"id": "AIDA"})
    keyring.add_term(home, [seal])
    keyring.drop_term(home, seal, 1, sessions_until_ms=1_000)
    left = keyring.open_keyring(home, seal)
    assert left.open_token(token, {"for": "them"}).reveal() == b"claims"
    assert left.trail_keys_of_old() == (first.audit_keys().signer.public_key,)
    for forbidden in (
        lambda: left.check("iam_principal", {"id": "AIDA"}, row),
        lambda: left.unwrap("kms", {}, sealed_by(first)),
    ):
        with pytest.raises(Unsealable):
            forbidden()
    left.end_tokens(999)
    assert left.open_token(token, {"for": "them"})
    left.end_tokens(1_000)
    with pytest.raises(Unsealable):
        left.open_token(token, {"for": "them"})


def test_what_is_left_of_dropped_terms_goes_on_through_the_next_change(home, seal):
    first = keyring.create(home, seal)
    token = first.seal_token(b"claims", {})
    keyring.add_term(home, [seal])
    second = keyring.drop_term(home, seal, 1, sessions_until_ms=1_000)
    keyring.add_term(home, [seal])
    keyring.drop_term(home, seal, 2, sessions_until_ms=2_000)
    left = keyring.open_keyring(home, seal)
    assert left.open_token(token, {}).reveal() == b"claims"
    assert left.open_token(second.seal_token(b"later", {}), {}).reveal() == b"later"
    assert left.trail_keys_of_old() == tuple(each.audit_keys().signer.public_key for each in (first, second))
    assert [keyring.tokens_are_over(home, now_ms) for now_ms in (999, 1_500)] == [False, True]
    keyring.drop_tokens(home, seal, 1_500)
    assert not keyring.tokens_are_over(home, 1_500)
    left = keyring.open_keyring(home, seal)
    assert left.open_token(second.seal_token(b"later", {}), {})
    with pytest.raises(Unsealable):
        left.open_token(token, {})


def test_sessions_end_with_their_term_if_they_are_to(home, seal):
    token = keyring.create(home, seal).seal_token(b"claims", {})
    keyring.add_term(home, [seal])
    keyring.drop_term(home, seal, 1)
    with pytest.raises(Unsealable):
        keyring.open_keyring(home, seal).open_token(token, {})


def test_a_dropped_root_key_cannot_be_had_from_the_file(home, seal):
    """Nothing of it is there under any of the seals, whatever else the file keeps of its term."""
    keyring.create(home, seal)
    before = json.loads((home / "keyring.json").read_text())
    keyring.add_term(home, [seal])
    keyring.drop_term(home, seal, 1, sessions_until_ms=1_000)
    text = (home / "keyring.json").read_text()
    assert before["seals"][0]["copies"]["1"] not in text
    assert before["terms"]["1"]["check"] not in text
    assert json.loads(text)["seals"][0]["copies"].keys() == {"2"}


def test_the_end_of_old_sessions_cannot_be_put_off_by_editing_the_file(home, seal):
    keyring.create(home, seal)
    keyring.add_term(home, [seal])
    keyring.drop_term(home, seal, 1, sessions_until_ms=1_000)
    path = home / "keyring.json"
    document = json.loads(path.read_text())
    document["tokens"]["1"]["until_ms"] = 9_000
    path.write_text(json.dumps(document))
    with pytest.raises(SealError):
        keyring.open_keyring(home, seal)


def test_a_new_term_is_not_put_under_a_seal_that_does_not_open_the_old_ones(home, seal):
    keyring.create(home, seal)
    keyring.add_seal(home, seal, PassphraseSeal(WORDS))
    with pytest.raises(SealError, match="does not open"):
        keyring.add_term(home, [seal, PassphraseSeal(OTHER)])
    assert keyring.terms_in(home) == (1,)
