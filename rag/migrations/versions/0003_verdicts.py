"""What the guardrails say of each passage, and what a curator decided about it."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "verdicts",
        sa.Column("chunk_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("rules", sa.String, nullable=False),
        sa.Column("allowed", sa.Boolean, nullable=False),
        sa.Column("rail", sa.String, nullable=False),
        sa.Column("category", sa.String, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("score", sa.Float, nullable=False),
        sa.Column("judged", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "curated",
        sa.Column("uri", sa.String, primary_key=True),
        sa.Column("text_sha256", sa.String(64), primary_key=True),
        sa.Column("decision", sa.String, nullable=False),
        sa.Column("decided_by", sa.String, nullable=False),
        sa.Column("decided", sa.DateTime(timezone=True), nullable=False),
        sa.Column("excerpt", sa.String, nullable=False),
    )
    op.create_index("chunks_withheld", "chunks", ["acl_id"], sqlite_where=sa.text("acl_id = 0"))


def downgrade() -> None:
    op.drop_index("chunks_withheld", "chunks")
    op.drop_table("curated")
    op.drop_table("verdicts")
