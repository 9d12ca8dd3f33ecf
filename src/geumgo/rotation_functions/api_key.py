"""A key, password or token that both sides read from the secret: rotation is a new random value under AWSCURRENT.

Who checks the key accepts AWSCURRENT, AWSPREVIOUS and, while a rotation runs, AWSPENDING; who presents it takes AWSCURRENT. The value is
the text of the secret or, where SECRET_KEY names one, that key of its JSON. What PREFIX says stands before each new value.
"""

import json
import os

from .steps import Rotation, handler


class ApiKey(Rotation):
    """One call of one step."""

    def create(self) -> None:
        current = self.text("AWSCURRENT")
        if self.text_if_there("AWSPENDING") is not None:
            return
        new = os.environ.get("PREFIX", "") + self.new_password()
        key = os.environ.get("SECRET_KEY")
        if key:
            secret = json.loads(current)
            if key not in secret:
                raise KeyError(f"{key} key is missing from secret JSON")
            new = json.dumps({**secret, key: new})
        self.put(new)

    def set(self) -> None:
        """Nobody is told: both sides read the secret."""

    def test(self) -> None:
        if self.text("AWSPENDING") == self.text("AWSCURRENT"):
            raise ValueError(f"The pending value of secret {self.arn} is not a new one")


lambda_handler = handler(
    ApiKey,
    {
        "createSecret": ApiKey.create,
        "setSecret": ApiKey.set,
        "testSecret": ApiKey.test,
        "finishSecret": ApiKey.finish,
    },
)
