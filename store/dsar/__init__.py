"""Requests of callers about their data: found, exported, erased, and taken in from callers who know no tenant.

Nouns: search (the calls of a number), export (a copy of everything, in a package with pages and vCons, of the columns
that `fields` names), case (one request to one tenant, with its deadline and its receipt), intake (one request to the
operator, proven by a code), routing (from an intake to the tenants' cases, and their answers back), reminders, letters
and the contacts they go to.
"""
