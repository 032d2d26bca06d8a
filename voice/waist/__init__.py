"""The waist: everything that crosses between the trusted side of a call and the untrusted one.

A `plan` goes in, a `journal` comes out, and small `messages` with deadlines pass beside them; nothing else does.
All of it is frozen, versioned and validated while it is decoded. Both `voice.call` (untrusted) and `voice.desk`
(trusted) import this package; it imports neither, nor the store.
"""
