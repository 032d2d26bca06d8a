"""Whether a place may get a project's data. Asked before a byte leaves; what is not known to be allowed is refused."""

from dataclasses import dataclass
from typing import Literal, get_args

from policies.hipaa import handling
from policies.subprocessors import Place
from policies.verdict import Allow, Deny, Verdict

Residency = Literal["anywhere", "eu_only"]
RESIDENCIES: tuple[Residency, ...] = get_args(Residency)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a project asks of every place that gets its data. The defaults hold for what is nobody's content."""

    residency: Residency = "anywhere"
    hipaa: bool = False


ANYWHERE = Bounds()


def may_receive(place: Place, bounds: Bounds) -> Verdict:
    """Whether data of a project with these bounds may go to this place."""
    if bounds.residency != "anywhere" and not place.in_eu:
        return Deny(f"{place.host} is in {' and '.join(place.countries) or 'no known country'}, outside the EU")
    if not handling(hipaa=bounds.hipaa).baa_only:
        return Allow()
    if place.kind == "own" and not place.countries:
        return Deny(f"nobody has said that {place.host} is the operator's own")
    if place.kind == "subprocessor":
        row = place.subprocessor
        if row is None or row.baa_since is None:
            return Deny(f"{place.whose} has signed no business associate agreement")
    return Allow()
