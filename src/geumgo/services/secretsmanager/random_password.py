"""GetRandomPassword: the only operation here that touches no secret."""

from geumgo.context import Context, Params
from geumgo.room import reads
from geumgo.sealing import random
from geumgo.services.secretsmanager.domain_password import recipe


@reads
def get_random_password(ctx: Context, request: Params) -> Params:  # noqa: ARG001 - a password depends on nothing that is kept
    """One character of each required type, the rest from the whole pool, in an order of chance.

    Unverified: that AWS draws in this way; only the outcome is documented.
    """
    length, required, pool = recipe(request)
    drawn = [random.choice(characters) for characters in required]
    drawn += [random.choice(pool) for _ in range(length - len(drawn))]
    return {"RandomPassword": "".join(random.shuffle(drawn))}
