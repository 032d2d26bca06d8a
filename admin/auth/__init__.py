"""Signing in and staying so. Nouns: challenge, token, device, second factor, principal."""
