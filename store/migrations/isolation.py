"""The second wall between tenants, put around a new table by the migration that makes it, and the few doors in it."""

from alembic import op

# A setting made for one transaction reads as '' once it is over, and '' is no uuid: hence NULLIF. Without a tenant the
# comparison is with NULL, and there are no rows.
_OWN_ROWS = "tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid"


def isolate(table: str) -> None:
    """Show and take rows of the transaction's tenant only, also for the owner of the table; let the app role in.

    Backups read every row as it lies.
    """
    for statement in (
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
        f"CREATE POLICY tenant_isolation ON {table} USING ({_OWN_ROWS}) WITH CHECK ({_OWN_ROWS})",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO aitelier_app",
        f"CREATE POLICY aitelier_backup_looks ON {table} FOR SELECT TO aitelier_backup USING (true)",
        f"GRANT SELECT ON {table} TO aitelier_backup",
    ):
        op.get_bind().exec_driver_sql(statement)


def show(table: str, role: str, *columns: str) -> None:
    """Let a role that looks across tenants read these columns of every tenant's rows, and no others.

    `role` is `aitelier_platform`, for finding the tenant of a call, or `aitelier_jobs`, for finding the tenants with
    work due. A test holds the list of all such doors.
    """
    for statement in (
        f"CREATE POLICY {role}_looks ON {table} FOR SELECT TO {role} USING (true)",
        f"GRANT SELECT ({', '.join(columns)}) ON {table} TO {role}",
    ):
        op.get_bind().exec_driver_sql(statement)
