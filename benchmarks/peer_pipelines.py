"""The ingestion of LlamaIndex and of Haystack, as their guides put it together, for one run each.

Started by `benchmarks/ingest_peers.py` under the Python that has them; needs nothing of vSage.
Reads one JSON object from stdin, prints one as its last line:

    in   {"peer", "fit": bool, "files": [...], "model": folder, "out": folder}
    out  {"seconds", "start_seconds", "texts": [what was embedded], "failed": [...], "found": n}

`seconds` is from the first file read to the store on disk; libraries and model are loaded before.
With `fit`, passages are made as long as the model's window allows; without, everything is default.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ |= {
    "HF_HUB_OFFLINE": "1",
    "HAYSTACK_TELEMETRY_ENABLED": "False",
    "TOKENIZERS_PARALLELISM": "false",
}

TOKENS, WORDS = 254, 110
"""Passage sizes with which next to nothing is cut off at MiniLM's 256 tokens."""
QUESTION = "How is a GPU given to a virtual machine?"


def llama_index(task: dict[str, Any]) -> dict[str, Any]:
    """SimpleDirectoryReader, SentenceSplitter, SimpleVectorStore persisted with its texts."""
    from llama_index.core import SimpleDirectoryReader, StorageContext, VectorStoreIndex
    from llama_index.core.ingestion import IngestionPipeline
    from llama_index.core.node_parser import SentenceSplitter
    from llama_index.core.schema import MetadataMode
    from llama_index.embeddings.huggingface import HuggingFaceEmbedding
    from tokenizers import Tokenizer

    embedder = HuggingFaceEmbedding(model_name=task["model"], device="cpu")
    splitter, metadata = SentenceSplitter(), None
    if task["fit"]:
        tokenizer = Tokenizer.from_file(str(Path(task["model"]) / "tokenizer.json"))
        tokenizer.no_truncation()
        tokenizer.no_padding()

        def tokens(text: str) -> list[int]:
            ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
            return ids

        splitter = SentenceSplitter(chunk_size=TOKENS, chunk_overlap=20, tokenizer=tokens)
        # Metadata are counted as part of the passage: the usual ones would take half of it.
        metadata = _name_alone
    embedder.get_text_embedding("warm up")
    started = time.perf_counter()
    documents = SimpleDirectoryReader(input_files=task["files"], file_metadata=metadata).load_data()
    nodes = IngestionPipeline(transformations=[splitter, embedder]).run(documents=documents)
    index = VectorStoreIndex(
        nodes, storage_context=StorageContext.from_defaults(), embed_model=embedder
    )
    index.storage_context.persist(task["out"])
    seconds = time.perf_counter() - started
    read = {os.path.basename(node.metadata["file_path"]) for node in nodes}
    return {
        "seconds": seconds,
        "texts": [node.get_content(metadata_mode=MetadataMode.EMBED) for node in nodes],
        "failed": [name for name in task["files"] if os.path.basename(name) not in read],
        "found": len(index.as_retriever().retrieve(QUESTION)),
    }


def _name_alone(path: str) -> dict[str, str]:
    return {"file_path": os.path.basename(path)}


def haystack(task: dict[str, Any]) -> dict[str, Any]:
    """Converters by suffix, DocumentSplitter, embedder, writer, InMemoryDocumentStore saved."""
    from haystack import Pipeline
    from haystack.components.converters import MarkdownToDocument, TextFileToDocument
    from haystack.components.joiners import DocumentJoiner
    from haystack.components.preprocessors import DocumentSplitter
    from haystack.components.writers import DocumentWriter
    from haystack.document_stores.in_memory import InMemoryDocumentStore
    from haystack_integrations.components.embedders.sentence_transformers import (
        SentenceTransformersDocumentEmbedder,
        SentenceTransformersTextEmbedder,
    )

    store = InMemoryDocumentStore()
    settings = {"model": task["model"], "local_files_only": True, "progress_bar": False}
    embedder = SentenceTransformersDocumentEmbedder(**settings)
    embedder.warm_up()
    pipeline = Pipeline()
    pipeline.add_component("markdown", MarkdownToDocument(progress_bar=False, store_full_path=True))
    pipeline.add_component("text", TextFileToDocument(store_full_path=True))
    pipeline.add_component("joiner", DocumentJoiner())
    splitter = DocumentSplitter(split_length=WORDS) if task["fit"] else DocumentSplitter()
    pipeline.add_component("splitter", splitter)
    pipeline.add_component("embedder", embedder)
    pipeline.add_component("writer", DocumentWriter(store))
    pipeline.connect("markdown", "joiner")
    pipeline.connect("text", "joiner")
    pipeline.connect("joiner", "splitter")
    pipeline.connect("splitter", "embedder")
    pipeline.connect("embedder", "writer")
    markdown = [name for name in task["files"] if name.endswith((".md", ".markdown"))]
    others = [name for name in task["files"] if name not in set(markdown)]
    started = time.perf_counter()
    pipeline.run({"markdown": {"sources": markdown}, "text": {"sources": others}})
    store.save_to_disk(str(Path(task["out"]) / "store.json"))
    seconds = time.perf_counter() - started
    asking = SentenceTransformersTextEmbedder(**settings)
    asking.warm_up()
    documents = store.filter_documents()
    read = {document.meta["file_path"] for document in documents}
    question = asking.run(QUESTION)["embedding"]
    return {
        "seconds": seconds,
        "texts": [document.content or "" for document in documents],
        "failed": [name for name in task["files"] if name not in read],
        "found": len(store.embedding_retrieval(question, top_k=2)),
    }


def main() -> None:
    """Run the task that stdin names."""
    started = time.perf_counter()
    task = json.load(sys.stdin)
    # What libraries print must not come before the answer on the same stream.
    with contextlib.redirect_stdout(sys.stderr):
        run = {"llama_index": llama_index, "haystack": haystack}[task["peer"]]
        result = run(task)
    result["start_seconds"] = time.perf_counter() - started - result["seconds"]
    print(json.dumps(result))


if __name__ == "__main__":
    main()
