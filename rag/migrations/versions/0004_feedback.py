"""Answers that are remembered for a while, and what callers say of them."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "answers",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("question", sa.Text, nullable=False),
        sa.Column("history", sa.JSON, nullable=False),
        sa.Column("passages", sa.JSON, nullable=False),
        sa.Column("answer", sa.Text, nullable=False),
        sa.Column("adapter", sa.String),
        sa.Column("groups", sa.JSON, nullable=False),
    )
    op.create_index("answers_by_age", "answers", ["created"])
    op.create_table(
        "feedback",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column(
            "answer_id",
            sa.String(64),
            sa.ForeignKey("answers.id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("caller", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("value", sa.Boolean),
        sa.Column("text", sa.Text),
        sa.Column("given", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("answer_id", "caller", "kind", name="feedback_once"),
    )
    op.create_index("feedback_by_age", "feedback", ["given"])


def downgrade() -> None:
    op.drop_table("feedback")
    op.drop_table("answers")
