"""One call inside a worker process.

Life: `office` takes a line and gives it a `run`, which drives the table of `policies.call_flow`; `performer` carries
out its commands with the `parts` of that call; `watch` looks at the clock; `desk_client` is the way to the desk.
Sound: `pipeline` names the stages; `consent_gate` and `model` are ours, `line` is what they stand between; `clips` and
`speech` are what is being said, `recording_sink` keeps it. Words: `transcript`, `reports`, `journal`, `tools`, `keys`.
When there is no model: `fallback`.

Imports `policies` and `voice.waist`; never the store, the desk or `sip`. Holds no secret but its calls' data keys and
model tokens.
"""
