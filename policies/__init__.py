"""Pure decisions. Nouns: verdict, call flow, disclosure, consent, jurisdiction, number, chunk.

Nothing here does I/O or reads a clock, the environment or a random source: time and facts come in as arguments. May
import the standard library and `phonenumbers`; every other room may import this one.
"""
