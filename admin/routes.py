"""Every URL of the server, its handler, and what somebody needs to get there.

Nothing is served that is not here, or among the operations of the HTTP API in `admin.api_routes`.
"""

from collections.abc import Sequence
from typing import Final

from admin import assets, openapi, probes
from admin.api_routes import API
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
from admin.route import Open, Route
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
)  # fmt: skip  # a table, so that it can be seen at one look
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
)  # fmt: skip  # a table, so that it can be seen at one look
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
    Route("GET", "/t/{tenant_id}/scenarios/{scenario_id}/versions.csv", scenario_pages.versions_as_csv,
          Scope.SCENARIOS_READ),
    Route("GET", "/t/{tenant_id}/scenarios/{scenario_id}/versions/{version}", scenario_pages.version,
          Scope.SCENARIOS_READ),
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
    Route("GET", "/t/{tenant_id}/refusals.csv", trunk_pages.refusals_as_csv, Scope.TRUNKS_READ),
    Route("GET", "/t/{tenant_id}/trunks/new", trunk_pages.new, Scope.TRUNKS_WRITE),
    Route("POST", "/t/{tenant_id}/trunks", trunk_pages.add, Scope.TRUNKS_WRITE),
    Route("GET", "/t/{tenant_id}/trunks/guides/{guide}", trunk_pages.guide, Scope.TRUNKS_READ),
    Route("GET", "/t/{tenant_id}/trunks/{trunk_id}", trunk_pages.show, Scope.TRUNKS_READ),
    Route("POST", "/t/{tenant_id}/trunks/{trunk_id}", trunk_pages.change, Scope.TRUNKS_WRITE),
    Route("POST", "/t/{tenant_id}/trunks/{trunk_id}/test", trunk_pages.test, Scope.TRUNKS_READ),
    Route("GET", "/t/{tenant_id}/trunks/{trunk_id}/remove", trunk_pages.ask_removal, Scope.TRUNKS_WRITE),
    Route("POST", "/t/{tenant_id}/trunks/{trunk_id}/remove", trunk_pages.remove, Scope.TRUNKS_WRITE),
    Route("GET", "/t/{tenant_id}/", overview_pages.show, Scope.SESSIONS_READ),
    Route("GET", "/t/{tenant_id}/calls", calls_pages.show, Scope.SESSIONS_READ),
    Route("GET", "/t/{tenant_id}/calls.csv", calls_pages.as_csv, Scope.SESSIONS_READ),
    Route("GET", "/t/{tenant_id}/calls/erase", calls_pages.confirm_erasing, Scope.SESSIONS_DELETE),
    Route("POST", "/t/{tenant_id}/calls/erase", calls_pages.erase, Scope.SESSIONS_DELETE),
    Route("GET", "/t/{tenant_id}/calls/{session_id}", call_pages.show, Scope.SESSIONS_READ),
    Route("GET", "/t/{tenant_id}/erasures", erasures_pages.erasures, Scope.SESSIONS_READ),
    Route("GET", "/t/{tenant_id}/erasures.csv", erasures_pages.as_csv, Scope.SESSIONS_READ),
    Route("GET", "/t/{tenant_id}/erasures/{erasure_id}", erasures_pages.show, Scope.SESSIONS_READ),
    Route("GET", "/t/{tenant_id}/erasures/{erasure_id}/progress", erasures_pages.progress, Scope.SESSIONS_READ),
    Route("GET", "/t/{tenant_id}/erasures/{erasure_id}/receipt", erasures_pages.receipt, Scope.SESSIONS_READ),
    Route("GET", "/t/{tenant_id}/people", people_pages.people, Scope.MEMBERS_READ),
    Route("GET", "/t/{tenant_id}/people.csv", people_pages.as_csv, Scope.MEMBERS_READ),
    Route("GET", "/t/{tenant_id}/people/invitations", people_pages.list_invitations, Scope.MEMBERS_READ),
    Route("GET", "/t/{tenant_id}/people/invitations.csv", people_pages.invitations_as_csv, Scope.MEMBERS_READ),
    Route("POST", "/t/{tenant_id}/people/invitations", people_pages.invite, Scope.MEMBERS_WRITE),
    Route("POST", "/t/{tenant_id}/people/invitations/{invitation_id}/send", people_pages.send_again,
          Scope.MEMBERS_WRITE),
    Route("POST", "/t/{tenant_id}/people/invitations/{invitation_id}/revoke", people_pages.revoke_invitation,
          Scope.MEMBERS_WRITE),
    Route("GET", "/t/{tenant_id}/people/{user_id}", people_pages.member, Scope.MEMBERS_READ),
    Route("POST", "/t/{tenant_id}/people/{user_id}/roles", people_pages.set_role, Scope.MEMBERS_WRITE),
    Route("POST", "/t/{tenant_id}/people/{user_id}/roles/{membership_id}/end", people_pages.take_role,
          Scope.MEMBERS_WRITE),
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
    Route("POST", "/t/{tenant_id}/requests/{request_id}/copy", requests_pages.make_copy, Scope.DSAR_WRITE),
    Route("GET", "/t/{tenant_id}/requests/{request_id}/copy", requests_pages.download_copy, Scope.DSAR_WRITE),
    Route("GET", "/t/{tenant_id}/requests/{request_id}/copy/progress", requests_pages.copy_progress, Scope.DSAR_READ),
    Route("POST", "/t/{tenant_id}/requests/{request_id}/erase", requests_pages.erase, Scope.DSAR_WRITE),
    Route("POST", "/t/{tenant_id}/requests/{request_id}/close", requests_pages.close, Scope.DSAR_WRITE),
    Route("GET", "/t/{tenant_id}/requests/{request_id}/receipt", requests_pages.receipt, Scope.DSAR_READ),
    Route("GET", "/t/{tenant_id}/retention", retention_pages.show, Scope.RETENTION_READ),
    Route("GET", "/t/{tenant_id}/retention.csv", retention_pages.as_csv, Scope.RETENTION_READ),
    Route("GET", "/t/{tenant_id}/retention/{project_id}", retention_pages.change, Scope.RETENTION_READ),
    Route("POST", "/t/{tenant_id}/retention/{project_id}", retention_pages.save, Scope.RETENTION_WRITE),
    Route("GET", "/t/{tenant_id}/holds", retention_pages.show_holds, Scope.RETENTION_READ),
    Route("GET", "/t/{tenant_id}/holds.csv", retention_pages.holds_as_csv, Scope.RETENTION_READ),
    Route("POST", "/t/{tenant_id}/holds", retention_pages.place_hold, Scope.RETENTION_WRITE),
    Route("GET", "/t/{tenant_id}/holds/{hold_id}/release", retention_pages.ask_release, Scope.RETENTION_WRITE),
    Route("POST", "/t/{tenant_id}/holds/{hold_id}/release", retention_pages.release_hold, Scope.RETENTION_WRITE),
    Route("GET", "/t/{tenant_id}/data-flows", flows_pages.show, Scope.SESSIONS_READ),
    Route("GET", "/t/{tenant_id}/data-flows.csv", flows_pages.as_csv, Scope.SESSIONS_READ),
    Route("GET", "/t/{tenant_id}/subprocessors.csv", flows_pages.subprocessors_as_csv, Scope.PROJECTS_READ),
    Route("GET", "/t/{tenant_id}/data-flows/{project_id}", flows_pages.show_bounds, Scope.PROJECTS_READ),
    Route("POST", "/t/{tenant_id}/data-flows/{project_id}/residency", flows_pages.set_residency, Scope.PROJECTS_WRITE),
    Route("POST", "/t/{tenant_id}/data-flows/{project_id}/hipaa", flows_pages.set_hipaa, Scope.PROJECTS_WRITE),
    Route("GET", "/t/{tenant_id}/audit", audit_pages.show, Scope.AUDIT_READ),
    Route("GET", "/t/{tenant_id}/audit.csv", audit_pages.as_csv, Scope.AUDIT_EXPORT),
    Route("GET", "/t/{tenant_id}/audit/keys", audit_pages.keys, Scope.AUDIT_READ),
    Route("POST", "/t/{tenant_id}/audit/check", audit_pages.check, Scope.AUDIT_READ),
    Route("POST", "/t/{tenant_id}/audit/export", audit_pages.export, Scope.AUDIT_EXPORT),
    Route("GET", "/t/{tenant_id}/usage", usage_pages.show, Scope.USAGE_READ),
    Route("GET", "/t/{tenant_id}/usage.csv", usage_pages.as_csv, Scope.USAGE_READ),
    Route("GET", "/t/{tenant_id}/projects", projects_pages.show_all, Scope.PROJECTS_READ),
    Route("POST", "/t/{tenant_id}/projects", projects_pages.create, Scope.PROJECTS_WRITE),
    Route("GET", "/t/{tenant_id}/projects.csv", projects_pages.as_csv, Scope.PROJECTS_READ),
    Route("GET", "/t/{tenant_id}/deletions", projects_pages.show_deletions, Scope.PROJECTS_READ),
    Route("GET", "/t/{tenant_id}/deletions.csv", projects_pages.deletions_as_csv, Scope.PROJECTS_READ),
    Route("GET", "/t/{tenant_id}/projects/new", projects_pages.ask_new, Scope.PROJECTS_WRITE),
    Route("GET", "/t/{tenant_id}/projects/{project_id}", projects_pages.show, Scope.PROJECTS_READ),
    Route("POST", "/t/{tenant_id}/projects/{project_id}", projects_pages.change, Scope.PROJECTS_WRITE),
    Route("GET", "/t/{tenant_id}/projects/{project_id}/delete", projects_pages.ask_deletion, Scope.PROJECTS_DELETE),
    Route("POST", "/t/{tenant_id}/projects/{project_id}/delete", projects_pages.delete, Scope.PROJECTS_DELETE),
    Route("POST", "/t/{tenant_id}/projects/{project_id}/take-back", projects_pages.take_back, Scope.PROJECTS_DELETE),
    Route("GET", "/t/{tenant_id}/projects/{project_id}/receipt", projects_pages.receipt, Scope.PROJECTS_READ),
    Route("GET", "/t/{tenant_id}/settings", settings_pages.show, Scope.SETTINGS_WRITE),
    Route("POST", "/t/{tenant_id}/settings", settings_pages.save, Scope.SETTINGS_WRITE),
    Route("GET", "/t/{tenant_id}/settings/secrets.csv", settings_pages.secrets_as_csv, Scope.SETTINGS_WRITE),
    Route("POST", "/t/{tenant_id}/settings/secrets", settings_pages.set_secret, Scope.SETTINGS_WRITE),
    Route("GET", "/t/{tenant_id}/settings/secrets/remove", settings_pages.ask_removal, Scope.SETTINGS_WRITE),
    Route("POST", "/t/{tenant_id}/settings/secrets/remove", settings_pages.remove_secret, Scope.SETTINGS_WRITE),
)  # fmt: skip  # a table, so that it can be seen at one look
"""The web admin, `/t/{tenant_id}/…`."""

ROUTES: Final[Sequence[Route]] = (*SERVER, *SIGN_IN, *PAGES, *API)
