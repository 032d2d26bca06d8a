"""The audit log: one Merkle tree a tenant, written in the transaction of the act it tells of, proven offline."""
