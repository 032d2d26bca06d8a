"""Every URL of the server, its handler, and what somebody needs to get there. Nothing is served that is not here."""

from collections.abc import Sequence
from typing import Final

from admin import assets, openapi, probes
from admin.api import audit as audit_api
from admin.api import browser_call, session_content
from admin.api import callers as callers_api
from admin.api import disclosure as disclosure_api
from admin.api import erasures as erasures_api
from admin.api import holds as holds_api
from admin.api import invitations as invitations_api
from admin.api import keys as keys_api
from admin.api import live as live_api
from admin.api import members as members_api
from admin.api import numbers as numbers_api
from admin.api import overview as overview_api
from admin.api import projects as projects_api
from admin.api import recordings as recordings_api
from admin.api import registers as registers_api
from admin.api import requests as requests_api
from admin.api import retention as retention_api
from admin.api import scenarios as scenarios_api
from admin.api import sessions as sessions_api
from admin.api import settings as settings_api
from admin.api import trunks as trunks_api
from admin.api import usage as usage_api
from admin.auth import sign_in
from admin.pages import api, confirm, security
from admin.pages import audit as audit_pages
from admin.pages import browser_call as browser_call_pages
from admin.pages import call as call_pages
from admin.pages import calls as calls_pages
from admin.pages import erasures as erasures_pages
from admin.pages import flows as flows_pages
from admin.pages import invitation as invitation_pages
from admin.pages import keys as keys_pages
from admin.pages import live as live_pages
from admin.pages import numbers as number_pages
from admin.pages import overview as overview_pages
from admin.pages import people as people_pages
from admin.pages import projects as projects_pages
from admin.pages import requests as requests_pages
from admin.pages import retention as retention_pages
from admin.pages import scenarios as scenario_pages
from admin.pages import settings as settings_pages
from admin.pages import trunks as trunk_pages
from admin.pages import usage as usage_pages
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
    Route("GET", "/invitations/{tenant_id}/{token}", invitation_pages.show, Open.SIGNED_IN),
    Route("POST", "/invitations/{tenant_id}/{token}", invitation_pages.accept, Open.SIGNED_IN),
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
    Route("GET", "/t/{tenant_id}/scenarios", scenario_pages.list_page, Scope.SCENARIOS_READ),
    Route("GET", "/t/{tenant_id}/scenarios.csv", scenario_pages.as_csv, Scope.SCENARIOS_READ),
    Route("GET", "/t/{tenant_id}/scenarios/new", scenario_pages.new, Scope.SCENARIOS_WRITE),
    Route("POST", "/t/{tenant_id}/scenarios", scenario_pages.create, Scope.SCENARIOS_WRITE),
    Route("GET", "/t/{tenant_id}/scenarios/{scenario_id}", scenario_pages.edit, Scope.SCENARIOS_READ),
    Route("POST", "/t/{tenant_id}/scenarios/{scenario_id}/draft", scenario_pages.save, Scope.SCENARIOS_WRITE),
    Route("POST", "/t/{tenant_id}/scenarios/{scenario_id}/file", scenario_pages.save_file, Scope.SCENARIOS_WRITE),
    Route("POST", "/t/{tenant_id}/scenarios/{scenario_id}/publish", scenario_pages.publish, Scope.SCENARIOS_WRITE),
    Route("POST", "/t/{tenant_id}/scenarios/{scenario_id}/discard", scenario_pages.discard, Scope.SCENARIOS_WRITE),
    Route("GET", "/t/{tenant_id}/scenarios/{scenario_id}/versions", scenario_pages.versions, Scope.SCENARIOS_READ),
    Route(
        "GET",
        "/t/{tenant_id}/scenarios/{scenario_id}/versions/{version}",
        scenario_pages.version,
        Scope.SCENARIOS_READ,
    ),
    Route("POST", "/t/{tenant_id}/scenarios/{scenario_id}/rollback", scenario_pages.roll_back, Scope.SCENARIOS_WRITE),
    Route("GET", "/t/{tenant_id}/numbers", number_pages.list_page, Scope.NUMBERS_READ),
    Route("GET", "/t/{tenant_id}/numbers.csv", number_pages.as_csv, Scope.NUMBERS_READ),
    Route("POST", "/t/{tenant_id}/numbers", number_pages.add, Scope.NUMBERS_WRITE),
    Route("GET", "/t/{tenant_id}/numbers/{number_id}", number_pages.show, Scope.NUMBERS_READ),
    Route("POST", "/t/{tenant_id}/numbers/{number_id}", number_pages.change, Scope.NUMBERS_WRITE),
    Route("POST", "/t/{tenant_id}/numbers/{number_id}/test", number_pages.test, Scope.NUMBERS_READ),
    Route("GET", "/t/{tenant_id}/numbers/{number_id}/remove", number_pages.ask_removal, Scope.NUMBERS_WRITE),
    Route("POST", "/t/{tenant_id}/numbers/{number_id}/remove", number_pages.remove, Scope.NUMBERS_WRITE),
    Route("GET", "/t/{tenant_id}/trunks", trunk_pages.list_page, Scope.TRUNKS_READ),
    Route("GET", "/t/{tenant_id}/trunks.csv", trunk_pages.as_csv, Scope.TRUNKS_READ),
    Route("GET", "/t/{tenant_id}/trunks/new", trunk_pages.new, Scope.TRUNKS_WRITE),
    Route("POST", "/t/{tenant_id}/trunks", trunk_pages.add, Scope.TRUNKS_WRITE),
    Route("GET", "/t/{tenant_id}/trunks/guides/{guide}", trunk_pages.guide, Scope.TRUNKS_READ),
    Route("GET", "/t/{tenant_id}/trunks/{trunk_id}", trunk_pages.show, Scope.TRUNKS_READ),
    Route("POST", "/t/{tenant_id}/trunks/{trunk_id}", trunk_pages.change, Scope.TRUNKS_WRITE),
    Route("GET", "/t/{tenant_id}/trunks/{trunk_id}/remove", trunk_pages.ask_removal, Scope.TRUNKS_WRITE),
    Route("POST", "/t/{tenant_id}/trunks/{trunk_id}/remove", trunk_pages.remove, Scope.TRUNKS_WRITE),
    Route("GET", "/t/{tenant_id}/", overview_pages.show, Scope.SESSIONS_READ),
    Route("GET", "/t/{tenant_id}/calls", calls_pages.show, Scope.SESSIONS_READ),
    Route("GET", "/t/{tenant_id}/calls.csv", calls_pages.as_csv, Scope.SESSIONS_READ),
    Route("GET", "/t/{tenant_id}/calls/erase", calls_pages.confirm_erasing, Scope.SESSIONS_DELETE),
    Route("POST", "/t/{tenant_id}/calls/erase", calls_pages.erase, Scope.SESSIONS_DELETE),
    Route("GET", "/t/{tenant_id}/calls/{session_id}", call_pages.show, Scope.SESSIONS_READ),
    Route("GET", "/t/{tenant_id}/erasures", erasures_pages.erasures, Scope.SESSIONS_READ),
    Route("GET", "/t/{tenant_id}/erasures/{erasure_id}", erasures_pages.show, Scope.SESSIONS_READ),
    Route("GET", "/t/{tenant_id}/erasures/{erasure_id}/progress", erasures_pages.progress, Scope.SESSIONS_READ),
    Route("GET", "/t/{tenant_id}/erasures/{erasure_id}/receipt", erasures_pages.receipt, Scope.SESSIONS_READ),
    Route("GET", "/t/{tenant_id}/people", people_pages.people, Scope.MEMBERS_READ),
    Route("GET", "/t/{tenant_id}/people.csv", people_pages.as_csv, Scope.MEMBERS_READ),
    Route("POST", "/t/{tenant_id}/people/invitations", people_pages.invite, Scope.MEMBERS_WRITE),
    Route(
        "POST",
        "/t/{tenant_id}/people/invitations/{invitation_id}/send",
        people_pages.send_again,
        Scope.MEMBERS_WRITE,
    ),
    Route(
        "POST",
        "/t/{tenant_id}/people/invitations/{invitation_id}/revoke",
        people_pages.revoke_invitation,
        Scope.MEMBERS_WRITE,
    ),
    Route("GET", "/t/{tenant_id}/people/{user_id}", people_pages.member, Scope.MEMBERS_READ),
    Route("POST", "/t/{tenant_id}/people/{user_id}/roles", people_pages.set_role, Scope.MEMBERS_WRITE),
    Route(
        "POST",
        "/t/{tenant_id}/people/{user_id}/roles/{membership_id}/end",
        people_pages.take_role,
        Scope.MEMBERS_WRITE,
    ),
    Route("GET", "/t/{tenant_id}/people/{user_id}/remove", people_pages.ask_removal, Scope.MEMBERS_WRITE),
    Route("POST", "/t/{tenant_id}/people/{user_id}/remove", people_pages.remove, Scope.MEMBERS_WRITE),
    Route("GET", "/t/{tenant_id}/leave", people_pages.ask_leaving, Scope.PROJECTS_READ),
    Route("POST", "/t/{tenant_id}/leave", people_pages.leave, Scope.PROJECTS_READ),
    Route("GET", "/t/{tenant_id}/keys", keys_pages.keys, Scope.KEYS_READ),
    Route("GET", "/t/{tenant_id}/keys.csv", keys_pages.as_csv, Scope.KEYS_READ),
    Route("POST", "/t/{tenant_id}/keys", keys_pages.make_key, Scope.KEYS_WRITE),
    Route("GET", "/t/{tenant_id}/keys/new", keys_pages.new_key, Scope.KEYS_WRITE),
    Route("GET", "/t/{tenant_id}/keys/{key_id}/revoke", keys_pages.ask_revocation, Scope.KEYS_WRITE),
    Route("POST", "/t/{tenant_id}/keys/{key_id}/revoke", keys_pages.revoke_key, Scope.KEYS_WRITE),
    Route("GET", "/t/{tenant_id}/keys/{key_id}/rotate", keys_pages.ask_rotation, Scope.KEYS_WRITE),
    Route("POST", "/t/{tenant_id}/keys/{key_id}/rotate", keys_pages.rotate_key, Scope.KEYS_WRITE),
    Route("GET", "/t/{tenant_id}/try", browser_call_pages.try_page, Scope.SESSIONS_WRITE),
    Route("GET", "/t/{tenant_id}/live", live_pages.live, Scope.SESSIONS_READ),
    Route("GET", "/t/{tenant_id}/live/{session_id}/card", live_pages.card, Scope.SESSIONS_READ),
    Route("POST", "/t/{tenant_id}/live/{session_id}/hang-up", live_pages.hang_up, Scope.SESSIONS_WRITE),
    Route("POST", "/t/{tenant_id}/live/{session_id}/transfer", live_pages.transfer, Scope.SESSIONS_WRITE),
    Route("POST", "/t/{tenant_id}/live/{session_id}/pause", live_pages.pause, Scope.SESSIONS_WRITE),
    Route("POST", "/t/{tenant_id}/live/{session_id}/resume", live_pages.resume, Scope.SESSIONS_WRITE),
    Route("GET", "/t/{tenant_id}/requests", requests_pages.show_all, Scope.DSAR_READ),
    Route("POST", "/t/{tenant_id}/requests", requests_pages.open_one, Scope.DSAR_WRITE),
    Route("GET", "/t/{tenant_id}/requests.csv", requests_pages.as_csv, Scope.DSAR_READ),
    Route("GET", "/t/{tenant_id}/requests/new", requests_pages.ask_new, Scope.DSAR_WRITE),
    Route("POST", "/t/{tenant_id}/requests/search", requests_pages.search, Scope.DSAR_READ),
    Route("POST", "/t/{tenant_id}/requests/contact", requests_pages.set_contact, Scope.DSAR_WRITE),
    Route("GET", "/t/{tenant_id}/requests/{request_id}", requests_pages.show, Scope.DSAR_READ),
    Route("POST", "/t/{tenant_id}/requests/{request_id}/export", requests_pages.export, Scope.DSAR_WRITE),
    Route("POST", "/t/{tenant_id}/requests/{request_id}/erase", requests_pages.erase, Scope.DSAR_WRITE),
    Route("POST", "/t/{tenant_id}/requests/{request_id}/close", requests_pages.close, Scope.DSAR_WRITE),
    Route("GET", "/t/{tenant_id}/requests/{request_id}/receipt", requests_pages.receipt, Scope.DSAR_READ),
    Route("GET", "/t/{tenant_id}/retention", retention_pages.show, Scope.RETENTION_READ),
    Route("GET", "/t/{tenant_id}/retention/{project_id}", retention_pages.change, Scope.RETENTION_READ),
    Route("POST", "/t/{tenant_id}/retention/{project_id}", retention_pages.save, Scope.RETENTION_WRITE),
    Route("GET", "/t/{tenant_id}/holds.csv", retention_pages.holds_as_csv, Scope.RETENTION_READ),
    Route("POST", "/t/{tenant_id}/holds", retention_pages.place_hold, Scope.RETENTION_WRITE),
    Route("POST", "/t/{tenant_id}/holds/{hold_id}/release", retention_pages.release_hold, Scope.RETENTION_WRITE),
    Route("GET", "/t/{tenant_id}/data-flows", flows_pages.show, Scope.SESSIONS_READ),
    Route("GET", "/t/{tenant_id}/data-flows.csv", flows_pages.as_csv, Scope.SESSIONS_READ),
    Route("GET", "/t/{tenant_id}/data-flows/{project_id}", flows_pages.show_bounds, Scope.PROJECTS_READ),
    Route("POST", "/t/{tenant_id}/data-flows/{project_id}/residency", flows_pages.set_residency, Scope.PROJECTS_WRITE),
    Route("POST", "/t/{tenant_id}/data-flows/{project_id}/hipaa", flows_pages.set_hipaa, Scope.PROJECTS_WRITE),
    Route("GET", "/t/{tenant_id}/audit", audit_pages.show, Scope.AUDIT_READ),
    Route("GET", "/t/{tenant_id}/audit.csv", audit_pages.as_csv, Scope.AUDIT_READ),
    Route("POST", "/t/{tenant_id}/audit/check", audit_pages.check, Scope.AUDIT_READ),
    Route("POST", "/t/{tenant_id}/audit/export", audit_pages.export, Scope.AUDIT_EXPORT),
    Route("GET", "/t/{tenant_id}/usage", usage_pages.show, Scope.USAGE_READ),
    Route("GET", "/t/{tenant_id}/usage.csv", usage_pages.as_csv, Scope.USAGE_READ),
    Route("GET", "/t/{tenant_id}/projects", projects_pages.show_all, Scope.PROJECTS_READ),
    Route("POST", "/t/{tenant_id}/projects", projects_pages.create, Scope.PROJECTS_WRITE),
    Route("GET", "/t/{tenant_id}/projects.csv", projects_pages.as_csv, Scope.PROJECTS_READ),
    Route("GET", "/t/{tenant_id}/projects/new", projects_pages.ask_new, Scope.PROJECTS_WRITE),
    Route("GET", "/t/{tenant_id}/projects/{project_id}", projects_pages.show, Scope.PROJECTS_READ),
    Route("POST", "/t/{tenant_id}/projects/{project_id}", projects_pages.change, Scope.PROJECTS_WRITE),
    Route("GET", "/t/{tenant_id}/projects/{project_id}/delete", projects_pages.ask_deletion, Scope.PROJECTS_DELETE),
    Route("POST", "/t/{tenant_id}/projects/{project_id}/delete", projects_pages.delete, Scope.PROJECTS_DELETE),
    Route("POST", "/t/{tenant_id}/projects/{project_id}/take-back", projects_pages.take_back, Scope.PROJECTS_DELETE),
    Route("GET", "/t/{tenant_id}/projects/{project_id}/receipt", projects_pages.receipt, Scope.PROJECTS_READ),
    Route("GET", "/t/{tenant_id}/settings", settings_pages.show, Scope.SETTINGS_WRITE),
    Route("POST", "/t/{tenant_id}/settings", settings_pages.save, Scope.SETTINGS_WRITE),
    Route("POST", "/t/{tenant_id}/settings/secrets", settings_pages.set_secret, Scope.SETTINGS_WRITE),
    Route("GET", "/t/{tenant_id}/settings/secrets/remove", settings_pages.ask_removal, Scope.SETTINGS_WRITE),
    Route("POST", "/t/{tenant_id}/settings/secrets/remove", settings_pages.remove_secret, Scope.SETTINGS_WRITE),
)
"""The web admin, `/t/{tenant_id}/…`."""

