"""The short-lived token with which a call may talk to its model, asked of the desk each time it is needed."""

import time
from collections.abc import Callable

from voice.call.desk_client import DeskAwayError, DeskClient
from voice.call.model_connection import ModelRefusedError
from voice.waist.messages import TokenDenied, TokenMinted, TokenRequested
from voice.waist.plan import CallPlan

_SPARE_SECONDS = 5
"""A token that expires sooner is not worth a try."""


class ModelToken:
    """One call's. The last token serves again, while it is valid, when the desk is away."""

    def __init__(self, desk: DeskClient, plan: CallPlan, minted: Callable[[TokenMinted], None]) -> None:
        """`minted` is told of each new token."""
        self._desk = desk
        self._request = TokenRequested(session_id=plan.session_id, tenant_id=plan.tenant_id, project_id=plan.project_id)
        self._minted = minted
        self._last: TokenMinted | None = None

    async def ask(self, seconds: float) -> str:
        """A token, within so many seconds.

        Raises:
            ModelRefusedError: The desk has none, or is away and the last one has expired.
        """
        try:
            answer = await self._desk.ask(self._request, seconds=seconds)
        except DeskAwayError:
            if self._last is None or self._last.expires_at_unix < time.time() + _SPARE_SECONDS:
                raise ModelRefusedError("desk_away") from None
            return self._last.token
        if isinstance(answer, TokenMinted):
            self._last = answer
            self._minted(answer)
            return answer.token
        raise ModelRefusedError(answer.code if isinstance(answer, TokenDenied) else "no_token")
