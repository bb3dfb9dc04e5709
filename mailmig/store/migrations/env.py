"""What Alembic runs first: it works on the connection that it is handed, inside its transaction."""

from alembic import context

from mailmig.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite changes a table only by copying it
)
with context.begin_transaction():
    context.run_migrations()
