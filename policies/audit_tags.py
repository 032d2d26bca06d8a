"""What an audit log can say: who acted, and which act it was, as `source:subject:action`.

Every act that needs a privilege has exactly one tag here. The list only grows: a tag that was ever written must stay
readable for as long as logs are kept.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

ActorKind = Literal["user", "key", "operator", "system"]
"""A person signed in, an API key, whoever has the machine's command line, or a job of the server itself."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it. Names and addresses stay out: they are looked up while they exist."""

    kind: ActorKind
    id: str
    """Id of the user or key; the operator's account name is not kept, so "cli"; the name of the job."""


OPERATOR = Actor("operator", "cli")
"""Whoever has the command line of the machine."""


class Tag(StrEnum):
    """Acts, in alphabetical order."""

    ACCOUNT_MADE = "platform:account:made"
    ACCOUNT_REMOVED = "platform:account:removed"
    AUDIT_CHECKED = "tenant:audit:checked"
    AUDIT_EXPORTED = "tenant:audit:exported"
    AUDIT_PRUNED = "tenant:audit:pruned"
    BACKUP_MADE = "tenant:backup:made"
    BACKUP_RESTORED = "tenant:backup:restored"
    CALL_HUNG_UP = "session:call:hung_up"
    CALL_PLACED_FROM_BROWSER = "project:call:placed_from_browser"
    CALL_RECORDING_PAUSED = "session:recording:paused"
    CALL_RECORDING_RESUMED = "session:recording:resumed"
    CALL_TRANSFERRED = "session:call:transferred"
    CHECKPOINT_MADE = "platform:checkpoint:made"
    DEVICE_REVOKED = "platform:device:revoked"
    DEVICE_SIGNED_IN = "platform:device:signed_in"
    DEVICE_SIGNED_OUT = "platform:device:signed_out"
    DEVICE_TOKEN_REUSED = "platform:device_token:reused"  # noqa: S105 - names an act
    DSAR_CASE_CLOSED = "tenant:dsar_case:closed"
    DSAR_CASE_ESCALATED = "tenant:dsar_case:escalated"
    DSAR_CASE_OPENED = "tenant:dsar_case:opened"
    DSAR_CODE_SENT = "platform:dsar_code:sent"
    DSAR_CONTACT_CHANGED = "tenant:dsar_contact:changed"
    DSAR_COPY_TAKEN = "tenant:dsar_copy:taken"
    DSAR_EXPORTED = "tenant:dsar:exported"
    DSAR_NUMBER_PROVEN = "platform:dsar_number:proven"
    DSAR_QUERIED = "tenant:dsar:queried"
    DSAR_REQUEST_ROUTED = "platform:dsar_request:routed"
    DSAR_REQUEST_STOPPED = "platform:dsar_request:stopped"
    DSAR_REQUEST_TAKEN_IN = "platform:dsar_request:taken_in"
    FIRST_OWNER_LINK_MADE = "platform:first_owner_link:made"
    FIRST_OWNER_LINK_USED = "platform:first_owner_link:used"
    HIPAA_CHANGED = "project:hipaa:changed"
    HOLD_PLACED = "project:legal_hold:placed"
    HOLD_RELEASED = "project:legal_hold:released"
    INVITATION_ACCEPTED = "tenant:invitation:accepted"
    INVITATION_REVOKED = "tenant:invitation:revoked"
    KEYS_DESTROYED = "tenant:encryption:destroyed"
    KEYS_REENCRYPTED = "tenant:encryption:reencrypted"
    KEYS_ROTATED = "tenant:encryption:rotated"
    KEY_CREATED = "tenant:api_key:created"
    KEY_REVOKED = "tenant:api_key:revoked"
    KEY_ROTATED = "tenant:api_key:rotated"
    LIST_EXPORTED = "tenant:list:exported"
    MEMBER_ADDED = "tenant:member:added"
    MEMBER_INVITED = "tenant:member:invited"
    MEMBER_LEFT = "tenant:member:left"
    MEMBER_REMOVED = "tenant:member:removed"
    MEMBER_ROLE_CHANGED = "tenant:member_role:changed"
    NUMBER_ADDED = "project:number:added"
    NUMBER_CHANGED = "project:number:changed"
    NUMBER_REMOVED = "project:number:removed"
    PHI_READ = "session:phi:read"
    PLATFORM_LOOKED = "platform:tenant:looked_into"
    PROJECT_CHANGED = "project:settings:changed"
    PROJECT_CREATED = "project:project:created"
    PROJECT_DELETION_ASKED = "project:project:deletion_asked"
    PROJECT_KEYS_SHREDDED = "project:keys:shredded"
    PROJECT_WIPED = "project:project:wiped"
    RECEIPT_SIGNED = "tenant:receipt:signed"
    RECORDING_EXPORTED = "session:recording:exported"
    RECORDING_PLAYED = "session:recording:played"
    RECOVERY_CODES_MADE = "platform:recovery_codes:made"
    RESIDENCY_CHANGED = "project:residency:changed"
    RETENTION_CHANGED = "project:retention:changed"
    RETENTION_RAN = "project:retention:ran"
    SCENARIO_DRAFTED = "project:scenario:drafted"
    SCENARIO_PUBLISHED = "project:scenario:published"
    SCENARIO_ROLLED_BACK = "project:scenario:rolled_back"
    SECOND_FACTOR_ADDED = "platform:second_factor:added"
    SECOND_FACTOR_REFUSED = "platform:second_factor:refused"
    SECOND_FACTOR_REMOVED = "platform:second_factor:removed"
    SECOND_FACTOR_SHOWN = "platform:second_factor:shown"
    SECRET_REMOVED = "tenant:secret:removed"  # noqa: S105 - names an act
    SECRET_SET = "tenant:secret:set"  # noqa: S105 - names an act
    SESSIONS_ERASED = "session:session:erased"
    SESSIONS_EXPORTED = "session:list:exported"
    SESSIONS_SEARCHED = "session:list:searched"
    SIGN_IN_CODES_STOPPED = "platform:sign_in_codes:stopped"
    SUBPROCESSOR_ADDED = "platform:subprocessor:added"
    SUBPROCESSOR_BAA_CHANGED = "platform:subprocessor_baa:changed"
    SUBPROCESSOR_NOTICED = "tenant:subprocessor:notice_sent"
    SUBPROCESSOR_REMOVED = "platform:subprocessor:removed"
    TENANT_CHANGED = "tenant:settings:changed"
    TENANT_CREATED = "tenant:tenant:created"
    TRANSCRIPT_EXPORTED = "session:transcript:exported"
    TRUNK_ADDED = "tenant:trunk:added"
    TRUNK_CHANGED = "tenant:trunk:changed"
    TRUNK_REMOVED = "tenant:trunk:removed"
