"""What people are written about their second factors. No letter holds a code, a secret or what a key is called."""

from typing import Final
from uuid import UUID

from store.outbox import queue_mail
from store.people.accounts import find
from store.scope import TenantStore

KIND: Final = "second_factor_notice"
"""What the outbox calls these mails."""

ADDED: Final = "was added to your account"
REMOVED: Final = "was removed from your account"
CODES_MADE: Final = "New recovery codes were made for your account"
CODE_USED: Final = "A recovery code was used to confirm it is you"
MANY_WRONG: Final = "Ten wrong codes of your authenticator app were entered"
ALL_REMOVED: Final = "All second factors were taken off your account"
COPIED: Final = "A passkey of your account seems to have been copied"

_NOT_YOU: Final = (
    "If this was you, nothing needs to be done. If it was not, somebody can read your mail: secure your mailbox first,"
    " then sign in, look at My security, revoke the devices you do not know and make new recovery codes."
)
_MORE: Final = {
    MANY_WRONG: "No code of the app is accepted for a day. Passkeys and recovery codes work as before.",
    ALL_REMOVED: "Whoever runs this server did it, and signed you out everywhere. Sign in and set up a new one now.",
    COPIED: "Its count of uses went backwards, so it was refused. Remove it unless you know why.",
}


async def tell(house: TenantStore, user_id: UUID, what: str) -> None:
    """Write to somebody, in the transaction of what has happened to their account."""
    account = await find(house, user_id)
    if account is None:
        return
    parts = (f"{what}.", _MORE.get(what, ""), _NOT_YOU)
    body = "\n\n".join(part for part in parts if part)
    await queue_mail(house, to=account.email, subject=what, body=body, kind=KIND)
