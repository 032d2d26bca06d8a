"""The only room that knows SQL, object storage and keys.

Its way in: `engine.Database`, whose `tenant()` gives a `scope.TenantStore`, one transaction of one tenant, to the
functions of this room (`sessions`, `recordings`, `scenarios`, `numbers`, ... one noun a file); `platform()` finds the
tenant of a call. Behind it stand three walls between tenants: `guard`, row-level security (`migrations`), and foreign
keys that carry the tenant. `keys` and `sealing` make what is personal unreadable to whoever has only the database;
`blobs` keep sealed sound. `postgres` is the embedded server, `migrate` brings any server to today's schema.

May import `policies`. Everyone else passes a `TenantStore` on and never looks inside.
"""
