"""Shares of a key: enough give it back, fewer say nothing, and a slip of the pen is found."""

import itertools
from collections import Counter

import pytest

from geumgo.sealing import random
from geumgo.sealing.plaintext import Plaintext
from geumgo.sealing.shares import BadShare, Share, _divide, _multiply, combine, read, split

SET = "0123456789abcdef"


@pytest.mark.parametrize(("threshold", "count"), [(2, 2), (2, 3), (3, 5), (4, 6), (5, 5)])
def test_every_choice_of_enough_shares_gives_the_key_back_in_any_order(threshold: int, count: int) -> None:
    key = random.key()
    shares = split(key, threshold=threshold, count=count, of=SET)
    for chosen in itertools.permutations(shares, threshold):
        assert combine(chosen).reveal() == key.reveal()
    assert combine(shares).reveal() == key.reveal()


def test_fewer_shares_than_needed_fit_every_key_alike() -> None:
    """With two of three shares known, each value of the key's first byte is as likely as any other."""
    key = Plaintext(bytes(32))
    seen: Counter[int] = Counter()
    for _ in range(64):
        one, two, _ = split(key, threshold=3, count=3, of=SET)
        for byte in range(256):
            third = Share(SET, 3, 3, bytes([byte]) * 32)
            seen[combine([one, two, third]).reveal()[0]] += 1
    assert set(seen.values()) == {64}


def test_the_value_of_a_share_is_uniform_whatever_the_key() -> None:
    """A highest coefficient that is never 0 would leave out the key's own byte. Chi-squared, 255 degrees of freedom, p about 1e-9."""
    count: Counter[int] = Counter()
    for _ in range(400):
        count.update(split(Plaintext(b"\x42" * 32), threshold=2, count=2, of=SET)[0].value)
    expected = 400 * 32 / 256
    assert sum((count[byte] - expected) ** 2 / expected for byte in range(256)) < 400


def test_the_field_is_that_of_aes() -> None:
    assert _multiply(0x57, 0x83) == 0xC1  # FIPS 197, section 4.2
    for left, right in itertools.product(range(256), range(1, 256)):
        assert _multiply(_divide(left, right), right) == left


def test_a_share_as_text_is_the_same_share_and_a_slip_of_the_pen_is_found() -> None:
    share = split(random.key(), threshold=2, count=3, of=SET)[1]
    text = share.text()
    assert read(f"  {text.upper()}\n") == share
    for place in range(len("geumgo-share-1-"), len(text)):
        slip = text[:place] + ("0" if text[place] != "0" else "1") + text[place + 1 :]
        with pytest.raises(BadShare):
            read(slip)
    assert text[70:80] not in repr(share)


def test_shares_that_do_not_belong_together_are_refused() -> None:
    one, two = (split(random.key(), threshold=2, count=2, of=of) for of in (SET, SET[::-1]))
    for wrong in ([one[0], two[1]], [one[0], one[0]], [one[0]], []):
        with pytest.raises(BadShare):
            combine(wrong)
