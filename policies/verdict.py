"""What a policy answers: `Allow`, or `Deny` with the reason in plain words."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Allow:
    """Yes. Truthy."""

    def __bool__(self) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class Deny:
    """No, and why. Falsy."""

    reason: str

    def __bool__(self) -> bool:
        return False


Verdict = Allow | Deny
