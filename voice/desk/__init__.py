"""The trusted side of a call.

Nouns: server, plans, clips, tokens, toolbox, ingest. Imports `store`, `policies` and `voice.waist`.
"""
