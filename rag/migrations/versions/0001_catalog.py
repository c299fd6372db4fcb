"""Documents, chunks with their embeddings, access lists, full text."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "facts",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("value", sa.String, nullable=False),
    )
    op.create_table(
        "acls",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("groups", sa.String, nullable=False, unique=True),
    )
    op.create_table(
        "documents",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("uri", sa.String, nullable=False, unique=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("title", sa.String, nullable=False),
        sa.Column("media_type", sa.String, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("modified", sa.DateTime(timezone=True)),
        sa.Column("ingested", sa.DateTime(timezone=True), nullable=False),
        sa.Column("acl_id", sa.Integer, sa.ForeignKey("acls.id"), nullable=False, index=True),
        sa.Column("recipe", sa.String, nullable=False),
        sa.Column("chunk_count", sa.Integer, nullable=False),
        sa.Column("warnings", sa.JSON, nullable=False),
        sa.Column("page_starts", sa.JSON, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "chunks",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column(
            "document_id",
            sa.Integer,
            sa.ForeignKey("documents.id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("acl_id", sa.Integer, nullable=False),
        sa.Column("ordinal", sa.Integer, nullable=False),
        sa.Column("start", sa.Integer, nullable=False),
        sa.Column("end", sa.Integer, nullable=False),
        sa.Column("page", sa.Integer),
        sa.Column("heading_path", sa.JSON, nullable=False),
        sa.Column("heading", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("embedding", sa.LargeBinary, nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Index("chunks_by_document", "document_id", "ordinal"),
        sa.Index("chunks_by_generation", "generation"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "removed_chunks",
        sa.Column("chunk_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("generation", sa.Integer, nullable=False, index=True),
    )
    _full_text()
    op.execute("INSERT INTO facts VALUES ('generation', '0')")


def _full_text() -> None:
    """FTS5 over `chunks`, without a second copy of the text; triggers keep it exact."""
    op.execute(
        "CREATE VIRTUAL TABLE chunk_words USING fts5(heading, text, content='chunks', "
        "content_rowid='id', tokenize=\"porter unicode61 remove_diacritics 2\")"
    )
    # Not a copy: a view of the index's terms, for how rare a word is in this knowledge base.
    op.execute("CREATE VIRTUAL TABLE chunk_terms USING fts5vocab(chunk_words, row)")
    op.execute(
        "CREATE TRIGGER chunks_added AFTER INSERT ON chunks BEGIN "
        "INSERT INTO chunk_words(rowid, heading, text) VALUES (new.id, new.heading, new.text); END"
    )
    op.execute(
        "CREATE TRIGGER chunks_gone AFTER DELETE ON chunks BEGIN "
        "INSERT INTO chunk_words(chunk_words, rowid, heading, text) "
        "VALUES ('delete', old.id, old.heading, old.text); END"
    )


def downgrade() -> None:
    op.execute("DROP TABLE chunk_terms")
    op.execute("DROP TABLE chunk_words")
    for table in ("removed_chunks", "chunks", "documents", "acls", "facts"):
        op.drop_table(table)
