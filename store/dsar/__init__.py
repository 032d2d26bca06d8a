"""Requests of callers about their data: found, exported, erased, and taken in from callers who know no tenant."""
