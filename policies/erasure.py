"""The erasure manifest: for every table, column and kind of object, what becomes of it when a call or a project goes.

A test walks the database's catalogue and the objects that a server leaves, and fails where one is not declared here.
What this file says is also what is done: `store.erasure` reads the rules from here.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from policies.erasure_rules import Fate, TableRule, columns

TABLES: Final[Mapping[str, TableRule]] = MappingProxyType({
    # ----------------------------------------------------------------------------------- the business and its set-up
    "tenants": TableRule(
        call=Fate.UNTOUCHED, project=Fate.UNTOUCHED,
        columns=columns(business="name", fact="max_calls second_factor_for_all created_at"),
    ),
    "projects": TableRule(
        call=Fate.UNTOUCHED, project=Fate.DELETED,
        columns=columns(
            id="id",
            business="name business_name retention_basis",
            fact="jurisdiction language time_zone recording_days transcript_days residency hipaa viewers_see"
            " deletion_asked_at created_at",
        ),
    ),
    "scenarios": TableRule(
        call=Fate.UNTOUCHED, project=Fate.DELETED,
        columns=columns(id="id project_id", business="name", fact="published_version revision created_at"),
    ),
    "scenario_versions": TableRule(
        call=Fate.UNTOUCHED, project=Fate.DELETED,
        columns=columns(
            id="scenario_id actor_id", business="content", fact="version copy_of actor_kind created_at"
        ),
    ),
    "scenario_drafts": TableRule(
        call=Fate.UNTOUCHED, project=Fate.DELETED,
        columns=columns(id="scenario_id actor_id", business="content", fact="actor_kind changed_at"),
    ),
    "numbers": TableRule(
        call=Fate.UNTOUCHED, project=Fate.DELETED,
        columns=columns(id="id project_id scenario_id", business="called label", fact="created_at"),
    ),
    "trunks": TableRule(
        call=Fate.UNTOUCHED, project=Fate.UNTOUCHED,
        columns=columns(id="id", business="name networks", fact="transports srtp min_tls created_at"),
    ),
    # ------------------------------------------------------------------------------------------------------ the calls
    "keys.data_keys": TableRule(
        call=Fate.DELETED, project=Fate.DELETED, link="session_id",
        columns=columns(id="session_id", wrapped_key="wrapped", fact="created_at"),
        why="goes before everything else: from then on nobody can read the rest, in a backup neither",
    ),
    "turns": TableRule(
        call=Fate.DELETED, project=Fate.DELETED, link="session_id",
        columns=columns(
            id="session_id ordinal", call_sealed="text_sealed", fact="role from_ms to_ms interrupted"
        ),
    ),
    "messages": TableRule(
        call=Fate.DELETED, project=Fate.DELETED, link="session_id",
        columns=columns(
            id="session_id ordinal", call_sealed="text_sealed", fact="from_sample to_sample created_at"
        ),
    ),
    "session_events": TableRule(
        call=Fate.DELETED, project=Fate.DELETED, link="session_id",
        columns=columns(id="session_id ordinal", call_sealed="personal_sealed", fact="at_ms kind facts"),
    ),
    "consent_events": TableRule(
        call=Fate.DELETED, project=Fate.DELETED, link="session_id",
        columns=columns(
            id="session_id ordinal",
            fact="at_ms kind verdict method wording_sha256 language from_sample to_sample",
        ),
        why="what they prove moves to consent_proofs first",
    ),
    "recordings": TableRule(
        call=Fate.DELETED, project=Fate.DELETED, link="session_id",
        columns=columns(id="session_id blob", fact="sealed_bytes samples starts_at_sample created_at"),
    ),
    "sessions": TableRule(
        call=Fate.DELETED, project=Fate.DELETED, link="id",
        columns=columns(
            id="id project_id scenario_id scenario_version",
            call_sealed="caller_sealed",
            index="caller_index",
            business="called trunk",
            fact="state language planned_at started_at ended_at ended_by end_reason heard_samples first_audio_ms"
            " reply_ms consent ingested_at recorded",
        ),
    ),
    "consent_proofs": TableRule(
        call=Fate.KEPT, project=Fate.KEPT, link="session_id",
        columns=columns(
            id="session_id ordinal", fact="happened_at kind verdict method wording_sha256 language kept_until"
        ),
        why="law asks for proof of consent for five years (UWG 7a), and claims must be met (GDPR Art. 17(3)(b), (e));"
        " nothing in it tells who called or what was said",
    ),
    "usage_events": TableRule(
        call=Fate.CUT_OFF, project=Fate.CUT_OFF, link="session_id",
        columns=columns(id="id project_id project_stub session_id", fact="kind quantity happened_at"),
        why="vouchers are kept for seven years, or longer where the seller's country asks for it (AO 147); without the"
        " call, and no more exact than its month",
    ),
    "keys.tenant_keys": TableRule(
        call=Fate.UNTOUCHED, project=Fate.UNTOUCHED,
        columns=columns(
            id="key_id root_id", wrapped_key="wrapped", fact="purpose state seals created_at empty_since destroyed_at"
        ),
    ),
    "secrets": TableRule(
        call=Fate.UNTOUCHED, project=Fate.UNTOUCHED,
        columns=columns(tenant_sealed="value_sealed", business="name last_four", fact="set_at"),
    ),
    # ------------------------------------------------------------------------------------------- erasure and its proof
    "job_progress": TableRule(
        call=Fate.UNTOUCHED, project=Fate.UNTOUCHED,
        columns=columns(id="job_id", fact="task done of changed_at"),
    ),
    "legal_holds": TableRule(
        call=Fate.UNTOUCHED, project=Fate.UNTOUCHED,
        columns=columns(
            id="id project_id session_id owner_id",
            tenant_sealed="reason_sealed",
            fact="owner_kind placed_at expires_at",
        ),
        why="as long as one is there nothing goes that it holds; it goes itself when it ends",
    ),
    "erasures": TableRule(
        call=Fate.KEPT, project=Fate.KEPT,
        columns=columns(
            id="id actor_id then_arguments",
            fact="reason actor_kind asked_at sessions counts then_task finished_at receipt",
        ),
        why="who erased how much and when; for the seven years of the audit log",
    ),
    "erasure_sessions": TableRule(
        call=Fate.DELETED, project=Fate.DELETED, link="session_id",
        columns=columns(id="erasure_id session_id"),
        why="what is still to be done: each row goes in the transaction that does it",
    ),
    "erasure_ledger": TableRule(
        call=Fate.KEPT, project=Fate.KEPT,
        columns=columns(id="subject", fact="kind erased_at"),
        why="so that no backup brings back what was erased; random ids that lead nowhere; for seven years",
    ),
    "project_deletions": TableRule(
        call=Fate.UNTOUCHED, project=Fate.KEPT,
        columns=columns(
            id="project_id actor_id project_stub",
            fact="actor_kind asked_at sessions counts keys_shredded_at wiped_at receipt",
        ),
        why="who deleted what and when; for the seven years of the audit log. The stub goes when the wiping is done",
    ),
    # -------------------------------------------------------------------------------------------------- the audit log
    "audit_heads": TableRule(
        call=Fate.UNTOUCHED, project=Fate.UNTOUCHED, columns=columns(fact="size", hash="edge")
    ),
    "audit_leaves": TableRule(
        call=Fate.KEPT, project=Fate.KEPT,
        columns=columns(id="idx actor_id", hash="leaf_hash", fact="leaf at tag actor_kind"),
        why="who did what and when, for seven years; ids only, and of persons a commitment that leads nowhere once its"
        " opening is gone",
    ),
    "audit_about": TableRule(
        call=Fate.KEPT, project=Fate.KEPT,
        columns=columns(id="about idx"),
        why="finds who did what to a thing, by its random id; goes with the text of the entry, after seven years",
    ),
    "audit_personal": TableRule(
        call=Fate.UNTOUCHED, project=Fate.UNTOUCHED,
        columns=columns(id="idx", index="subject", person_sealed="sealed"),
        why="goes when the last call of the person goes",
    ),
    "audit_checkpoints": TableRule(
        call=Fate.UNTOUCHED, project=Fate.UNTOUCHED,
        columns=columns(id="server_idx", fact="size note made_at", hash="root"),
    ),
    "audit_anchors": TableRule(
        call=Fate.UNTOUCHED, project=Fate.UNTOUCHED, columns=columns(fact="size kind proof made_at")
    ),
    "keys.subject_keys": TableRule(
        call=Fate.UNTOUCHED, project=Fate.UNTOUCHED,
        columns=columns(index="subject", wrapped_key="wrapped", fact="created_at"),
        why="goes with the last call of the person",
    ),
    # --------------------------------------------------------------------------------------------------- mail going out
    "mails": TableRule(
        call=Fate.UNTOUCHED, project=Fate.UNTOUCHED,
        columns=columns(id="id", tenant_sealed="to_sealed subject_sealed body_sealed", fact="kind queued_at"),
        why="gone once it is sent; a letter names a request by its id, and never what was said in a call",
    ),
    # --------------------------------------------------------------------------------------------- who else gets data
    "session_transfers": TableRule(
        call=Fate.DELETED, project=Fate.DELETED, link="session_id",
        columns=columns(
            id="session_id",
            fact="host purpose whose data countries in_eu transfer sent_bytes received_bytes",
        ),
    ),
    "subprocessors": TableRule(
        call=Fate.UNTOUCHED, project=Fate.UNTOUCHED,
        columns=columns(
            id="id", fact="name purpose data countries transfer hosts since told accepted baa_since"
        ),
    ),
    "subprocessor_notices": TableRule(
        call=Fate.UNTOUCHED, project=Fate.UNTOUCHED, columns=columns(id="subprocessor_id", fact="since told_at"),
    ),
    # ------------------------------------------------------------------------------------------- who may do what here
    "memberships": TableRule(
        call=Fate.UNTOUCHED, project=Fate.DELETED,
        columns=columns(id="id user_id project_id granted_by_id", fact="role granted_by_kind granted_at last_seen_at"),
    ),
    "invitations": TableRule(
        call=Fate.UNTOUCHED, project=Fate.DELETED,
        columns=columns(
            id="id project_id invited_by_id",
            tenant_sealed="email_sealed",
            hash="token_hash",
            fact="role invited_by_kind invited_at expires_at",
        ),
    ),
    "api_keys": TableRule(
        call=Fate.UNTOUCHED, project=Fate.DELETED,
        columns=columns(
            id="id project_id made_by_id",
            business="name",
            hash="key_hash last_four",
            fact="scopes networks made_by_kind made_at expires_at last_used_at revoked_at",
        ),
    ),
    # -------------------------------------------------------------------------------------------- requests of callers
    "dsar_contacts": TableRule(
        call=Fate.UNTOUCHED, project=Fate.UNTOUCHED, columns=columns(tenant_sealed="contact_sealed")
    ),
    "dsar_cases": TableRule(
        call=Fate.UNTOUCHED, project=Fate.KEPT,
        columns=columns(
            id="id project_id erasure_id",
            tenant_sealed="caller_sealed contact_sealed",
            index="caller_index",
            hash="erased_objects",
            fact="wish origin state received_at due_at next_step next_step_at closed_at outcome receipt",
        ),
        why="a request has to be answered, and that it was has to be provable for the seven years of the audit log;"
        " once it is closed, nothing in it tells whose it was",
    ),
    "dsar_copies": TableRule(
        call=Fate.UNTOUCHED, project=Fate.UNTOUCHED,
        columns=columns(
            id="id case_id actor_id", tenant_sealed="key_sealed",
            fact="actor_kind asked_at calls calls_done made_at",
        ),
        why="goes a day after it was made, with the request, and as soon as a call of its caller is erased",
    ),
    "dsar_intakes": TableRule(
        call=Fate.UNTOUCHED, project=Fate.UNTOUCHED,
        columns=columns(
            id="id",
            tenant_sealed="number_sealed contact_sealed",
            index="number_index",
            hash="code_hash",
            fact="wish language state received_at code_ends_at wrong_guesses finished_at",
        ),
    ),
    "dsar_codes": TableRule(
        call=Fate.UNTOUCHED, project=Fate.UNTOUCHED, columns=columns(id="id", index="number_index", fact="sent_at")
    ),
    "dsar_routes": TableRule(
        call=Fate.UNTOUCHED, project=Fate.UNTOUCHED,
        columns=columns(id="intake_id case_id customer_id", tenant_sealed="business_sealed", fact="outcome"),
    ),
    # ------------------------------------------------------------------------------------------- people who sign in
    "accounts": TableRule(
        call=Fate.UNTOUCHED, project=Fate.UNTOUCHED,
        columns=columns(id="id", tenant_sealed="email_sealed", index="email_index", fact="made_at"),
        why="goes with the person's account; no customer's",
    ),
    "challenges": TableRule(
        call=Fate.UNTOUCHED, project=Fate.UNTOUCHED,
        columns=columns(
            id="id customer_id",
            tenant_sealed="email_sealed",
            index="email_index",
            hash="browser_hash code_hash link_hash",
            fact="wrong_guesses made_at ends_at used_at",
        ),
        why="gone a day after it was asked for",
    ),
    "failed_codes": TableRule(
        call=Fate.UNTOUCHED, project=Fate.UNTOUCHED, columns=columns(id="id", index="email_index", fact="failed_at"),
        why="gone after a day",
    ),
    "devices": TableRule(
        call=Fate.UNTOUCHED, project=Fate.UNTOUCHED,
        columns=columns(
            id="id user_id",
            tenant_sealed="label_sealed secret_sealed",
            hash="browser_hash",
            fact="generation made_at rotated_at seen_at idle_limit_s ends_at second_factor_at ended_at end_reason",
        ),
        why="goes ninety days after the sign-in, or with the person's account",
    ),
    "token_keys": TableRule(
        call=Fate.UNTOUCHED, project=Fate.UNTOUCHED,
        columns=columns(id="id", tenant_sealed="seed_sealed", fact="made_at"),
        why="the server's own; goes when nothing that it has signed is good any more",
    ),
    "totps": TableRule(
        call=Fate.UNTOUCHED, project=Fate.UNTOUCHED,
        columns=columns(id="id user_id", tenant_sealed="secret_sealed", fact="last_step begun_at confirmed_at"),
        why="goes when the person removes it, or with the account",
    ),
    "passkeys": TableRule(
        call=Fate.UNTOUCHED, project=Fate.UNTOUCHED,
        columns=columns(
            id="id user_id credential_id",
            tenant_sealed="label_sealed",
            fact="relying_party public_key sign_count transports backed_up added_at used_at",
        ),
        why="goes when the person removes it, or with the account",
    ),
    "passkey_challenges": TableRule(
        call=Fate.UNTOUCHED, project=Fate.UNTOUCHED, columns=columns(id="device_id challenge", fact="purpose ends_at"),
        why="goes when it is used, or with the device",
    ),
    "recovery_codes": TableRule(
        call=Fate.UNTOUCHED, project=Fate.UNTOUCHED, columns=columns(id="user_id", hash="code_hash"),
        why="goes when it is used, or with the account",
    ),
    "wrong_codes": TableRule(
        call=Fate.UNTOUCHED, project=Fate.UNTOUCHED, columns=columns(id="user_id", fact="since count"),
        why="goes with the account",
    ),
    "kept_answers": TableRule(
        call=Fate.UNTOUCHED, project=Fate.UNTOUCHED,
        columns=columns(
            id="actor_kind actor_id", hash="key_hash request_hash", tenant_sealed="answer_sealed",
            fact="begun_at status",
        ),
        why="for a day, so that a request that is sent again is not done again",
    ),
})  # fmt: skip  # a table of rules, each with its columns close together

OBJECTS: Final[Mapping[str, TableRule]] = MappingProxyType({
    "recordings": TableRule(
        call=Fate.DELETED, project=Fate.DELETED, columns=columns(call_sealed="content"),
        why="all versions of it",
    ),
    "copies": TableRule(
        call=Fate.DELETED, project=Fate.DELETED, columns=columns(tenant_sealed="content"),
        why="under a key of its own, which goes with the row; for a day, and in no backup",
    ),
    "ledger": TableRule(
        call=Fate.KEPT, project=Fate.KEPT, columns=columns(id="content"),
        why="the same random ids as erasure_ledger, where a restored database cannot overwrite them",
    ),
    "anchors": TableRule(
        call=Fate.KEPT, project=Fate.KEPT, columns=columns(fact="content"),
        why="checkpoints of the server's own audit log, locked for the seven years of it: hashes and signatures only",
    ),
    "probe": TableRule(
        call=Fate.UNTOUCHED, project=Fate.UNTOUCHED, columns=columns(fact="content"),
        why="shows at the start that the bucket is closed; removed at once",
    ),
})  # fmt: skip  # as above
"""By the first part of an object's name."""


class Reason(StrEnum):
    """Why somebody's calls are erased."""

    CALLER_ASKED = "caller_asked"
    """GDPR Art. 17."""
    MEMBER_ASKED = "member_asked"
    """Somebody of the business, or the operator, wanted it."""
    RESTORED = "restored"
    """It had been erased before and came back with a backup."""
