"""A local server that speaks the OpenAI Realtime protocol: the brain without a key, and the tests' strict double.

Nouns: server, protocol (sessions and events), minds (what is answered), ears (hearing), mouth (speaking).
Imports nothing of ours.
"""
