"""A value that enters and never comes out, except where it is used."""

import hmac
from typing import Final, NoReturn, SupportsIndex

SHOWN: Final = 4
"""Characters by which people tell one secret from another."""
_LONG_ENOUGH: Final = 12
"""Of a shorter one, the last characters would be too much of it."""
_MASK: Final = "Secret(…)"


class Secret:
    """A secret text. Printed, formatted or logged it is a mask; no serializer takes it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value. Call it where it is used, not earlier."""
        return self._value

    @property
    def last_four(self) -> str | None:
        """What may be shown of it: its last four characters; None when it is shorter than twelve."""
        return self._value[-SHOWN:] if len(self._value) >= _LONG_ENOUGH else None

    def __repr__(self) -> str:
        return _MASK

    def __format__(self, _spec: str) -> str:
        return _MASK

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(other._value.encode(), self._value.encode())

    __hash__ = None  # type: ignore[assignment]  # a secret is no dictionary key; None is Python's way to say so

    def __copy__(self) -> "Secret":
        return self

    def __deepcopy__(self, _memo: object) -> "Secret":
        return self

    def __reduce_ex__(self, _protocol: SupportsIndex) -> NoReturn:
        raise TypeError("a secret is not written down")
