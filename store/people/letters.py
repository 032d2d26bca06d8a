"""What is written to the people who sign in."""

from datetime import datetime
from typing import Final

from store.dsar.letters import Letter

SIGN_IN: Final = "sign_in"
"""What the outbox calls the mail that signs somebody in."""
_NOT_YOU: Final = (
    "If that was not you, open My security in the web admin, end every sign-in that you do not know, and tell whoever"
    " runs this server."
)


def sign_in(code: str, link: str) -> Letter:
    """The way in."""
    return Letter(
        "Your sign-in to Aitelier",
        f"Your code: {code[:3]} {code[3:]}\n\n"
        "Type it in the window where you asked for it, within ten minutes. Or open this link in the same browser:\n\n"
        f"{link}\n\n"
        "If you did not ask for this, do nothing. Give the code to nobody: we never ask for it by phone or by mail.",
    )


def new_device(label: str, at: datetime) -> Letter:
    """Somebody has signed in from a browser that has not been seen before."""
    return Letter(
        "A new sign-in to Aitelier",
        f"Somebody signed in to your account with a browser that was not used for it before:\n\n"
        f"{label}, {_moment(at)}\n\nIf that was you, all is well. {_NOT_YOU}",
    )


def token_reused(label: str, at: datetime) -> Letter:
    """What keeps a browser signed in has turned up twice, so that one of the two has stolen it."""
    return Letter(
        "A sign-in to Aitelier was ended",
        f"Your sign-in with {label} was ended at {_moment(at)}: what keeps that browser signed in was used from two"
        f" places. Sign in again to go on. {_NOT_YOU}",
    )


def many_failures(at: datetime) -> Letter:
    """Codes are off for a day."""
    return Letter(
        "Many wrong codes for Aitelier",
        f"Until {_moment(at)} so many wrong codes were given for your address that codes are off for a day. You can"
        " still sign in: open the link in the mail instead, in the browser that asked for it.\n\n"
        "Nobody gets in with a wrong code, so there is nothing that you must do.",
    )


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
