"""The job that forgets what of people's sign-ins counts no more."""

from typing import Final

from store.house import open_house
from store.jobs import Periodic, Round
from store.people import challenges, devices, token_keys


async def forget_sign_ins(this: Round) -> None:
    """Forget old challenges, failed codes, sign-ins and keys of tokens."""
    async with open_house(this.database) as house:
        await challenges.sweep(house, this.at)
        await devices.sweep(house, this.at)
        await token_keys.sweep(house, this.at)


PERIODIC: Final = (Periodic("sign_ins_round", "41 * * * *", forget_sign_ins),)
