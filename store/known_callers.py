"""Of which callers a tenant knows something, and forgetting those of whom it knows nothing any more.

Calls, requests and the audit log mean a caller by one blind index: that of the number in E.164
(`store.sessions.seal_caller`). What the log says of a person lives no longer than the last call or open request.
"""

from collections.abc import Collection

from sqlmodel import col, exists, select

from store.audit.log import forget, lock
from store.keys import is_index
from store.scope import TenantStore
from store.tables.audit import SubjectKeyTable
from store.tables.calls import SessionTable
from store.tables.dsar import DsarCaseTable

_KNOWN = """
SELECT EXISTS (SELECT FROM sessions WHERE tenant_id = :tenant_id AND caller_index = ANY (:indexes))
    OR EXISTS (SELECT FROM dsar_cases WHERE tenant_id = :tenant_id AND caller_index = ANY (:indexes))
"""


async def is_known(store: TenantStore, indexes: Collection[bytes]) -> bool:
    """Whether the tenant has a call or an open request of the caller of these indexes.

    Until the transaction ends nobody forgets the caller, so what is then written into the log cannot outlive what is
    known.
    """
    await lock(store)
    ((known,),) = await store.fixed(_KNOWN, indexes=list(indexes))
    return bool(known)


async def forget_strangers(store: TenantStore, indexes: Collection[bytes] | None = None) -> int:
    """Erase what the log says of those callers, or of all, of whom no call and no open request is left.

    How many of its leaves said something.
    """
    await lock(store)  # whoever is about to write of one of them, having seen the last call, has written then
    called = exists().where(col(SessionTable.caller_index) == SubjectKeyTable.subject)
    asked = exists().where(col(DsarCaseTable.caller_index) == SubjectKeyTable.subject)
    strangers = select(SubjectKeyTable.subject).where(~called, ~asked)
    if indexes is not None:
        strangers = strangers.where(col(SubjectKeyTable.subject).in_(indexes))
    return sum([await forget(store, one) for one in await store.all(strangers) if is_index(one)])
