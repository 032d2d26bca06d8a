"""Who a request comes from, before it is asked what they may do."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A person, signed in on a device. What they may do is read per request, from the tenant that is asked about."""

    user_id: UUID
    device_id: UUID
    """The sign-in, as the list of devices shows it."""
    second_factor_age_s: float | None
    """How long ago a second factor was shown on this device; None: never."""
    has_second_factor: bool = False
    """The person has set one up, so that a sign-in is not whole before it was shown."""
    by_cookie: bool
    """Whether a browser sent it by itself, so that the origin of the request has to be looked at."""
    idle_limit_s: int | None = None
    """After so long without use the sign-in ends; None: it does not."""
