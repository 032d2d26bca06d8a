"""Reading along with a call that is up, as an operator does who has placed one."""

from uuid import UUID

from policies.audit_tags import OPERATOR
from policies.hipaa import handling
from store.engine import Database, StoreAwayError
from store.phi import note_reading
from voice.desk.bounds import KnownBounds
from voice.desk.live import LiveSession
from voice.waist.messages import TurnsListed


async def read_along(database: Database, bounds: KnownBounds, session: LiveSession | None, after: int) -> TurnsListed:
    """What was said since a turn; of a project for health care only once the log knows who reads it."""
    if session is None:
        return TurnsListed(session_id=None, turns=())
    turns = session.turns_since(after)
    tenant_id, session_id = UUID(session.tenant_id), UUID(session.session_id)
    if turns and not session.reading_noted:
        hipaa = (await bounds.now(tenant_id, UUID(session.project_id))).hipaa
        if handling(hipaa=hipaa).reads_audited:
            try:
                async with database.tenant(tenant_id) as store:
                    await note_reading(store, "transcript", (session_id,), actor=OPERATOR)
            except StoreAwayError:
                turns = ()
        session.reading_noted = bool(turns)
    return TurnsListed(session_id=session.session_id, turns=turns)
