"""Configuration of retrieval and generation: what `rag` owns of `configs/chat.yaml`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

FOREIGN_SECTIONS = ("guardrails", "server")
"""Top-level sections of the same file that other packages validate."""


class Section(BaseModel):
    """Unknown keys fail; values are never changed after loading."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, protected_namespaces=(), use_attribute_docstrings=True
    )


class IngestConfig(Section):
    max_file_mb: int = Field(100, ge=1, le=4096)
    """Larger files are reported and left out."""
    groups: tuple[str, ...] = Field(("everyone",), min_length=1)
    """Who may read newly ingested documents, unless `--groups` says otherwise."""
    batch_documents: int = Field(32, ge=1, le=1024)
    """Documents embedded together and committed in one transaction."""
    parsers: int = Field(1, ge=1, le=64)
    """Worker processes that parse, beside the one that embeds."""
    parse_timeout_s: float = Field(120.0, gt=0, le=86_400)
    """A document that takes longer to parse is reported and left out."""
    parse_memory_mb: int = Field(2048, ge=256, le=1_048_576)
    """A parser that needs more is ended and its document reported."""
    ocr: bool = False
    """Read scanned PDF pages; needs the extra `ocr`."""


class ChunkConfig(Section):
    max_tokens: int = Field(200, ge=32, le=8192)
    """Budget of a passage in the embedder's tokens, heading path included. A quarter more, within
    the embedder's window, where that keeps a list, table or block of code whole."""
    overlap_sentences: int = Field(1, ge=0, le=5)
    """Sentences repeated from the end of the passage before."""


class EmbedderConfig(Section):
    provider: Literal["sentence_transformers", "openai"] = "sentence_transformers"
    model: str = "models/all-MiniLM-L6-v2"
    """A folder, or for `openai` the model's name at the endpoint."""
    device: str = "cpu"
    backend: Literal["auto", "torch", "onnx", "onnx_int8"] = "auto"
    """What computes a folder's vectors: `auto` is onnx on the CPU and torch on a GPU, with the same
    vectors. `onnx_int8` is faster and a little less exact: other vectors, so another index."""
    batch_size: int = Field(32, ge=1, le=2048)
    """Texts in one forward pass of torch, or one request of `openai`."""
    cached_vectors: int = Field(10_000, ge=0, le=10_000_000)
    """Vectors of questions and sentences that the server remembers."""
    base_url: str = "http://127.0.0.1:8001/v1"
    api_key: str = ""
    max_tokens: int = Field(256, ge=32, le=32768)
    """The model's window. MiniLM was trained on 128-256 tokens; longer text is cut off unseen."""


class IndexConfig(Section):
    provider: Literal["faiss"] = "faiss"


class RetrieverConfig(Section):
    mode: Literal["hybrid", "lexical", "dense"] = "hybrid"
    top_k: int = Field(8, ge=1, le=100)
    """Passages handed to the prompt and to `/v1/search` by default."""
    candidates: int = Field(100, ge=10, le=1000)
    """Passages each leg proposes before fusion."""
    lexical_weight: float = Field(0.55, ge=0, le=1)
    """Share of the full-text leg in the fused score; the rest is the dense leg's."""
    heading_weight: float = Field(0.7, ge=0, le=10)
    """BM25 weight of title and headings beside the passage's own text."""
    identifier_weight: float = Field(0.2, ge=0, le=1)
    """Added to passages that hold an identifier of the question letter for letter."""
    version_weight: float = Field(0.15, ge=0, le=1)
    """Added to passages of a version that the question names, taken from those of another."""
    per_document: int = Field(3, ge=1, le=100)
    """Passages of one document among those found, unless there are too few others."""
    collapse: bool = True
    """Near-identical passages of several documents count once."""
    min_relevance: float = Field(0.45, ge=0, le=1)
    """Below this estimate of relevance the reply is that the knowledge base does not hold it."""


class RerankerConfig(Section):
    provider: Literal["none", "sentence_transformers"] = "none"
    model: str = ""
    """A CrossEncoder's folder."""
    device: str = "cpu"
    batch_size: int = Field(16, ge=1, le=1024)
    candidates: int = Field(30, ge=1, le=1000)
    """Passages that it reads for one question."""


class RewriteConfig(Section):
    mode: Literal["words", "generator"] = "words"
    """How a follow-up becomes a query: the former question's words put before it, or rewritten by
    the generator where its rewrite can be trusted. A 135M model's can rarely be."""


