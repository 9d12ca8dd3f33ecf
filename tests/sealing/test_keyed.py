import hmac

from hypothesis import given
from hypothesis.strategies import binary

from geumgo.sealing.keyed import keyed


@given(binary(max_size=200), binary(max_size=300), binary(max_size=300))
def test_it_is_hmac_however_often_it_is_used(key: bytes, first: bytes, second: bytes) -> None:
    mac = keyed(key)
    for message in (first, second, first):
        assert mac(message) == hmac.digest(key, message, "sha256")
