"""Every URL of the server, its handler, and what somebody needs to get there. Nothing is served that is not here."""

from collections.abc import Sequence
from typing import Final

from admin import assets, probes
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

SIGN_IN: Final[Sequence[Route]] = ()
"""Signing in, and one's own account."""

PAGES: Final[Sequence[Route]] = ()
"""The web admin, `/t/{tenant_id}/…`."""

API: Final[Sequence[Operation]] = ()
"""The HTTP API, `/api/v1/…`."""

ROUTES: Final[Sequence[Route]] = (*SERVER, *SIGN_IN, *PAGES, *API)
