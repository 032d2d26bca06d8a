"""Short-lived tokens for the realtime model, so that no provider key ever enters a worker."""

import asyncio
import re
import time
from types import TracebackType
from typing import Self

import httpx2
import openai
import structlog
from openai import AsyncOpenAI

from policies.residency import Bounds
from voice.desk.outgoing import EgressRefusedError, Outgoing
from voice.desk.settings import ModelEndpoint
from voice.waist.messages import TokenDenied, TokenMinted

log = structlog.get_logger()

LIFE_SECONDS = 120
"""A token only has to outlive the opening of one connection; a reconnect asks for a new one."""
MINT_SECONDS = 4.0
"""While the disclosure plays there is time, but a caller must not wait longer for the fallback."""


class TokenMint:
    """Mints tokens at one provider over connections that stay open between calls."""

    def __init__(self, endpoint: ModelEndpoint, outgoing: Outgoing) -> None:
        self._url = endpoint.base_url
        self._outgoing = outgoing
        self._client = openai_client(endpoint, outgoing, seconds=MINT_SECONDS)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()

    async def mint(self, model: str, bounds: Bounds) -> TokenMinted | TokenDenied:
        """A token for one connection of a project with these bounds to this realtime model, or why there is none.

        The worker then talks to the host that has minted it, so what is refused here gets nothing of the call.
        Codes: `unauthorized` (the key is wrong or may not use the model), the provider's own code or `status_…` for
        a request it refuses, such as `rate_limit_exceeded`; `server_error`, `unreachable`, `timeout`, `malformed`;
        `provider_unregistered` and `provider_out_of_bounds` before it is asked at all.
        """
        began = time.monotonic()
        try:
            self._outgoing.check(self._url, bounds)
            with self._outgoing.on_behalf_of(bounds) as traffic:
                async with asyncio.timeout(MINT_SECONDS):
                    secret = await self._client.realtime.client_secrets.create(
                        expires_after={"anchor": "created_at", "seconds": LIFE_SECONDS},
                        session={"type": "realtime", "model": model},
                    )
        except EgressRefusedError as refusal:
            log.warning("token_denied", code=refusal.code, reason=refusal.reason)
            return TokenDenied(code=refusal.code)
        except (openai.OpenAIError, TimeoutError) as error:
            code = denial_code(error)
            log.warning("token_denied", code=code, took_ms=round((time.monotonic() - began) * 1000))
            return TokenDenied(code=code)
        return TokenMinted(
            token=secret.value,
            expires_at_unix=secret.expires_at,
            sent_bytes=traffic.sent_bytes,
            received_bytes=traffic.received_bytes,
        )


def openai_client(endpoint: ModelEndpoint, outgoing: Outgoing, *, seconds: float) -> AsyncOpenAI:
    """The official SDK, on our way out. Asks a second time after a failure."""
    return AsyncOpenAI(
        base_url=endpoint.base_url,
        api_key=endpoint.api_key,
        timeout=seconds,
        max_retries=1,
        http_client=httpx2.AsyncClient(transport=outgoing.transport(), trust_env=False),
    )


def denial_code(error: openai.OpenAIError | TimeoutError) -> str:
    """One word for the journal; never the provider's free text, which may quote what was sent."""
    for kind, word in _WORDS:
        if isinstance(error, kind):
            return word
    if isinstance(error, openai.APIStatusError):
        return error.code if error.code and _CODE.fullmatch(error.code) else f"status_{error.status_code}"
    return "malformed"


_CODE = re.compile(r"[a-z0-9_]{1,64}")
_WORDS: tuple[tuple[type[Exception], str], ...] = (
    (TimeoutError, "timeout"),
    (openai.APITimeoutError, "timeout"),
    (openai.APIConnectionError, "unreachable"),
    (openai.AuthenticationError, "unauthorized"),
    (openai.PermissionDeniedError, "unauthorized"),
    (openai.InternalServerError, "server_error"),
)
