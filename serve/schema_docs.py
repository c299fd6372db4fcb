"""What each field of the API means, with an example: for the OpenAPI document.

By name, because a field of one name means the same wherever it stands. What a model says itself
goes first.
"""

from __future__ import annotations

from typing import Any

FIELDS: dict[str, tuple[str, Any]] = {
    # chat: request
    "type": ("What kind it is.", "text"),
    "text": ("Plain text.", "The token file lies in /etc/nvidia/ClientConfigToken."),
    "role": ("Who speaks.", "user"),
    "content": ("What is said.", "Which setting enables vMotion for vGPU?"),
    "name": ("A name: for a document its file name.", "dynamic-directpath-io.md"),
    "refusal": ("Not used: a refusal is ordinary text.", ""),
    "include_usage": ("Send a last chunk with the token counts.", True),
    "include_obfuscation": ("Accepted and ignored.", False),
    "model": ("The name that `/v1/models` lists.", "vsage"),
    "messages": (
        "The conversation, oldest first.",
        [{"role": "user", "content": "Which setting enables vMotion for vGPU?"}],
    ),
    "stream": ("Answer as server-sent events.", False),
    "stream_options": ("How to stream.", {"include_usage": True}),
    "max_tokens": ("Longest answer in tokens.", 200),
    "max_completion_tokens": ("OpenAI's newer name for `max_tokens`.", 200),
    "temperature": ("0 always takes the likeliest token.", 0),
    "top_p": ("Share of the probability that tokens are drawn from.", 1),
    "seed": ("Makes drawing repeatable on the same machine.", 7),
    "stop": ("Strings that end the answer.", ["\n\n"]),
    "user": ("Accepted and ignored.", "a.smith"),
    "metadata": ("Accepted and ignored.", {"team": "platform"}),
    # chat: response
    "id": ("Identifies it.", "chatcmpl-4f1c0d"),
    "object": ("OpenAI's name for this kind of object.", "chat.completion"),
    "created": ("Seconds since 1970.", 1795453886),
    "choices": ("The answer; always one.", None),
    "index": ("Its place; always 0.", 0),
    "message": ("The answer.", {"role": "assistant", "content": "`true`. [1]"}),
    "logprobs": ("Always null.", None),
    "finish_reason": ("`content_filter` where a rail refused the question.", "stop"),
    "usage": ("What the generator read and drew; quotations cost nothing.", None),
    "prompt_tokens": ("Tokens of the prompt.", 845),
    "completion_tokens": ("Tokens drawn.", 26),
    "total_tokens": ("Both together.", 871),
    "vsage": ("What vSage adds to OpenAI's shape.", None),
    "owned_by": ("Always vsage.", "vsage"),
    # citations and verdicts
    "query": ("What was searched for.", "licence token folder"),
    "citations": ("The passages that the answer rests on, by their marks.", []),
    "verdicts": ("What the guardrails decided, in order.", []),
    "timings": ("Milliseconds a stage.", {"retrieve": 29.3, "total": 3578.2}),
    "number": ("The mark `[n]` in the answer.", 1),
    "document_id": ("The document, as in `/v1/documents`.", 12),
    "chunk_id": ("The passage.", 171),
    "title": ("The document's title.", "Dynamic DirectPath I/O"),
    "uri": ("Where the document came from.", "file:///srv/docs/dynamic-directpath-io.md"),
    "heading_path": ("Headings above the passage.", ["Dynamic DirectPath I/O", "Hardware labels"]),
    "page": ("Page, counted from 1; null where there are none.", 3),
    "start": ("First character of the span in the parsed document.", 1210),
    "end": ("Behind the last character of the span.", 1398),
    "support": ("Sentences of the answer that this passage bears out.", []),
    "sentence": ("The sentence as it stands in the answer.", "The label is set on the host."),
    "quoted": ("Whether it is a quotation.", True),
    "score": ("Higher is better.", 0.93),
    "direction": ("What was judged: question, passage or sentence.", "output"),
    "allowed": ("Whether it went on.", True),
    "rail": ("The rail that decided.", "check grounded"),
    "category": ("Why, in one word; empty where nothing was found.", "number"),
    "reason": ("Why, in plain words.", "a number that no passage holds"),
    # embeddings
    "input": ("What to embed.", "licence token folder"),
    "encoding_format": ("How a vector is written.", "float"),
    "dimensions": ("Numbers in a vector.", 384),
    "embedding": ("The vector.", [0.0123, -0.0456]),
    "embedder": ("Changes with the embedder.", "8c5b2f6d1a90"),
    # search and documents
    "top_k": ("How many passages.", 8),
    "data": ("What was asked for.", []),
    "lexical": ("BM25; null where no word is shared.", 7.22),
    "dense": ("Cosine similarity to the query.", 0.52),
    "media_type": ("The format.", "text/markdown"),
    "sha256": (
        "Hash of the file.",
        "86d54cf3a7eb50dfef285b694dbb43daff2e4f94193c6ab987d753d97eeed0fe",
    ),
    "bytes": ("Size of the file.", 4380),
    "modified": ("Last change at the source.", "2026-11-23T16:13:21Z"),
    "ingested": ("When it was taken in.", "2026-11-23T16:15:02Z"),
    "groups": ("Who may read it.", ["everyone"]),
    "chunks": ("How many passages it was cut into.", 9),
    "warnings": ("What was lost on the way.", ["3 of 10 pages hold no text (scanned?)"]),
    "source": ("Its name in `configs/sources.yaml`; empty for what was added by hand.", "wiki"),
    "product": ("What it is about; empty where nobody says.", "vSphere"),
    "version": ("The product's version; empty where nobody says.", "8.0"),
    "labels": ("Its labels.", ["runbook"]),
    "url": ("Where a reader opens it; empty where that is `uri`.", "https://wiki.example/x/42"),
    "filters": ("What is searched at all.", {"products": ["vSphere"], "versions": ["8.0"]}),
    "sources": ("Names of sources.", ["wiki"]),
    "products": ("Products.", ["vSphere"]),
    "versions": ("Versions.", ["8.0"]),
    "modified_after": ("Changed then or later.", "2026-01-01T00:00:00Z"),
    "modified_before": ("Changed before then.", "2026-07-01T00:00:00Z"),
    "closest": ("Documents near the question, where none holds the answer.", []),
    "total": ("How many there are in all.", 17),
    "has_more": ("Whether more follow behind these.", False),
    "deleted": ("Always true.", True),
    # errors
    "error": ("What went wrong.", None),
    "code": ("What went wrong, for programs.", "unsupported_parameter"),
    "param": ("The parameter that is wrong.", "tools"),
}


def describe(schema: dict[str, Any]) -> None:
    """Fill in what a model's own fields leave out; pydantic calls this with each model's schema."""
    for field, said in schema.get("properties", {}).items():
        if field not in FIELDS:
            continue
        description, example = FIELDS[field]
        said.setdefault("description", description)
        if example is not None:
            said.setdefault("examples", [example])
