"""What is allowed where a few names are: the message of an error that also keeps the names, so that `service.refusals`
can ask which of them was meant.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self


class OneOf(str):
    """The sentence `one of relu, tanh`. `known` are the names that may have been meant: these, and those that the
    request takes elsewhere.
    """

    known: tuple[str, ...]

    def __new__(cls, names: Iterable[str], *, more: str = "", elsewhere: Iterable[str] = ()) -> Self:
        names = tuple(names)
        self = super().__new__(cls, "one of " + ", ".join(names) + more)
        self.known = (*names, *elsewhere)
        return self


class Keys(OneOf):
    """The same, where it is the name of a key that is wrong and not its value."""
