"""Every URL of the server, its handler, and what somebody needs to get there. Nothing is served that is not here."""

from collections.abc import Sequence
from typing import Final

from admin import assets, openapi, probes
from admin.api import disclosure as disclosure_api
from admin.api import live as live_api
from admin.api import numbers as numbers_api
from admin.api import scenarios as scenarios_api
from admin.api import trunks as trunks_api
from admin.auth import sign_in
from admin.pages import api, confirm, security
from admin.pages import live as live_pages
from admin.route import Open, Operation, Route
from policies import security_txt
from policies.access import Scope

SERVER: Final[Sequence[Route]] = (
    Route("GET", "/healthz", probes.health, Open.ANYONE),
    Route("GET", "/readyz", probes.readiness, Open.ANYONE),
    Route("GET", "/metrics", probes.metrics, Open.ANYONE),
    Route("GET", security_txt.PATH, probes.security, Open.ANYONE),
    Route("GET", security_txt.POLICY_PATH, probes.security_policy, Open.ANYONE),
    Route("GET", security_txt.THANKS_PATH, probes.security_thanks, Open.ANYONE),
    Route("GET", "/subprocessors.json", probes.subprocessors, Open.ANYONE),
    Route("GET", assets.PREFIX + "{name}", assets.serve, Open.ANYONE),
    Route("GET", "/api", api.documentation, Open.ANYONE),
    Route("GET", openapi.PATH, api.description, Open.ANYONE),
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
    Route("GET", "/account/confirm", confirm.show, Open.SIGNED_IN),
    Route("POST", "/account/confirm", confirm.by_code, Open.SIGNED_IN),
    Route("POST", "/account/confirm/passkey", confirm.by_passkey, Open.SIGNED_IN),
    Route("POST", "/account/confirm/passkey/options", confirm.passkey_options, Open.SIGNED_IN),
    Route("GET", "/account/security", security.show, Open.SIGNED_IN),
    Route("GET", "/account/security/app", security.show_app, Open.SIGNED_IN),
    Route("POST", "/account/security/app", security.begin_app, Open.SIGNED_IN),
    Route("POST", "/account/security/app/confirm", security.confirm_app, Open.SIGNED_IN),
    Route("POST", "/account/security/app/remove", security.remove_app, Open.SIGNED_IN),
    Route("POST", "/account/security/passkeys", security.add_passkey, Open.SIGNED_IN),
    Route("POST", "/account/security/passkeys/options", security.passkey_options, Open.SIGNED_IN),
    Route("POST", "/account/security/passkeys/{passkey_id}/remove", security.remove_passkey, Open.SIGNED_IN),
    Route("POST", "/account/security/recovery-codes", security.new_codes, Open.SIGNED_IN),
    Route("POST", "/account/security/devices/revoke-others", security.revoke_others, Open.SIGNED_IN),
    Route("POST", "/account/security/devices/{device_id}/revoke", security.revoke_device, Open.SIGNED_IN),
)
"""Signing in, and one's own account."""

PAGES: Final[Sequence[Route]] = (
    Route("GET", "/t/{tenant_id}/live", live_pages.live, Scope.SESSIONS_READ),
    Route("GET", "/t/{tenant_id}/live/{session_id}/card", live_pages.card, Scope.SESSIONS_READ),
    Route("POST", "/t/{tenant_id}/live/{session_id}/hang-up", live_pages.hang_up, Scope.SESSIONS_WRITE),
    Route("POST", "/t/{tenant_id}/live/{session_id}/transfer", live_pages.transfer, Scope.SESSIONS_WRITE),
    Route("POST", "/t/{tenant_id}/live/{session_id}/pause", live_pages.pause, Scope.SESSIONS_WRITE),
    Route("POST", "/t/{tenant_id}/live/{session_id}/resume", live_pages.resume, Scope.SESSIONS_WRITE),
)
"""The web admin, `/t/{tenant_id}/…`."""

