"""HTTP: health and metrics now; web admin, API and sign-in come here.

May import `policies`, `store` and `voice.waist`.
"""
