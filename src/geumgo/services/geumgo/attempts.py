"""Is this the password? Asked before any transaction of the operation, because the answer takes tens of milliseconds.

An attempt is counted as failed before the password is looked at, in a transaction of its own, and taken back when it has succeeded: so
guesses that arrive together are all counted, and none is lost in a crash. Unknown accounts and users are counted, hashed and answered like
those that exist.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Final

from geumgo.audit.record import console_sign_in, signing_in
from geumgo.context import Outside, Params, Proven
from geumgo.errors import Throttled
from geumgo.principals import Login
from geumgo.sealing import Plaintext, Sealing, random
from geumgo.sealing.passwords import WrongPassword, hash_password, verify_password
from geumgo.services.geumgo import domain, store
from geumgo.services.geumgo.errors import SignInFailed
from geumgo.storage import Conflict, Tx

HASHES_PER_SECOND: Final = 5
"""Passwords that one process looks at in a second: about 40 ms each, during which it does nothing else."""
CONFLICT_ATTEMPTS: Final = 12


@dataclass(frozen=True, slots=True)
class Keys:
    """Under what an attempt is counted: one user from one address, any user from that address, that user from anywhere."""

    pair: str
    address: str
    user: str


@dataclass(frozen=True, slots=True)
class Shown:
    """Somebody has shown the password of `login`. `keys` are what his attempt was counted under."""

    login: Login
    keys: Keys


class Pace:
    """At most `most` in any second. One per process."""

    def __init__(self, most: int) -> None:
        self._times: deque[int] = deque(maxlen=most)

    def take(self, now_ms: int) -> bool:
        """Whether one more may begin now."""
        times = self._times
        if len(times) == times.maxlen and abs(now_ms - times[0]) < 1000:
            return False
        times.append(now_ms)
        return True


_PACE: Final = Pace(HASHES_PER_SECOND)


def check_password(outside: Outside, params: Params) -> Shown:
    """The attempt is counted, and the password is that of the user.

    Raises SignInFailed, the same for everything that may be wrong; Throttled.
    """
    now_ms = outside.clock.now_ms()
    with outside.reading() as tx:
        account, login = outside.principals.login(tx, params["Account"], params["UserName"], now_ms)
        outside.proven = proven(account, login, mfa_used="MFACode" in params)
        keys = keys_of(outside.sealing, account or params["Account"], params["UserName"], outside.peer)
        _refuse_early(tx, keys, now_ms)
    if not _PACE.take(now_ms):
        raise Throttled("Rate exceeded")
    _again(outside, partial(_count, keys=keys, now_ms=now_ms))
    decoy, password = _decoy(), Plaintext(params["Password"].encode("utf-8", "surrogatepass"))
    try:
        verify_password(password, login.hashed if login is not None else decoy)
    except WrongPassword:
        raise SignInFailed from None
    if login is None:
        raise SignInFailed
    return Shown(login, keys)


def succeeded(tx: Tx, keys: Keys, now_ms: int) -> None:
    """The attempt is taken back, what the user mistyped from this address is forgotten, and the address is one of his for a while."""
    store.save(tx, keys.pair, domain.Attempts(0, now_ms, now_ms + domain.TRUSTED_MS))
    for key in (keys.address, keys.user):
        store.save(tx, key, store.attempts(tx, key).now(now_ms).taken_back())


def proven(account: str | None, login: Login | None, *, mfa_used: bool) -> Proven:
    """How the trail tells of the attempt."""
    user = (login.user.id, login.user.arn, login.user.name) if login is not None else None
    shape: Callable[[Params], Params] = partial(console_sign_in, mfa_used=mfa_used, known=user is not None)
    return Proven(signing_in(account or "", user), account or "", shape)


def keys_of(sealing: Sealing, account: str, user_name: str, peer: str) -> Keys:
    """Keyed hashes: the table does not tell who was tried, nor a password that was typed as a name."""
    address = domain.network_of(peer)
    name = user_name.lower()

    def key(**columns: str) -> str:
        return sealing.vouch("sign_in_attempt", columns).hex()

    return Keys(key(account=account, user=name, address=address), key(address=address), key(account=account, user=name))


def _refuse_early(tx: Tx, keys: Keys, now_ms: int) -> None:
    """Raises Throttled while the wait is not over. Waiting is not made longer by asking."""
    pair, address, user = (store.attempts(tx, key).now(now_ms) for key in (keys.pair, keys.address, keys.user))
    left_ms = domain.waiting_ms(pair, address, user, now_ms)
    if left_ms:
        raise Throttled(f"Too many failed attempts. Try again in {-(-left_ms // 1000)} seconds.")


def _count(tx: Tx, *, keys: Keys, now_ms: int) -> None:
    _refuse_early(tx, keys, now_ms)
    for key in (keys.pair, keys.address, keys.user):
        store.save(tx, key, store.attempts(tx, key).now(now_ms).failed(now_ms))
    store.sweep(tx, now_ms)


def _again(outside: Outside, work: Callable[[Tx], None]) -> None:
    """`work` in a writing transaction, tried again while others overtake it."""
    for _ in range(CONFLICT_ATTEMPTS):
        try:
            with outside.writing() as tx:
                work(tx)
        except Conflict:
            continue
        return
    raise Throttled("Rate exceeded")


@cache
def _decoy() -> str:
    """A hash as every password has, of one that nobody knows."""
    return hash_password(Plaintext(random.letters(40).encode()))
