import re
from collections import Counter
from uuid import RFC_4122, UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geumgo.sealing import Plaintext, Unsealable, dkgcm, random
from geumgo.sealing.values import open_value, seal_value

CONTEXT = {"kind": "string"}


@given(st.binary(max_size=3000))
def test_a_value_comes_back_as_it_was(value):
    key = random.key()
    assert open_value(key, CONTEXT, seal_value(key, CONTEXT, Plaintext(value))).reveal() == value


@given(st.integers(0, 5000))
def test_the_sealed_size_tells_only_the_step(size):
    sealed = len(seal_value(random.key(), CONTEXT, Plaintext(b"\0" * size))) - dkgcm.OVERHEAD_BYTES
    assert sealed % (64 if sealed <= 1024 else 256) == 0
    assert size < sealed <= size + (64 if size < 1024 else 256)


def test_another_key_or_context_opens_nothing():
    key = random.key()
    sealed = seal_value(key, CONTEXT, Plaintext(b"value"))
    for other_key, context in ((random.key(), CONTEXT), (key, {"kind": "binary"})):
        with pytest.raises(Unsealable):
            open_value(other_key, context, sealed)


def test_a_value_without_its_padding_is_refused():
    key = random.key()
    unpadded = dkgcm.encrypt(key.reveal(), b"geumgo data key\0", 1, CONTEXT, b"value")
    with pytest.raises(Unsealable):
        open_value(key, CONTEXT, unpadded)


def test_a_uuid_is_a_random_uuid_of_version_4():
    texts = {random.uuid() for _ in range(500)}
    assert len(texts) == 500
    assert all(
        UUID(text).version == 4 and str(UUID(text)) == text and UUID(text).variant == UUID(texts.copy().pop()).variant
        for text in texts
    )


@pytest.mark.parametrize("count", [0, 1, 6, 40, 5000])
def test_letters_are_as_many_as_asked_for(count):
    assert re.fullmatch(f"[A-Za-z0-9]{{{count}}}", random.letters(count))


def test_no_letter_is_favoured():
    counts = Counter(random.letters(62_000))
    assert len(counts) == 62
    assert all(
        700 < count < 1300 for count in counts.values()
    )  # 1,000 expected; each bound is more than 9 standard deviations away


def test_a_shuffle_keeps_the_items_and_leaves_its_argument():
    items = list(range(50))
    shuffled = random.shuffle(items)
    assert sorted(shuffled) == items == list(range(50))
    assert shuffled != items


def test_a_choice_is_one_of_the_items():
    assert {random.choice("abc") for _ in range(200)} == {"a", "b", "c"}


def test_keys_differ_and_are_not_shown():
    assert random.key().reveal() != random.key().reveal()
    assert len(random.key()) == 32
    assert f"{random.key()!r} {random.key()}" == "Plaintext(***) ***"


def test_uuids_that_are_drawn_many_at_a_time_are_version_4_and_never_twice_the_same():
    uuids = random.Uuids()
    drawn = [uuids.next() for _ in range(1_000)]
    assert len(set(drawn)) == len(drawn)
    for each in drawn:
        read = UUID(each)
        assert str(read) == each
        assert (read.version, read.variant) == (4, RFC_4122)
