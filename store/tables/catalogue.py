"""All tables in one list: what the guard scopes, the manifest of erasure covers, and the tests walk through."""

from store.tables.answers import KeptAnswerTable
from store.tables.api import ApiKeyTable
from store.tables.audit import (
    AuditAboutTable,
    AuditAnchorTable,
    AuditCheckpointTable,
    AuditHeadTable,
    AuditLeafTable,
    AuditPersonalTable,
    SubjectKeyTable,
)
from store.tables.base import TenantRow
from store.tables.calls import (
    ConsentEventTable,
    MessageTable,
    RecordingTable,
    SessionEventTable,
    SessionTable,
    TurnTable,
    UsageEventTable,
)
from store.tables.dsar import (
    DsarCaseTable,
    DsarCodeTable,
    DsarContactTable,
    DsarCopyTable,
    DsarIntakeTable,
    DsarRouteTable,
)
from store.tables.factors import (
    PasskeyChallengeTable,
    PasskeyTable,
    RecoveryCodeTable,
    TotpTable,
    WrongCodesTable,
)
from store.tables.keys import (
    DataKeyTable,
    SecretTable,
    TenantKeyTable,
)
from store.tables.people import (
    AccountTable,
    ChallengeTable,
    DeviceTable,
    FailedCodeTable,
    InvitationTable,
    MembershipTable,
    TokenKeyTable,
)
from store.tables.registers import (
    MailTable,
    SessionTransferTable,
    SubprocessorNoticeTable,
    SubprocessorTable,
)
from store.tables.retention import (
    ConsentProofTable,
    ErasureLedgerTable,
    ErasureSessionTable,
    ErasureTable,
    JobProgressTable,
    LegalHoldTable,
    ProjectDeletionTable,
)
from store.tables.setup import (
    NumberTable,
    ProjectTable,
    ScenarioDraftTable,
    ScenarioTable,
    ScenarioVersionTable,
    TenantTable,
    TrunkTable,
)

TABLES: tuple[type[TenantRow], ...] = (
    TenantTable,
    ProjectTable,
    ScenarioTable,
    ScenarioVersionTable,
    ScenarioDraftTable,
    NumberTable,
    TrunkTable,
    SessionTable,
    TurnTable,
    ConsentEventTable,
    SessionEventTable,
    MessageTable,
    RecordingTable,
    UsageEventTable,
    TenantKeyTable,
    DataKeyTable,
    SecretTable,
    DsarContactTable,
    DsarCaseTable,
    DsarCopyTable,
    DsarIntakeTable,
    DsarCodeTable,
    DsarRouteTable,
    JobProgressTable,
    LegalHoldTable,
    ErasureTable,
    ErasureSessionTable,
    ErasureLedgerTable,
    ProjectDeletionTable,
    ConsentProofTable,
    AuditHeadTable,
    AuditLeafTable,
    AuditAboutTable,
    AuditPersonalTable,
    AuditCheckpointTable,
    AuditAnchorTable,
    SubjectKeyTable,
    MailTable,
    SubprocessorTable,
    SubprocessorNoticeTable,
    SessionTransferTable,
    KeptAnswerTable,
    MembershipTable,
    InvitationTable,
    ApiKeyTable,
    AccountTable,
    ChallengeTable,
    FailedCodeTable,
    DeviceTable,
    TokenKeyTable,
    TotpTable,
    PasskeyTable,
    PasskeyChallengeTable,
    RecoveryCodeTable,
    WrongCodesTable,
)
