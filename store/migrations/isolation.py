"""The second wall between tenants, put around a new table by the migration that makes it."""

from alembic import op

# A setting made for one transaction reads as '' once it is over, and '' is no uuid: hence NULLIF. Without a tenant the
# comparison is with NULL, and there are no rows.
_OWN_ROWS = "tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid"


def isolate(table: str) -> None:
    """Show and take rows of the transaction's tenant only, also for the owner of the table; let the app role in."""
    for statement in (
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
        f"CREATE POLICY tenant_isolation ON {table} USING ({_OWN_ROWS}) WITH CHECK ({_OWN_ROWS})",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO aitelier_app",
    ):
        op.get_bind().exec_driver_sql(statement)
