"""How data ends: retention, legal holds, erasure with its ledger and receipts, and the end of a whole project."""
