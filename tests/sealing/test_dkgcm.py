import json
import struct
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.kbkdf import KBKDFHMAC, CounterLocation, Mode
from hypothesis import given
from hypothesis import strategies as st

from geumgo.sealing import Unsealable, dkgcm

VECTORS = json.loads((Path(__file__).parent / "data" / "dkgcm_v1.json").read_text())
KEY, KEY_ID = bytes(range(32)), b"0123456789abcdef"
CONTEXT = {"SecretARN": "arn:aws:secretsmanager:eu-west-1:111122223333:secret:a-AbCdEf", "kind": "string"}


def slow_encrypt(key, key_id, key_version, context, plaintext, n, iv):
    """DKGCM v1 again, from its description alone, with other tools."""
    header = b"\x01\x01" + key_id + key_version.to_bytes(4, "big") + n + iv
    derivation = KBKDFHMAC(
        algorithm=SHA256(), mode=Mode.CounterMode, length=64, rlen=4, llen=4, location=CounterLocation.BeforeFixed,
        label=b"dkgcm1/enc", context=n + sha256(header).digest(), fixed=None,
    )  # fmt: skip
    derived = derivation.derive(key)
    canonical = len(context).to_bytes(2, "big")
    for name in sorted(context, key=lambda name: name.encode()):
        for text in (name, context[name]):
            canonical += len(text.encode()).to_bytes(2, "big") + text.encode()
    cipher = Cipher(algorithms.AES(derived[:32]), modes.GCM(iv)).encryptor()
    cipher.authenticate_additional_data(header + canonical)
    ciphertext = cipher.update(plaintext) + cipher.finalize()
    return header + derived[32:] + ciphertext + cipher.tag


def arguments(vector) -> tuple[bytes, bytes, int, dict[str, str]]:
    return bytes.fromhex(vector["key"]), bytes.fromhex(vector["key_id"]), vector["key_version"], vector["context"]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["name"])
def test_a_recorded_blob_opens_and_is_made_again_from_the_same_randomness(vector):
    plaintext, blob = bytes.fromhex(vector["plaintext"]), bytes.fromhex(vector["blob"])
    assert dkgcm.decrypt(*arguments(vector), blob) == plaintext
    assert dkgcm._encrypt(*arguments(vector), plaintext, bytes.fromhex(vector["randomness"])) == blob


@given(
    key=st.binary(min_size=32, max_size=32),
    key_id=st.binary(min_size=16, max_size=16),
    version=st.integers(0, 2**32 - 1),
    context=st.dictionaries(st.text(max_size=20), st.text(max_size=20), max_size=4),
    plaintext=st.binary(max_size=200),
    randomness=st.binary(min_size=28, max_size=28),
)
def test_the_fast_form_is_the_described_form(key, key_id, version, context, plaintext, randomness):
    fast = dkgcm._encrypt(key, key_id, version, context, plaintext, randomness)
    assert fast == slow_encrypt(key, key_id, version, context, plaintext, randomness[:16], randomness[16:])
    assert dkgcm.decrypt(key, key_id, version, context, fast) == plaintext


def test_every_single_flipped_bit_is_refused():
    blob = dkgcm.encrypt(KEY, KEY_ID, 7, CONTEXT, b"a secret value")
    for position in range(len(blob) * 8):
        flipped = bytearray(blob)
        flipped[position // 8] ^= 1 << position % 8
        with pytest.raises(Unsealable):
            dkgcm.decrypt(KEY, KEY_ID, 7, CONTEXT, bytes(flipped))


def test_a_blob_that_names_another_key_is_refused_even_under_the_right_one():
    blob = dkgcm.encrypt(KEY, KEY_ID, 7, CONTEXT, b"value")
    for key, key_id, version in ((KEY[::-1], KEY_ID, 7), (KEY, KEY_ID[::-1], 7), (KEY, KEY_ID, 8)):
        with pytest.raises(Unsealable):
            dkgcm.decrypt(key, key_id, version, CONTEXT, blob)


@pytest.mark.parametrize(
    "other",
    [
        {},
        {"SecretARN": CONTEXT["SecretARN"]},
        CONTEXT | {"kind": "String"},
        CONTEXT | {"kind": "string "},
        CONTEXT | {"more": ""},
        {"secretARN": CONTEXT["SecretARN"], "kind": "string"},
        {"kind": CONTEXT["SecretARN"], "SecretARN": "string"},
    ],
    ids=str,
)
def test_another_context_is_refused(other):
    blob = dkgcm.encrypt(KEY, KEY_ID, 7, CONTEXT, b"value")
    with pytest.raises(Unsealable):
        dkgcm.decrypt(KEY, KEY_ID, 7, other, blob)


def test_the_order_of_a_context_does_not_matter():
    blob = dkgcm.encrypt(KEY, KEY_ID, 7, CONTEXT, b"value")
    assert dkgcm.decrypt(KEY, KEY_ID, 7, dict(reversed(CONTEXT.items())), blob) == b"value"


@given(
    st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
    st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
)
def test_two_contexts_have_one_canonical_form_only_if_they_are_equal(one, other):
    assert (dkgcm.canonical(one) == dkgcm.canonical(other)) == (one == other)


def test_lengths_keep_names_and_values_apart():
    assert dkgcm.canonical({"ab": "c"}) != dkgcm.canonical({"a": "bc"})
    assert dkgcm.canonical({"a": "b"}) == struct.pack(">HH1sH1s", 1, 1, b"a", 1, b"b")


def test_a_context_too_long_to_be_written_is_refused():
    with pytest.raises(ValueError, match="65,535"):
        dkgcm.canonical({"name": "x" * 65_536})


@pytest.mark.parametrize(
    "blob", [b"", b"\x01", b"\x01\x01" + b"\0" * 95, b"\x02\x01" + b"\0" * 100, b"\x01\x02" + b"\0" * 100]
)
def test_what_is_no_blob_at_all_is_refused(blob):
    with pytest.raises(Unsealable):
        dkgcm.read_header(blob)


def test_the_header_names_the_key():
    header = dkgcm.read_header(dkgcm.encrypt(KEY, KEY_ID, 7, {}, b""))
    assert (header.key_id, header.key_version) == (KEY_ID, 7)


def test_the_same_value_never_seals_to_the_same_bytes():
    assert len({dkgcm.encrypt(KEY, KEY_ID, 1, {}, b"value") for _ in range(100)}) == 100
