"""Every URL of the server, its handler, and what somebody needs to get there. Nothing is served that is not here."""

from collections.abc import Sequence
from typing import Final

from admin import assets, probes
from admin.auth import sign_in
from admin.route import Open, Operation, Route
from policies import security_txt

SERVER: Final[Sequence[Route]] = (
    Route("GET", "/healthz", probes.health, Open.ANYONE),
    Route("GET", "/readyz", probes.readiness, Open.ANYONE),
    Route("GET", "/metrics", probes.metrics, Open.ANYONE),
    Route("GET", security_txt.PATH, probes.security, Open.ANYONE),
    Route("GET", security_txt.POLICY_PATH, probes.security_policy, Open.ANYONE),
    Route("GET", security_txt.THANKS_PATH, probes.security_thanks, Open.ANYONE),
    Route("GET", "/subprocessors.json", probes.subprocessors, Open.ANYONE),
    Route("GET", assets.PREFIX + "{name}", assets.serve, Open.ANYONE),
)
"""About the server itself."""

SIGN_IN: Final[Sequence[Route]] = (
    Route("GET", "/", sign_in.home, Open.SIGNED_IN),
    Route("GET", "/sign-in", sign_in.ask_address, Open.ANYONE),
    Route("POST", "/sign-in", sign_in.send_mail, Open.ANYONE),
    Route("GET", "/sign-in/code", sign_in.ask_code, Open.ANYONE),
    Route("POST", "/sign-in/code", sign_in.check_code, Open.ANYONE),
    Route("GET", "/sign-in/link/{token}", sign_in.look_at_link, Open.ANYONE),
    Route("POST", "/sign-in/link/{token}", sign_in.use_link, Open.ANYONE),
    Route("POST", "/sign-out", sign_in.sign_out, Open.SIGNED_IN),
)
"""Signing in, and one's own account."""

PAGES: Final[Sequence[Route]] = ()
"""The web admin, `/t/{tenant_id}/…`."""

API: Final[Sequence[Operation]] = ()
"""The HTTP API, `/api/v1/…`."""

ROUTES: Final[Sequence[Route]] = (*SERVER, *SIGN_IN, *PAGES, *API)
