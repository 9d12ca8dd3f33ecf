import copy
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geumgo.sealing import Plaintext, Sealing, Unsealable, random
from geumgo.sealing.root import RootKeys, canonical_row, verify_signature

CONTEXT = {"account": "111122223333", "label": "material"}
ROW: dict[str, Any] = {"id": "a", "state": "Enabled", "revision": 3, "policy": None, "blob": b"\x01"}


@pytest.fixture(name="keys")
def root_keys():
    return RootKeys({1: random.key()})


def test_root_keys_are_a_sealing(keys):
    sealing: Sealing = keys
    assert sealing.unwrap("kms", CONTEXT, sealing.wrap("kms", CONTEXT, Plaintext(b"key"))).reveal() == b"key"


def test_what_was_wrapped_for_one_purpose_opens_for_no_other(keys):
    sealed = keys.wrap("kms", CONTEXT, Plaintext(b"key"))
    with pytest.raises(Unsealable):
        keys.unwrap("iam", CONTEXT, sealed)
    with pytest.raises(Unsealable):
        keys.open_token(sealed, CONTEXT)


def test_what_was_wrapped_for_one_context_opens_for_no_other(keys):
    sealed = keys.wrap("kms", CONTEXT, Plaintext(b"key"))
    with pytest.raises(Unsealable):
        keys.unwrap("kms", CONTEXT | {"account": "444455556666"}, sealed)


def test_another_ring_opens_nothing(keys):
    sealed, mac = keys.wrap("kms", CONTEXT, Plaintext(b"key")), keys.vouch("kms_key", ROW)
    other = RootKeys({1: random.key()})
    with pytest.raises(Unsealable):
        other.unwrap("kms", CONTEXT, sealed)
    with pytest.raises(Unsealable):
        other.check("kms_key", ROW, mac)


def test_an_old_term_opens_and_the_new_one_seals():
    first, second = random.key(), random.key()
    old, both, new = RootKeys({1: first}), RootKeys({1: first, 2: second}), RootKeys({2: second})
    sealed, mac = old.wrap("kms", CONTEXT, Plaintext(b"key")), old.vouch("t", ROW)
    assert both.unwrap("kms", CONTEXT, sealed).reveal() == b"key"
    both.check("t", ROW, mac)
    assert new.unwrap("kms", CONTEXT, both.wrap("kms", CONTEXT, Plaintext(b"key"))).reveal() == b"key"
    for refused in (lambda: new.unwrap("kms", CONTEXT, sealed), lambda: new.check("t", ROW, mac)):
        with pytest.raises(Unsealable):
            refused()


@pytest.mark.parametrize(
    "forged",
    [ROW | {"state": "Disabled"}, ROW | {"revision": 4}, ROW | {"revision": "3"}, ROW | {"policy": ""},
     ROW | {"more": None}, {k: v for k, v in ROW.items() if k != "policy"}, ROW | {"blob": "\x01"}],
    ids=str,
)  # fmt: skip
def test_a_forged_row_is_refused(keys, forged):
    mac = keys.vouch("kms_key", ROW)
    keys.check("kms_key", ROW, mac)
    with pytest.raises(Unsealable):
        keys.check("kms_key", forged, mac)


def test_a_row_moved_to_another_table_is_refused(keys):
    with pytest.raises(Unsealable):
        keys.check("kms_alias", ROW, keys.vouch("kms_key", ROW))


@pytest.mark.parametrize("mac", [b"", b"\0" * 35, b"\0" * 36, b"\0\0\0\x01" + b"\0" * 32])
def test_a_made_up_mac_is_refused(keys, mac):
    with pytest.raises(Unsealable):
        keys.check("kms_key", ROW, mac)


Rows = st.dictionaries(
    st.text(max_size=4), st.none() | st.text(max_size=4) | st.integers() | st.binary(max_size=4), max_size=3
)


@given(Rows, Rows)
def test_two_rows_have_one_canonical_form_only_if_they_are_equal(one, other):
    assert (canonical_row("t", one) == canonical_row("t", other)) == (one == other)


def test_a_token_opens_only_for_its_context(keys):
    token = keys.seal_token(b'{"role":"app"}', {"access_key_id": "ASIA1"})
    assert keys.open_token(token, {"access_key_id": "ASIA1"}).reveal() == b'{"role":"app"}'
    with pytest.raises(Unsealable):
        keys.open_token(token, {"access_key_id": "ASIA2"})


def test_a_signature_is_good_for_one_message_of_one_signer(keys):
    audit, backup = keys.audit_keys().signer, keys.backup_signer()
    signature = audit.sign(b"head")
    verify_signature(audit.public_key, signature, b"head")
    for public_key, message in ((audit.public_key, b"Head"), (backup.public_key, b"head"), (b"short", b"head")):
        with pytest.raises(Unsealable):
            verify_signature(public_key, signature, message)


def test_every_purpose_has_a_key_of_its_own(keys):
    audit = keys.audit_keys()
    assert len({audit.mac_key.reveal(), keys.replication_key().reveal(), audit.signer.public_key}) == 3


def test_the_audit_keys_of_an_old_term_stay_the_same():
    first = random.key()
    before, after = RootKeys({1: first}).audit_keys(), RootKeys({1: first, 2: random.key()}).audit_keys(1)
    assert before.signer.public_key == after.signer.public_key
    assert before.mac_key.reveal() == after.mac_key.reveal()
    with pytest.raises(Unsealable):
        RootKeys({1: first}).audit_keys(2)


def test_root_keys_are_never_shown_and_never_copied(keys):
    first = next(iter(keys._terms.values())).reveal()
    for text in (repr(keys), str(keys), f"{keys}", repr(keys.audit_keys()), repr(keys.replication_key())):
        assert first.hex() not in text
        assert repr(first) not in text
        assert "***" in text
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            attempt(keys)


def test_a_ring_learns_of_a_newer_term_when_it_meets_one_and_asks_for_no_other(keys):
    newer = RootKeys({1: Plaintext(b"1" * 32), 2: random.key()})
    asked = []

    def learn():
        asked.append(1)
        return newer

    old = RootKeys({1: Plaintext(b"1" * 32)}).learning(learn)
    sealed, mac = newer.wrap("kms", {}, Plaintext(b"value")), newer.vouch("secret", {"id": "a"})
    assert old.unwrap("kms", {}, sealed).reveal() == b"value"
    old.check("secret", {"id": "a"}, mac)
    assert len(asked) == 1
    assert old.vouch("secret", {"id": "a"})[:4] == b"\0\0\0\1", "it goes on sealing in the term that it began with"
    with pytest.raises(Unsealable):
        old.check("secret", {"id": "b"}, mac)


def test_a_term_that_nobody_knows_opens_nothing(keys):
    old = RootKeys({1: Plaintext(b"1" * 32)}).learning(lambda: None)
    with pytest.raises(Unsealable):
        old.unwrap("kms", {}, RootKeys({9: random.key()}).wrap("kms", {}, Plaintext(b"value")))