_EVENTS: Final = "text/event-stream"
API: Final[Sequence[Operation]] = (
    Operation("GET", "/api/v1/scenarios", scenarios_api.list_scenarios, Scope.SCENARIOS_READ),
    Operation("POST", "/api/v1/scenarios", scenarios_api.create_scenario, Scope.SCENARIOS_WRITE, status=201),
    Operation("GET", "/api/v1/scenarios/{scenario_id}", scenarios_api.get_scenario, Scope.SCENARIOS_READ),
    Operation(
        "PUT",
        "/api/v1/scenarios/{scenario_id}/draft",
        scenarios_api.save_draft,
        Scope.SCENARIOS_WRITE,
        problems=(409,),
    ),
    Operation(
        "DELETE",
        "/api/v1/scenarios/{scenario_id}/draft",
        scenarios_api.discard_draft,
        Scope.SCENARIOS_WRITE,
        problems=(409,),
    ),
    Operation("POST", "/api/v1/scenarios/{scenario_id}/publish", scenarios_api.publish_scenario, Scope.SCENARIOS_WRITE),
    Operation(
        "POST", "/api/v1/scenarios/{scenario_id}/rollback", scenarios_api.roll_back_scenario, Scope.SCENARIOS_WRITE
    ),
    Operation("GET", "/api/v1/scenarios/{scenario_id}/versions", scenarios_api.list_versions, Scope.SCENARIOS_READ),
    Operation(
        "GET", "/api/v1/scenarios/{scenario_id}/wordings/{which}", scenarios_api.get_wording, Scope.SCENARIOS_READ
    ),
    Operation("GET", "/api/v1/scenarios/{scenario_id}/diff", scenarios_api.compare_wordings, Scope.SCENARIOS_READ),
    Operation("GET", "/api/v1/scenarios/{scenario_id}/disclosure", disclosure_api.get_disclosure, Scope.SCENARIOS_READ),
    Operation(
        "GET",
        "/api/v1/scenarios/{scenario_id}/speech",
        disclosure_api.get_speech,
        Scope.SCENARIOS_READ,
        media_type="audio/wav",
    ),
    Operation("GET", "/api/v1/numbers", numbers_api.list_numbers, Scope.NUMBERS_READ),
    Operation("POST", "/api/v1/numbers", numbers_api.add_number, Scope.NUMBERS_WRITE, status=201),
    Operation("GET", "/api/v1/numbers/{number_id}", numbers_api.get_number, Scope.NUMBERS_READ),
    Operation("PATCH", "/api/v1/numbers/{number_id}", numbers_api.change_number, Scope.NUMBERS_WRITE),
    Operation("DELETE", "/api/v1/numbers/{number_id}", numbers_api.remove_number, Scope.NUMBERS_WRITE),
    Operation("POST", "/api/v1/numbers/{number_id}/test", numbers_api.judge_number, Scope.NUMBERS_READ),
    Operation("GET", "/api/v1/trunks", trunks_api.list_trunks, Scope.TRUNKS_READ),
    Operation("POST", "/api/v1/trunks", trunks_api.add_trunk, Scope.TRUNKS_WRITE, status=201),
    Operation("GET", "/api/v1/trunks/refusals", trunks_api.list_refusals, Scope.TRUNKS_READ),
    Operation("GET", "/api/v1/trunks/{trunk_id}", trunks_api.get_trunk, Scope.TRUNKS_READ),
    Operation("PUT", "/api/v1/trunks/{trunk_id}", trunks_api.change_trunk, Scope.TRUNKS_WRITE),
    Operation("DELETE", "/api/v1/trunks/{trunk_id}", trunks_api.remove_trunk, Scope.TRUNKS_WRITE),
    Operation("GET", "/api/v1/live", live_api.list_live, Scope.SESSIONS_READ),
    Operation(
        "GET", "/api/v1/live/events", live_api.live_events, Scope.SESSIONS_READ, problems=(409,), media_type=_EVENTS
    ),
    Operation(
        "GET",
        "/api/v1/sessions/{session_id}/live",
        live_api.session_events,
        Scope.SESSIONS_READ,
        problems=(404, 409),
        media_type=_EVENTS,
    ),
    Operation(
        "POST",
        "/api/v1/sessions/{session_id}/hang-up",
        live_api.hang_up,
        Scope.SESSIONS_WRITE,
        status=204,
        problems=(404, 409),
    ),
    Operation(
        "POST",
        "/api/v1/sessions/{session_id}/transfer",
        live_api.transfer,
        Scope.SESSIONS_WRITE,
        status=204,
        problems=(404, 409),
    ),
    Operation(
        "POST",
        "/api/v1/sessions/{session_id}/pause",
        live_api.pause,
        Scope.SESSIONS_WRITE,
        status=204,
        problems=(404, 409),
    ),
    Operation(
        "POST",
        "/api/v1/sessions/{session_id}/resume",
        live_api.resume,
        Scope.SESSIONS_WRITE,
        status=204,
        problems=(404, 409),
    ),
)
"""The HTTP API, `/api/v1/…`."""

ROUTES: Final[Sequence[Route]] = (*SERVER, *SIGN_IN, *PAGES, *API)
