"""Whether somebody has shown a second factor lately enough, and where they must have one."""

from datetime import datetime, timedelta
from typing import Final

from admin.ask import problem_of
from admin.identity import Identity
from admin.problems import RefusedError
from admin.services import Services
from policies.access import STEP_UP_S, Refusal
from store.people.memberships import standing_of, tenants_of
from store.people.second_factors import Factors, signed_in_at
from store.scope import TenantStore

_FIRST_WITHIN: Final = timedelta(minutes=15)
"""The first factor is added by somebody who has just shown to read the mailbox: there is nothing else to ask for."""


def is_fresh(identity: Identity) -> bool:
    """Whether a second factor was shown on this device within the last quarter of an hour."""
    return identity.second_factor_age_s is not None and identity.second_factor_age_s <= STEP_UP_S


async def check_may_change(house: TenantStore, identity: Identity, factors: Factors, now: datetime) -> None:
    """Go on only if who is signed in may add or remove factors now.

    Raises:
        ProblemError: 403: they have to confirm with a factor they have or, for their first one, to sign in again.
    """
    if factors.count:
        if not is_fresh(identity):
            raise problem_of(Refusal("step_up", "Confirm that it is you before you change how that is done."))
        return
    at = await signed_in_at(house, identity.device_id)
    if at is None or now - at > _FIRST_WITHIN:
        raise RefusedError(
            "Your sign-in is too long ago to set up a first second factor.", remedy="Sign in again at /sign-in"
        )


async def must_have_second_factor(services: Services, identity: Identity) -> bool:
    """Whether any tenant asks it of this person: as an owner, or of everyone."""
    async with services.database.platform() as platform:
        tenants = await tenants_of(platform, identity.user_id)
    for tenant in tenants:
        async with services.database.tenant(tenant.id) as store:
            if (await standing_of(store, identity.user_id)).must_have_second_factor:
                return True
    return False
