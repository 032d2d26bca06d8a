"""One call.

`waist` is what crosses between its two sides; `call` is the untrusted side, inside a worker; `desk` is the trusted
side, which builds plans, runs tools and ingests journals; `rehearsal` is a local model server. May import `policies`;
`voice.desk` may import `store`, `voice.call` never does. Knows no pjsua2: a line comes in from `sip` through `scripts`.
"""