_EVENTS: Final = "text/event-stream"
API: Final[Sequence[Operation]] = (
    Operation("GET", "/api/v1/overview", overview_api.get_overview, Scope.SESSIONS_READ),
    Operation("GET", "/api/v1/sessions", sessions_api.list_sessions, Scope.SESSIONS_READ),
    Operation(
        "POST",
        "/api/v1/sessions/erase",
        sessions_api.erase,
        Scope.SESSIONS_DELETE,
        status=202,
        problems=(404, 409),
    ),
    Operation("GET", "/api/v1/sessions/{session_id}", sessions_api.get_session, Scope.SESSIONS_READ, problems=(404,)),
    Operation(
        "GET",
        "/api/v1/sessions/{session_id}/transcript",
        session_content.get_transcript,
        Scope.TRANSCRIPTS_READ,
        problems=(404, 410),
    ),
    Operation(
        "GET",
        "/api/v1/sessions/{session_id}/recording",
        recordings_api.get_recording,
        Scope.RECORDINGS_READ,
        problems=(404, 410, 416),
        media_type="audio/wav",
    ),
    Operation(
        "GET",
        "/api/v1/sessions/{session_id}/recording/wave",
        recordings_api.get_wave,
        Scope.RECORDINGS_READ,
        problems=(404, 410),
    ),
    Operation(
        "GET",
        "/api/v1/sessions/{session_id}/consent",
        session_content.get_consent,
        Scope.SESSIONS_READ,
        problems=(404,),
    ),
    Operation(
        "GET",
        "/api/v1/sessions/{session_id}/timeline",
        session_content.get_timeline,
        Scope.SESSIONS_READ,
        problems=(404,),
    ),
    Operation(
        "GET",
        "/api/v1/sessions/{session_id}/metrics",
        session_content.get_metrics,
        Scope.SESSIONS_READ,
        problems=(404,),
    ),
    Operation(
        "GET",
        "/api/v1/sessions/{session_id}/readings",
        session_content.list_readings,
        Scope.AUDIT_READ,
        problems=(404,),
    ),
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
    Operation("PUT", "/api/v1/trunks/{trunk_id}", trunks_api.change_trunk, Scope.TRUNKS_WRITE, problems=(409,)),
    Operation("DELETE", "/api/v1/trunks/{trunk_id}", trunks_api.remove_trunk, Scope.TRUNKS_WRITE),
    Operation(
        "POST",
        "/api/v1/browser-calls",
        browser_call.begin_browser_call,
        Scope.SESSIONS_WRITE,
        status=201,
        problems=(404, 409, 503),
    ),
    Operation(
        "GET",
        "/api/v1/browser-calls/{call_id}/events",
        browser_call.browser_call_events,
        Scope.SESSIONS_WRITE,
        problems=(404, 409),
        media_type=_EVENTS,
    ),
    Operation(
        "DELETE",
        "/api/v1/browser-calls/{call_id}",
        browser_call.end_browser_call,
        Scope.SESSIONS_WRITE,
        status=204,
        problems=(404, 409),
    ),
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
    Operation("GET", "/api/v1/requests", requests_api.list_requests, Scope.DSAR_READ),
    Operation("POST", "/api/v1/requests", requests_api.open_request, Scope.DSAR_WRITE, status=201),
    Operation("POST", "/api/v1/requests/search", callers_api.search_calls, Scope.DSAR_READ),
    Operation("GET", "/api/v1/requests/contact", requests_api.get_request_contact, Scope.DSAR_READ),
    Operation("PUT", "/api/v1/requests/contact", requests_api.set_request_contact, Scope.DSAR_WRITE),
    Operation("GET", "/api/v1/requests/{request_id}", requests_api.get_request, Scope.DSAR_READ),
    Operation(
        "GET", "/api/v1/requests/{request_id}/calls", callers_api.calls_of_request, Scope.DSAR_READ, problems=(409,)
    ),
    Operation(
        "POST",
        "/api/v1/requests/{request_id}/export",
        callers_api.export_request,
        Scope.DSAR_WRITE,
        media_type="application/zip",
    ),
    Operation("POST", "/api/v1/requests/{request_id}/erase", requests_api.erase_request, Scope.DSAR_WRITE, status=202),
    Operation("POST", "/api/v1/requests/{request_id}/close", requests_api.close_request, Scope.DSAR_WRITE),
    Operation(
        "GET",
        "/api/v1/requests/{request_id}/receipt",
        requests_api.get_request_receipt,
        Scope.DSAR_READ,
        problems=(409,),
    ),
    Operation("GET", "/api/v1/erasures", erasures_api.list_erasures, Scope.SESSIONS_READ),
    Operation("GET", "/api/v1/erasures/{erasure_id}", erasures_api.get_erasure, Scope.SESSIONS_READ),
    Operation(
        "GET",
        "/api/v1/erasures/{erasure_id}/receipt",
        erasures_api.get_erasure_receipt,
        Scope.SESSIONS_READ,
        problems=(409,),
    ),
    Operation("GET", "/api/v1/holds", holds_api.list_holds, Scope.RETENTION_READ),
    Operation("POST", "/api/v1/holds", holds_api.place_hold, Scope.RETENTION_WRITE, status=201),
    Operation("DELETE", "/api/v1/holds/{hold_id}", holds_api.release_hold, Scope.RETENTION_WRITE),
    Operation("GET", "/api/v1/projects", projects_api.list_projects, Scope.PROJECTS_READ),
    Operation("POST", "/api/v1/projects", projects_api.create_project, Scope.PROJECTS_WRITE, status=201),
    Operation("GET", "/api/v1/projects/{project_id}", projects_api.get_project, Scope.PROJECTS_READ),
    Operation("PATCH", "/api/v1/projects/{project_id}", projects_api.change_project, Scope.PROJECTS_WRITE),
    Operation("GET", "/api/v1/projects/{project_id}/retention", retention_api.get_retention, Scope.RETENTION_READ),
    Operation("PUT", "/api/v1/projects/{project_id}/retention", retention_api.set_retention, Scope.RETENTION_WRITE),
    Operation(
        "GET", "/api/v1/projects/{project_id}/retention/preview", retention_api.preview_retention, Scope.RETENTION_READ
    ),
    Operation(
        "PUT",
        "/api/v1/projects/{project_id}/residency",
        registers_api.set_residency,
        Scope.PROJECTS_WRITE,
        problems=(409,),
    ),
    Operation(
        "PUT", "/api/v1/projects/{project_id}/hipaa", registers_api.set_hipaa, Scope.PROJECTS_WRITE, problems=(409,)
    ),
    Operation("GET", "/api/v1/projects/{project_id}/deletion", projects_api.get_deletion, Scope.PROJECTS_READ),
    Operation(
        "POST",
        "/api/v1/projects/{project_id}/deletion",
        projects_api.delete_project,
        Scope.PROJECTS_DELETE,
        status=202,
    ),
    Operation(
        "DELETE",
        "/api/v1/projects/{project_id}/deletion",
        projects_api.take_project_back,
        Scope.PROJECTS_DELETE,
        problems=(409,),
    ),
    Operation(
        "GET",
        "/api/v1/projects/{project_id}/deletion/receipt",
        projects_api.get_deletion_receipt,
        Scope.PROJECTS_READ,
        problems=(409,),
    ),
    Operation("GET", "/api/v1/audit", audit_api.list_audit, Scope.AUDIT_READ),
    Operation("GET", "/api/v1/audit/state", audit_api.get_audit_state, Scope.AUDIT_READ),
    Operation("POST", "/api/v1/audit/check", audit_api.check_audit, Scope.AUDIT_READ),
    Operation(
        "POST", "/api/v1/audit/export", audit_api.export_audit, Scope.AUDIT_EXPORT, media_type="application/jsonl"
    ),
    Operation("GET", "/api/v1/subprocessors", registers_api.list_subprocessors, Scope.PROJECTS_READ),
    Operation("GET", "/api/v1/transfers", registers_api.get_transfers, Scope.SESSIONS_READ),
    Operation("GET", "/api/v1/usage", usage_api.get_usage, Scope.USAGE_READ),
    Operation("GET", "/api/v1/settings", settings_api.get_settings, Scope.SETTINGS_WRITE),
    Operation("PATCH", "/api/v1/settings", settings_api.change_settings, Scope.SETTINGS_WRITE),
    Operation("GET", "/api/v1/secrets", settings_api.list_secrets, Scope.SETTINGS_WRITE),
    Operation("PUT", "/api/v1/secrets", settings_api.set_secret, Scope.SETTINGS_WRITE),
    Operation("DELETE", "/api/v1/secrets", settings_api.remove_secret, Scope.SETTINGS_WRITE),
    Operation("GET", "/api/v1/tenants", members_api.list_own_tenants, Open.SIGNED_IN),
    Operation("GET", "/api/v1/members", members_api.list_members, Scope.MEMBERS_READ),
    Operation("POST", "/api/v1/members/leave", members_api.leave, Scope.PROJECTS_READ, status=204, problems=(404, 409)),
    Operation("GET", "/api/v1/members/{user_id}", members_api.get_member, Scope.MEMBERS_READ, problems=(404,)),
    Operation(
        "DELETE",
        "/api/v1/members/{user_id}",
        members_api.remove_member,
        Scope.MEMBERS_WRITE,
        status=204,
        problems=(404, 409),
    ),
    Operation("PUT", "/api/v1/members/{user_id}/roles", members_api.set_role, Scope.MEMBERS_WRITE, problems=(404, 409)),
    Operation(
        "DELETE",
        "/api/v1/members/{user_id}/roles/{membership_id}",
        members_api.take_role,
        Scope.MEMBERS_WRITE,
        status=204,
        problems=(404, 409),
    ),
    Operation("GET", "/api/v1/invitations", invitations_api.list_invitations, Scope.MEMBERS_READ),
    Operation("POST", "/api/v1/invitations", invitations_api.invite, Scope.MEMBERS_WRITE, status=201, problems=(409,)),
    Operation(
        "POST",
        "/api/v1/invitations/accept",
        invitations_api.accept_invitation,
        Open.SIGNED_IN,
        status=204,
        problems=(404,),
    ),
    Operation(
        "POST",
        "/api/v1/invitations/{invitation_id}/send",
        invitations_api.send_invitation_again,
        Scope.MEMBERS_WRITE,
        problems=(404,),
    ),
    Operation(
        "DELETE",
        "/api/v1/invitations/{invitation_id}",
        invitations_api.revoke_invitation,
        Scope.MEMBERS_WRITE,
        status=204,
        problems=(404,),
    ),
    Operation("GET", "/api/v1/keys", keys_api.list_keys, Scope.KEYS_READ),
    Operation("POST", "/api/v1/keys", keys_api.make_key, Scope.KEYS_WRITE, status=201, shown_once=True),
    Operation("POST", "/api/v1/keys/report-leak", keys_api.report_leak, Open.ANYONE, status=204),
    Operation("GET", "/api/v1/keys/{key_id}", keys_api.get_key, Scope.KEYS_READ, problems=(404,)),
    Operation("DELETE", "/api/v1/keys/{key_id}", keys_api.revoke_key, Scope.KEYS_WRITE, status=204, problems=(404,)),
    Operation(
        "POST",
        "/api/v1/keys/{key_id}/rotate",
        keys_api.rotate_key,
        Scope.KEYS_WRITE,
        status=201,
        problems=(404, 409),
        shown_once=True,
    ),
)
"""The HTTP API, `/api/v1/…`."""

ROUTES: Final[Sequence[Route]] = (*SERVER, *SIGN_IN, *PAGES, *API)
