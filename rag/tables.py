"""The catalog's tables. Changed only together with a migration in `rag/migrations/versions`."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData()

WITHHELD = 0
"""The access list of quarantined passages. No row of `acls` has this id, so no caller, whatever his
groups, may read them: neither leg of a search so much as looks at them."""

facts = Table(
    "facts",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", String, nullable=False),
    comment="catalog_id, generation, embedder, embedder_config, next_embedder, feedback_salt",
)

generations = Table(
    "generations",
    metadata,
    Column("generation", Integer, primary_key=True, autoincrement=False),
    Column("token", String, nullable=False, comment="random"),
    comment="tells a catalog restored from a backup from the one that an index file mirrors",
)

acls = Table(
    "acls",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("groups", String, nullable=False, unique=True, comment="sorted JSON list"),
    comment="each distinct set of groups that some document is readable by",
)

documents = Table(
    "documents",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("uri", String, nullable=False, unique=True),
    Column("name", String, nullable=False),
    Column("title", String, nullable=False),
    Column("media_type", String, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("size", Integer, nullable=False, comment="bytes at the source"),
    Column("modified", DateTime(timezone=True)),
    Column("ingested", DateTime(timezone=True), nullable=False),
    Column("acl_id", ForeignKey("acls.id"), nullable=False, index=True),
    Column("recipe", String, nullable=False, comment="parser, chunker settings: see ingest.py"),
    Column("chunk_count", Integer, nullable=False),
    Column("warnings", JSON, nullable=False),
    Column("page_starts", JSON, nullable=False),
    Column("text", Text, nullable=False, comment="parsed text; chunk spans refer to it"),
    Column("source", String, nullable=False, comment="name in sources.yaml; '' by hand"),
    Column("stamp", String, nullable=False, comment="the source's own mark of this version"),
    Column("product", String, nullable=False),
    Column("version", String, nullable=False),
    Column("labels", JSON, nullable=False),
    Column("url", String, nullable=False, comment="where a reader opens it; '' for the URI"),
    Index("documents_by_source", "source"),
    sqlite_autoincrement=True,
)

failures = Table(
    "failures",
    metadata,
    Column("uri", String, primary_key=True),
    Column("sha256", String(64), nullable=False),
    Column("recipe", String, nullable=False),
    Column("reason", String, nullable=False),
    comment="documents that killed their parser: not tried again until they change",
)

chunks = Table(
    "chunks",
    metadata,
    Column(
        "id", Integer, primary_key=True, comment="never used twice: the vector index keys on it"
    ),
    Column("document_id", ForeignKey("documents.id", ondelete="CASCADE"), nullable=False),
    Column("acl_id", Integer, nullable=False, comment="the document's, or WITHHELD"),
    Column("ordinal", Integer, nullable=False),
    Column("start", Integer, nullable=False),
    Column("end", Integer, nullable=False),
    Column("page", Integer),
    Column("heading_path", JSON, nullable=False),
    Column("heading", Text, nullable=False, comment="title and heading path, for full text"),
    Column("text", Text, nullable=False),
    Column("embedding", LargeBinary, nullable=False, comment="float16, unit length"),
    Column("generation", Integer, nullable=False, comment="in which it appeared"),
    Index("chunks_by_document", "document_id", "ordinal"),
    Index("chunks_by_generation", "generation"),
    Index("chunks_withheld", "acl_id", sqlite_where=text(f"acl_id = {WITHHELD}")),
    sqlite_autoincrement=True,
)

removed_chunks = Table(
    "removed_chunks",
    metadata,
    Column("chunk_id", Integer, primary_key=True, autoincrement=False),
    Column("generation", Integer, nullable=False, index=True, comment="in which it disappeared"),
)

next_vectors = Table(
    "next_vectors",
    metadata,
    Column("chunk_id", Integer, primary_key=True, autoincrement=False),
    Column("embedding", LargeBinary, nullable=False, comment="float16, unit length"),
    comment="by the embedder that is to replace the present one, until all are there",
)

verdicts = Table(
    "verdicts",
    metadata,
    Column("chunk_id", Integer, primary_key=True, autoincrement=False),
    Column("rules", String, nullable=False, comment="fingerprint of the rails that judged"),
    Column("allowed", Boolean, nullable=False, comment="by the rails, whoever released it"),
    Column("rail", String, nullable=False),
    Column("category", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("score", Float, nullable=False),
    Column("judged", DateTime(timezone=True), nullable=False),
)

curated = Table(
    "curated",
    metadata,
    Column("uri", String, primary_key=True),
    Column("text_sha256", String(64), primary_key=True, comment="of heading and text"),
    Column("decision", String, nullable=False, comment="released or deleted"),
    Column("decided_by", String, nullable=False),
    Column("decided", DateTime(timezone=True), nullable=False),
    Column("excerpt", String, nullable=False),
    comment="holds for a passage of these words for as long as its document has it",
)

answers = Table(
    "answers",
    metadata,
    Column("id", String(64), primary_key=True, comment="as the API names it"),
    Column("created", DateTime(timezone=True), nullable=False),
    Column("question", Text, nullable=False, comment="as the input rails let it pass"),
    Column("history", JSON, nullable=False, comment="[{role, content}], oldest first"),
    Column("passages", JSON, nullable=False, comment="[{title, text, uri}] as the model saw them"),
    Column("answer", Text, nullable=False),
    Column("adapter", String),
    Column("groups", JSON, nullable=False, comment="sorted; of the caller who asked"),
    Index("answers_by_age", "created"),
    comment="kept for `server.feedback.keep_days`, and for good once there is feedback on them",
)

feedback = Table(
    "feedback",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("answer_id", ForeignKey("answers.id", ondelete="CASCADE"), nullable=False),
    Column("caller", String, nullable=False, comment="salted hash"),
    Column("kind", String, nullable=False, comment="vote, correction, comment or ideal"),
    Column("value", Boolean, comment="of votes"),
    Column("text", Text, comment="of all others"),
    Column("given", DateTime(timezone=True), nullable=False),
    UniqueConstraint("answer_id", "caller", "kind", name="feedback_once"),
    Index("feedback_by_age", "given"),
)
