"""The only room that knows SQL, object storage and keys.

Nouns: tenant store, one file a noun for what is kept, keys, blobs. May import `policies`. Everyone else reaches a
tenant's data through a `TenantStore`, which is bound to one tenant for life.
"""
