"""People who are signed in, by what signs everybody in, without HTTP."""

from dataclasses import dataclass
from uuid import UUID

from admin.auth.cookies import cookie_name
from admin.auth.identify import now_of
from admin.auth.tokens import Tokens
from admin.services import Services
from store.house import open_house
from store.people import accounts, devices
from store.people.challenges import new_secret


@dataclass(frozen=True, slots=True)
class SignedInPerson:
    """Somebody, and what their browser or their program sends."""

    user_id: UUID
    device_id: UUID
    email: str
    access_token: str
    refresh_token: str

    @property
    def cookies(self) -> dict[str, str]:
        """Of a browser, over plain HTTP."""
        return {
            cookie_name("access", secure=False): self.access_token,
            cookie_name("refresh", secure=False): self.refresh_token,
        }

    @property
    def headers(self) -> dict[str, str]:
        """Of a program."""
        return {"Authorization": f"Bearer {self.access_token}"}


async def signed_in(services: Services, email: str, *, second_factor: bool = False) -> SignedInPerson:
    """Somebody with this address, signed in a moment ago; with or without having shown a second factor."""
    now = now_of(services)
    async with open_house(services.database) as house:
        account = await accounts.find_or_make(house, accounts.read_email(email))
        device = await devices.open_device(house, account.id, label="Firefox on Linux", browser=new_secret(), at=now)
        if second_factor:
            await devices.note_second_factor(house, device.device_id, now)
    token = await Tokens().sign(services, user_id=account.id, device_id=device.device_id)
    return SignedInPerson(account.id, device.device_id, account.email, token, device.refresh_token)
