"""Every table as the program sees it, a file for each group. The migrations are the authority; a test compares the two.

Each table has `tenant_id` and starts its primary key with it, so that a reference from one tenant to another cannot
even be written down. What ends in `_sealed` is personal and lies encrypted (see `store.sealing`).
"""
