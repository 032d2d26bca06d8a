"""What a project for health care (HIPAA) forces: each setting has a floor, and no wish gets below it.

Handling is a lattice: the stricter of two is again one. A project's is the stricter of what somebody wished for and,
with the switch on, of `FORCED`. There is no other way to a project's handling, so there is no way around.

That recordings are sealed under a key below the tenant's own, and that no log and no mail holds what was said or who
called, is so for every project, and therefore no setting.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Handling:
    """How carefully what a project holds is handled. The defaults are the loosest there are."""

    baa_only: bool = False
    """Data goes only to sub-processors with a business associate agreement (45 CFR 164.502(e))."""
    mfa_for_all: bool = False
    """Every member needs a second factor, not only owners (45 CFR 164.312(d))."""
    idle_minutes: int | None = None
    """A session of the web admin ends after so long without use (45 CFR 164.312(a)(2)(iii)); None: it does not."""
    reads_audited: bool = False
    """Who read a transcript, a recording or a caller's number is in the audit log (45 CFR 164.312(b))."""
    documentation_years: int = 0
    """So long the audit log is kept at least (45 CFR 164.316(b)(2)(i))."""


FORCED: Final = Handling(
    baa_only=True,
    mfa_for_all=True,
    idle_minutes=15,
    reads_audited=True,
    documentation_years=6,
)


def stricter(one: Handling, other: Handling) -> Handling:
    """The strictest of each setting."""
    minutes = [value for value in (one.idle_minutes, other.idle_minutes) if value is not None]
    return Handling(
        baa_only=one.baa_only or other.baa_only,
        mfa_for_all=one.mfa_for_all or other.mfa_for_all,
        idle_minutes=min(minutes, default=None),
        reads_audited=one.reads_audited or other.reads_audited,
        documentation_years=max(one.documentation_years, other.documentation_years),
    )


def handling(*, hipaa: bool, wished: Handling = Handling()) -> Handling:
    """How a project's data is handled, whatever was wished for."""
    return stricter(wished, FORCED) if hipaa else wished
