"""`python -m guardrails seed`: the examples that the rails compare a text with."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from guardrails.detectors.personal import find_personal
from guardrails.errors import GuardrailsError
from guardrails.opening import ERROR, CheckConfig, CommandError, fail
from guardrails.seed_change import Change, alone, plan_add, plan_remove, write
from guardrails.seed_effect import FAILED, Effect, effects, judge_texts
from guardrails.seed_files import KINDS, chosen_kinds, examples, find_kind
from guardrails.seed_report import (
    change_object,
    example_object,
    judged_object,
    printable,
    tell_change,
    tell_judged,
)
from settings import SettingsError, load

OTHERWISE = 1
_OVERRIDE = re.compile(r"(?:(?:guardrails|embedder)(?:\.\w+)+|data_dir)=")

app = typer.Typer(add_completion=False, no_args_is_help=True)

Texts = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="TEXT|KEY=VALUE",
        help="One example each; without any, one a line from --file or standard input. What begins "
        "like guardrails.KEY= or embedder.KEY= overrides the configuration.",
    ),
]
KindOption = Annotated[str, typer.Option("--kind", metavar="KIND", help=KINDS)]
FileOption = Annotated[
    Path | None, typer.Option("--file", help="Texts, one a line; # begins a comment.")
]
FoldOption = Annotated[
    bool,
    typer.Option(
        "--fold", help="Take a text with line breaks, or all of the input, as one line of text."
    ),
]
ConfigOption = Annotated[Path, typer.Option("--config", help="Configuration file")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object")]
DryRunOption = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="Write nothing; show each text's verdict as it is and as it would be."
    ),
]
CONFIG = Path("configs/chat.yaml")


@app.callback()
def seed() -> None:
    """Examples of what to block and what to let through: add, list, remove, test.

    A text is blocked where it is clearly more like the one kind than like the other. The kinds:

    attack: attempts on the instructions; benign: honest questions of your users

    harm:crime and the like: harmful requests; harm:benign: harmless texts that sound like them

    topic:forbidden/salaries, topic:allowed/payslips and the like: topics of your own

    attack:ideas, benign:messages and the like: further files, which come with vSage

    Exit status: 0 done, 1 a text is not judged as wished, 2 a mistake.
    """


@app.command()
def add(
    kind: KindOption,
    texts: Texts = None,
    file: FileOption = None,
    fold: FoldOption = False,
    create: Annotated[bool, typer.Option("--create", help="Make a new category of harm")] = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
    config: ConfigOption = CONFIG,
) -> None:
    """Add examples at the end of their file; all of them or, where one cannot be, none.

    What stands there already, in whatever spelling, is left as it is.

    Examples:

    python -m guardrails seed add --kind benign "Can I ignore alarm 17?" --dry-run

    python -m guardrails seed add --kind topic:forbidden/salaries --file questions.txt

    cat long-attack.txt | python -m guardrails seed add --kind attack --fold

    Exit status: 0 added, or there already; 1 with --dry-run where a text would still not be judged
    as wished; 2 a mistake, and nothing is written.
    """
    try:
        settings, given = _settings(config, texts)
        wanted = _collect(given, file, fold)
        where = find_kind(settings.guardrails, kind, create)
        with alone(settings.guardrails.rails_dir):
            change = plan_add(settings.guardrails, where, wanted, fold)
            if change.texts and not dry_run:
                write(change)
        seen = effects(settings, change) if dry_run and change.texts else []
    except (SettingsError, GuardrailsError, CommandError) as error:
        fail(str(error))
    for note in _personal(settings, change.texts):
        print(f"note: {note}", file=sys.stderr)
    _finish(change, "added", dry_run, as_json, seen)


@app.command()
def remove(
    kind: KindOption,
    texts: Texts = None,
    file: FileOption = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
    config: ConfigOption = CONFIG,
) -> None:
    """Remove examples, however they are spelled; all of them or, where one is not there, none.

    Example: python -m guardrails seed remove --kind benign "can i ignore alarm 17?"

    Exit status: 0 removed, 2 a mistake, such as a text that does not stand there.
    """
    try:
        settings, given = _settings(config, texts)
        wanted = _collect(given, file, fold=False)
        where = find_kind(settings.guardrails, kind)
        with alone(settings.guardrails.rails_dir):
            change = plan_remove(settings.guardrails, where, wanted)
            if not dry_run:
                write(change)
        seen = effects(settings, change, removed=True) if dry_run else []
    except (SettingsError, GuardrailsError, CommandError) as error:
        fail(str(error))
    _finish(change, "removed", dry_run, as_json, seen)


@app.command("list")
def list_examples(
    overrides: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...")] = None,
    kind: Annotated[
        str, typer.Option("--kind", metavar="KIND", help=f"{KINDS}; or harm, or topic, for all")
    ] = "",
    as_json: JsonOption = False,
    config: ConfigOption = CONFIG,
) -> None:
    """Every example with file and line, and how many there are of each kind.

    Example: python -m guardrails seed list --kind harm
    """
    try:
        settings = load(CheckConfig, config, overrides or [])
        kinds = chosen_kinds(settings.guardrails, kind)
        found = {one: examples(one) for one in kinds}
    except (SettingsError, GuardrailsError, CommandError) as error:
        fail(str(error))
    if as_json:
        counts = {one.name: len(lines) for one, lines in found.items()}
        lines = [example_object(example) for texts in found.values() for example in texts]
        _print_json({"counts": counts, "examples": lines})
        return
    for texts in found.values():
        for example in texts:
            print(f"{example.place}: {printable(example.text)}")
    for one, texts in found.items():
        print(f"{len(texts):>5}  {one.name}  {one.path}")
    if not found:
        print("no example of that kind")


@app.command("test")
def try_texts(
    texts: Texts = None,
    file: FileOption = None,
    fold: FoldOption = False,
    as_json: JsonOption = False,
    config: ConfigOption = CONFIG,
) -> None:
    """Judge texts as questions, and show the examples nearest to each on either side.

    Example: python -m guardrails seed test "Can I ignore alarm 17?"

    The headings of the documents, which a server knows besides, are not known here.

    Exit status: 0 all allowed, 1 one is blocked, 2 a mistake, or a rail that failed.
    """
    try:
        settings, given = _settings(config, texts)
        wanted = _collect(given, file, fold)
        judged = judge_texts(settings, wanted)
    except (SettingsError, GuardrailsError, CommandError) as error:
        fail(str(error))
    if as_json:
        _print_json({"texts": [judged_object(one) for one in judged]})
    else:
        for one in judged:
            tell_judged(one)
    if any(one.verdict.category in FAILED for one in judged):
        raise typer.Exit(ERROR)
    if not all(one.verdict.allowed for one in judged):
        raise typer.Exit(OTHERWISE)


def _settings(config: Path, given: Sequence[str] | None) -> tuple[CheckConfig, list[str]]:
    """The configuration, and which arguments are texts."""
    overrides = [one for one in given or () if _OVERRIDE.match(one)]
    texts = [one for one in given or () if not _OVERRIDE.match(one)]
    return load(CheckConfig, config, overrides), texts


def _collect(texts: Sequence[str], file: Path | None, fold: bool) -> list[str]:
    """Texts of the arguments, the file or standard input. Raises CommandError."""
    if texts and file is not None:
        raise CommandError("give texts or --file, not both")
    if texts:
        return list(texts)
    name = "standard input" if file is None else str(file)
    if file is None and sys.stdin.isatty():
        print("one text a line; Ctrl-D ends", file=sys.stderr)
    try:
        data = sys.stdin.buffer.read() if file is None else file.read_bytes()
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CommandError(f"{name} is not UTF-8 text") from error
    lines = [text] if fold else text.splitlines()
    found = [line for line in lines if line.strip() and (fold or not line.lstrip().startswith("#"))]
    if not found:
        raise CommandError(f"{name} holds no text; give one as an argument, or one a line")
    return found


def _personal(settings: CheckConfig, texts: Sequence[str]) -> list[str]:
    """Real questions make the best examples, and may name people."""
    regions = settings.guardrails.input.personal.phone_regions
    found = {span.kind for text in texts for span in find_personal(text, regions)}
    if not found:
        return []
    return [f"holds personal data or a secret ({', '.join(sorted(found))}): better make it up"]


def _print_json(value: object) -> None:
    print(json.dumps(value, ensure_ascii=False))


def _finish(
    change: Change, done: str, dry_run: bool, as_json: bool, seen: Sequence[Effect]
) -> None:
    """Say what was done or tried, and end with the exit status of that."""
    if as_json:
        _print_json(change_object(change, done, dry_run, seen))
    else:
        tell_change(change, done, dry_run, seen)
    if any(FAILED & {one.before.category, one.after.category} for one in seen):
        raise typer.Exit(ERROR)
    if not all(one.as_wished for one in seen):
        raise typer.Exit(OTHERWISE)
