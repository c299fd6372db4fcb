"""What sources know of documents, parser failures, generations' tokens, the next embedder."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_TEXTS = ("source", "stamp", "product", "version", "url")


def upgrade() -> None:
    for name in _TEXTS:
        column = sa.Column(name, sa.String, nullable=False, server_default="")
        op.add_column("documents", column)
    op.add_column("documents", sa.Column("labels", sa.JSON, nullable=False, server_default="[]"))
    op.create_index("documents_by_source", "documents", ["source"])
    op.create_table(
        "failures",
        sa.Column("uri", sa.String, primary_key=True),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("recipe", sa.String, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
    )
    op.create_table(
        "generations",
        sa.Column("generation", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("token", sa.String, nullable=False),
    )
    op.create_table(
        "next_vectors",
        sa.Column("chunk_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("embedding", sa.LargeBinary, nullable=False),
    )


def downgrade() -> None:
    for table in ("next_vectors", "generations", "failures"):
        op.drop_table(table)
    op.drop_index("documents_by_source", "documents")
    for name in (*_TEXTS, "labels"):
        op.drop_column("documents", name)
