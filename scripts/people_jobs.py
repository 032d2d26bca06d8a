"""The job that forgets what of people's sign-ins counts no more, and people who came once and belong to nobody."""

from typing import Final

from policies.audit_tags import Actor
from store.house import open_house
from store.jobs import Periodic, Round
from store.people import accounts, challenges, devices, token_keys
from store.people.memberships import tenants_of

TASK: Final = "sign_ins_round"


async def forget_sign_ins(this: Round) -> None:
    """Forget old challenges, failed codes, sign-ins and keys of tokens."""
    async with open_house(this.database) as house:
        await challenges.sweep(house, this.at)
        await devices.sweep(house, this.at)
        await token_keys.sweep(house, this.at)
        # Anybody may sign in, and have nothing of it: their address is not kept for longer than their devices are.
        for user_id in await accounts.strangers(house, this.at - devices.ABSOLUTE_LIFE):
            async with this.database.platform() as platform:
                belongs_somewhere = await tenants_of(platform, user_id)
            if not belongs_somewhere:
                await accounts.remove_account(house, user_id, actor=Actor("system", TASK))


PERIODIC: Final = (Periodic(TASK, "41 * * * *", forget_sign_ins),)
