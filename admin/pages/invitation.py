"""An invitation, as whoever it is for sees it: before they accept, and without a tenant of their own."""

from uuid import UUID

from aiohttp import web

from admin.api import invitations as api
from admin.api.invitations import InvitationLink
from admin.pages.render import account_page, go_to
from admin.problems import NotThereError, RefusedError
from admin.route import Visit


async def show(visit: Visit) -> web.Response:
    """What is offered, with a button: nothing is accepted by opening a link."""
    try:
        offered = await api.look_at_invitation(visit, _link(visit))
    except (NotThereError, RefusedError) as error:
        return account_page(visit, "invitation.html", status=error.status.value, offered=None, problem=error.problem)
    return account_page(visit, "invitation.html", offered=offered, problem=None)


async def accept(visit: Visit) -> web.Response:
    """Become a member."""
    link = _link(visit)
    await api.accept_invitation(visit, link)
    return go_to(visit.request, f"/t/{link.tenant_id}/", "Welcome. You are a member now.")


def _link(visit: Visit) -> InvitationLink:
    try:
        return InvitationLink(
            tenant_id=UUID(visit.request.match_info["tenant_id"]), token=visit.request.match_info["token"]
        )
    except ValueError:
        raise NotThereError from None
