"""Search and ask from the command line."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from typing import Annotated, Any

import typer
from rich.markup import escape

from rag.commands.options import (
    DEFAULT_CONFIG,
    FAILED,
    ConfigOption,
    JsonOption,
    Overrides,
    caller,
    jsonable,
    load,
    out,
    print_json,
)
from rag.filter_options import (
    AfterOption,
    BeforeOption,
    LabelOption,
    ProductOption,
    SourceOption,
    VersionOption,
    to_filters,
)
from rag.schema import Filters, Hit


def search(
    question: Annotated[str, typer.Argument(help="What to look for.")],
    overrides: Overrides = None,
    top_k: Annotated[int, typer.Option("--top-k", min=1, max=100, help="How many.")] = 8,
    groups: Annotated[
        str, typer.Option(help="Search as a caller of these groups; default: see everything.")
    ] = "",
    source: SourceOption = None,
    product: ProductOption = None,
    version: VersionOption = None,
    label: LabelOption = None,
    after: AfterOption = None,
    before: BeforeOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Print the passages nearest to a question, best first.

    An option that is given several times takes any of its values; several options have to hold
    together.

    Example: `python -m rag search "vMotion with vGPU" --version 8.0 --after 2026-01-01`
    """
    from rag.knowledge import open_knowledge
    from rag.retrieve import retrieve

    knowledge = open_knowledge(load(config, overrides))
    readers = caller(groups, knowledge.catalog.groups())
    filters = to_filters(source, product, version, label, after, before)
    hits = retrieve(knowledge, question, readers, top_k, filters=filters)
    if as_json:
        for hit in hits:
            print_json(hit)
        return
    for rank, hit in enumerate(hits, start=1):
        out.print(f"[bold]{rank}. {escape(_place(hit))}[/]  [dim]{hit.score:.3f}[/]")
        out.print(hit.text.strip(), markup=False)
        out.print()
    if not hits:
        out.print("Nothing found.")


def ask(
    question: Annotated[str, typer.Argument(help="The question.")],
    overrides: Overrides = None,
    groups: Annotated[
        str, typer.Option(help="Ask as a caller of these groups; default: see everything.")
    ] = "",
    source: SourceOption = None,
    product: ProductOption = None,
    version: VersionOption = None,
    label: LabelOption = None,
    after: AfterOption = None,
    before: BeforeOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Answer a question with citations. No guardrails here: the server has them.

    It can be narrowed to some documents like a search. Exit code 1 says that the knowledge base
    holds no answer.

    Example: `python -m rag ask "Which setting enables vMotion for vGPU?"`
    """
    from rag.ask import Asked
    from rag.generate import open_generator
    from rag.knowledge import open_knowledge
    from rag.scope import count_documents

    loaded = load(config, overrides)
    knowledge = open_knowledge(loaded)
    readers = caller(groups, knowledge.catalog.groups())
    filters = to_filters(source, product, version, label, after, before)
    asked = Asked()
    asyncio.run(
        _print_answer(
            knowledge, open_generator(loaded.generator), question, readers, filters, asked, as_json
        )
    )
    if as_json:
        cited = {str(number): dataclasses.asdict(hit) for number, hit in asked.cited.items()}
        values = {"answer": asked.text, "found": asked.found, "citations": cited}
        print(json.dumps(values, default=jsonable))
    elif asked.found:
        out.print()
        for number, hit in asked.cited.items():
            out.print(f"[dim]\\[{number}] {escape(_place(hit))}[/]")
    else:
        searched = count_documents(knowledge.catalog, readers, filters)
        out.print(f"The knowledge base does not hold an answer ({searched} documents searched).")
    raise typer.Exit(0 if asked.found else FAILED)


async def _print_answer(
    knowledge: Any,
    generator: Any,
    question: str,
    groups: frozenset[str],
    filters: Filters,
    asked: Any,
    quiet: bool,
) -> None:
    from rag.ask import ask as answer

    async for piece in answer(knowledge, generator, question, groups, asked, filters=filters):
        if not quiet:
            print(piece, end="", flush=True)
    if asked.text and not quiet:
        print()
    if generator is not None:
        await generator.close()


def _place(hit: Hit) -> str:
    path = " > ".join(hit.heading_path) or hit.title
    page = f", page {hit.page}" if hit.page else ""
    return f"{hit.title}: {path}{page}" if hit.heading_path[:1] != (hit.title,) else path + page
