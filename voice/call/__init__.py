"""One call inside a worker process.

Nouns: line, run, pipeline, consent gate, model, recording sink, journal, tools, fallback, desk client. Imports
`policies` and `voice.waist`; never the store, the desk or `sip`. Holds no secret but its own call's data key and a
model token.
"""
