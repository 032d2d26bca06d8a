"""The audit log: one Merkle tree a tenant, written in the transaction of the act it tells of, proven offline.

`log` writes and reads entries; `checkpoints` signs what the log is at a moment (`notes` has the formats) and enters
that into the server's own log; `anchors` has it put out of this server's reach (`stamps` by time stamps); `export`
makes the file for an auditor, `verify` checks one without any server.

The file has one JSON object a line, in this order:

    {"format": "aitelier-audit/1", "origin": NAME, "size": N, "checkpoints": [SIZE, ...]}
    {"leaf": TEXT}        an entry; its hash is SHA-256(0x00 || TEXT in UTF-8) (RFC 9162, 2.1.1). TEXT is canonical JSON
    {"pruned": HEX}       an entry older than seven years: its hash alone. Only the oldest entries are so, and the
                          newest entry of the tag tenant:audit:pruned says how many (`facts.up_to`)
    {"damaged": I}        what the database says beside entry I contradicts it: nothing is proven
    {"personal": {"index": I, "salt": HEX, "personal": {...}}}
                          opens a commitment: HMAC-SHA-256(salt, canonical JSON of personal) is `personal` of entry I
    {"checkpoint": NOTE}  a C2SP signed note with a tlog-checkpoint: the root of the first SIZE entries
    {"server": {"index": I, "leaf": TEXT, "proof": [HEX, ...], "checkpoint": NOTE}}
                          the server's own log has our last checkpoint as its entry I (RFC 9162, 2.1.3)
    {"stamped": {..., "time_stamp": BASE64}}
                          an older checkpoint of that log, with one of ours as its entry; and the answer of a
                          time-stamping authority (RFC 3161, TimeStampResp) about the SHA-256 of its NOTE

Entries come in the order of their indices, openings behind a batch of entries, checkpoints behind all of them. The last
checkpoint is of all SIZE entries. A note is signed twice (`notes`), under the name of its origin: by Ed25519 over its
text, and by ML-DSA-44 over a `cosigned_message`; both have to hold. Whoever holds the public keys, and perhaps an older
note, can write a verifier from this page.
"""
