"""How log lines name whose they are. One set of names, whichever process writes them: `call`, `tenant`, `sip_call`.

They are bound to the task that works for a call, and to the tasks and threads it starts.
"""

from structlog.contextvars import bind_contextvars

from policies.line_events import line_name


def name_line(sip_call_id: str) -> None:
    """What follows in this task is about this line; whose call it becomes is not known yet."""
    bind_contextvars(sip_call=line_name(sip_call_id))


def name_tenant(tenant_id: object) -> None:
    """What follows in this task is about this tenant."""
    bind_contextvars(tenant=str(tenant_id))


def name_call(session_id: str, tenant_id: str) -> None:
    """What follows in this task is about this call."""
    bind_contextvars(call=session_id, tenant=tenant_id)
