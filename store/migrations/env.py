"""What alembic runs: the migrations, on the connection that `store.migrate` brings."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transaction_per_migration=False)
with context.begin_transaction():
    context.run_migrations()
