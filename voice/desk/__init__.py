"""The trusted side of a call: decides plans, mints model tokens, runs tools, and takes in what calls leave behind.

Its nouns: `server.Desk` on its two sockets, `plans.Planner`, `clips.ClipShelf`, `tokens.TokenMint`, `toolbox.Toolbox`,
`ingest.Ingestion`, `live.LiveCalls`. It imports `policies`, `store` and `voice.waist`, never the inside of a call.
"""
