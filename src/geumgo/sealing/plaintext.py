"""A secret value on its way through the process: shown as stars wherever it is printed by mistake."""

from typing import NoReturn, final


@final
class Plaintext:
    """Bytes that must not be seen. `repr`, `str` and format give stars; pickling and copying are refused."""

    __slots__ = ("_bytes",)

    def __init__(self, value: bytes) -> None:
        self._bytes = value

    def reveal(self) -> bytes:
        """The bytes themselves. Called where they leave: into a cipher, or into the answer."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._bytes)

    def __repr__(self) -> str:
        return "Plaintext(***)"

    def __str__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> str:
        return "***"

    def __eq__(self, other: object) -> NoReturn:
        raise TypeError("plaintexts are compared with hmac.compare_digest")

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> NoReturn:
        raise TypeError("a plaintext is never pickled or copied")