class PromptConfig(Section):
    max_passages: int = Field(4, ge=1, le=50)
    max_passage_tokens: int = Field(700, ge=64, le=100_000)
    """Budget for all passages together, in the generator's tokens."""
    expand: bool = True
    """Passages grow by what stands around them in their section while this budget lasts."""
    max_history_turns: int = Field(2, ge=0, le=50)
    """Earlier questions and answers that the generator sees."""


class AnswerConfig(Section):
    quotations: int = Field(3, ge=1, le=10)
    """Supporting sentences picked before the model phrases the answer."""
    min_support: float = Field(0.7, ge=0, le=1)
    """Below this a generated sentence counts as unsupported by the passages."""
    unsupported: Literal["drop", "mark"] = "drop"
    """What becomes of an unsupported sentence: it gives way to a quotation, or it is sent and
    marked `[unsupported]`."""
    patience: int = Field(2, ge=1, le=100)
    """After so many unsupported sentences the model is cut off and the quotations follow."""


class GeneratorConfig(Section):
    provider: Literal["llama_cpp", "openai", "extractive"] = "llama_cpp"
    model: str = "models/SmolLM2-135M-Instruct/SmolLM2-135M-Instruct.Q8_0.gguf"
    """A GGUF file for `llama_cpp`, the model's name at the endpoint for `openai`."""
    context_tokens: int = Field(4096, ge=512, le=1_048_576)
    """Window of one request: prompt and answer together."""
    slots: int = Field(4, ge=1, le=256)
    """Requests generated side by side (`llama_cpp`)."""
    threads: int = Field(0, ge=0, le=512)
    """CPU threads (`llama_cpp`); 0 takes the physical cores this process may use."""
    max_tokens: int = Field(200, ge=1, le=32768)
    """Longest answer where the request does not say."""
    temperature: float = Field(0.0, ge=0, le=2)
    base_url: str = "http://127.0.0.1:8001/v1"
    api_key: str = ""
    timeout_s: float = Field(120.0, gt=0, le=3600)
    """For `openai`: longest silence of the endpoint before the request is given up."""
    adapters: Path = Path("adapters")
    """The adapter registry; it may be missing. Its promoted adapters are served."""
    default_adapter: str = Field("promoted", min_length=1)
    """What answers where the bare model is named: `promoted` is the first of those promoted, `none`
    the bare model, anything else the adapter of that name. While that one is not in service, the
    bare model answers."""
    base_sha256: str = Field("", pattern="^([0-9a-f]{64})?$")
    """Of the base in Hugging Face's form, as manifests of adapters state it; adapters of another
    are left out. Empty: of the folder `hf` beside the GGUF file, where there is one."""
    endpoint_adapters: tuple[str, ...] = ()
    """For `openai`: the adapters that the endpoint has. Empty asks its `/models`, where vLLM lists
    them."""

    @model_validator(mode="after")
    def _answer_fits(self) -> GeneratorConfig:
        if self.max_tokens >= self.context_tokens:
            raise ValueError("max_tokens must be smaller than context_tokens")
        return self


class RagConfig(Section):
    data_dir: Path = Path("data")
    """Everything vSage stores lies below this folder."""
    models_dir: Path = Path("models")
    database_url: str = ""
    """SQLAlchemy URL of the catalog; empty is SQLite at `data_dir`/vsage.db."""
    ingest: IngestConfig = IngestConfig()
    chunk: ChunkConfig = ChunkConfig()
    embedder: EmbedderConfig = EmbedderConfig()
    index: IndexConfig = IndexConfig()
    retriever: RetrieverConfig = RetrieverConfig()
    reranker: RerankerConfig = RerankerConfig()
    rewrite: RewriteConfig = RewriteConfig()
    prompt: PromptConfig = PromptConfig()
    answer: AnswerConfig = AnswerConfig()
    generator: GeneratorConfig = GeneratorConfig()

    @property
    def block_tokens(self) -> int:
        """Most tokens of a passage that holds a list, table or block of code whole."""
        return min(self.embedder.max_tokens, self.chunk.max_tokens * 5 // 4)

    @model_validator(mode="after")
    def _passages_fit(self) -> RagConfig:
        if self.chunk.max_tokens > self.embedder.max_tokens:
            raise ValueError(
                "chunk.max_tokens is larger than embedder.max_tokens: "
                "the end of each passage would not be searched"
            )
        room = self.generator.context_tokens - self.generator.max_tokens
        if self.generator.provider != "extractive" and self.prompt.max_passage_tokens > room - 256:
            raise ValueError(
                f"prompt.max_passage_tokens leaves no room for the question: at most {room - 256} "
                "with this generator.context_tokens and generator.max_tokens"
            )
        return self
