"""The files of examples below the rails folder: which there are, and what stands where in them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from guardrails.config import GuardrailsConfig
from guardrails.detectors.canonical import canonical, flat
from guardrails.opening import CommandError

KINDS = "attack, benign, harm:<category>, topic:forbidden/<name> or topic:allowed/<name>"
HARMLESS = "harm:benign"
SIDES = ("forbidden", "allowed")
NAME = re.compile(r"\w[\w -]{0,59}")
"""No dots or slashes: a name becomes the name of a file."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One file of examples, which need not be there yet."""

    name: str
    path: Path

    @property
    def blocks(self) -> bool:
        """Whether its examples are to be blocked."""
        if self.name.startswith("topic:"):
            return self.name.startswith("topic:forbidden/")
        return self.group != "benign" and self.name != HARMLESS

    @property
    def group(self) -> str:
        return self.name.partition(":")[0]


@dataclass(frozen=True, slots=True)
class Example:
    """One line of a file."""

    kind: Kind
    number: int
    text: str

    @property
    def place(self) -> str:
        """As compilers name a line, so that editors can jump to it."""
        return f"{self.kind.path}:{self.number}"


def plain(text: str) -> str:
    """The spelling in which the rails compare."""
    return flat(canonical(text))


def all_kinds(config: GuardrailsConfig) -> list[Kind]:
    """Every kind that has a file, or must have one. Raises CommandError without a rails folder."""
    folder, section = config.rails_dir, config.input
    if not folder.is_dir():
        raise CommandError(
            f"{folder} is no folder; name the one with the rails: guardrails.rails_dir=FOLDER"
        )
    injection = section.injection
    found = [
        Kind("attack", folder / injection.attack_seeds),
        Kind("benign", folder / injection.benign_seeds),
    ]
    folders = {
        "attack:": folder / injection.more_attacks,
        "benign:": folder / injection.more_benign,
        "harm:": folder / section.harm.examples,
        **{f"topic:{side}/": folder / section.topics.folder / side for side in SIDES},
    }
    for group, holding in folders.items():
        found += [Kind(f"{group}{path.stem}", path) for path in sorted(holding.glob("*.txt"))]
    return found


def find_kind(config: GuardrailsConfig, name: str, create: bool = False) -> Kind:
    """The kind of that name; a topic may be new, with `create` a category of harm, too.

    Raises CommandError that says which there are.
    """
    known = {kind.name: kind for kind in all_kinds(config)}
    if name in known:
        return known[name]
    dashed = name.replace("_", "-")  # verdicts say self_harm, the file is self-harm.txt
    if dashed in known:
        return known[dashed]
    group, _, rest = name.partition(":")
    side, _, topic = rest.partition("/")
    if group == "topic" and side in SIDES and NAME.fullmatch(topic):
        return Kind(name, config.rails_dir / config.input.topics.folder / side / f"{topic}.txt")
    if group == "harm" and NAME.fullmatch(rest):
        if create:
            return Kind(name, config.rails_dir / config.input.harm.examples / f"{rest}.txt")
        raise CommandError(
            f"there is no category '{rest}' of harm, but {_listed(known, 'harm:')}; "
            "add --create if it is to be a new one"
        )
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise CommandError(f"--kind must be {KINDS}, not '{name}'{hint}")


def chosen_kinds(config: GuardrailsConfig, name: str) -> list[Kind]:
    """Those that `list --kind` names: one, a group such as `harm`, or all for an empty name."""
    if name not in {"", "attack", "benign", "harm", "topic"}:
        return [find_kind(config, name)]
    return [kind for kind in all_kinds(config) if kind.group == name or not name]


def same_side(config: GuardrailsConfig, kind: Kind) -> list[Kind]:
    """Where a text of `kind` would do the same: there it need not stand as well."""
    if kind.group not in {"attack", "benign"}:
        return [kind]
    return [other for other in all_kinds(config) if other.group == kind.group]


def opposites(config: GuardrailsConfig, kind: Kind) -> list[Kind]:
    """On the other side: where a text of `kind` must not stand as well."""
    there = [other for other in all_kinds(config) if other.blocks != kind.blocks]
    if kind.name == "benign":  # it speaks for a text before all rails that compare
        return there
    if kind.group == "benign":  # the topics know only the file above
        return [other for other in there if other.group != "topic"]
    own = [other for other in there if other.group == kind.group]
    return own + [
        other
        for other in there
        if other.name == "benign" or (other.group == "benign" and kind.group != "topic")
    ]


def read(kind: Kind) -> bytes:
    """The file as it is; empty where a topic is new. Raises CommandError."""
    try:
        data = kind.path.read_bytes()
        data.decode("utf-8")
    except FileNotFoundError:
        if kind.group in {"harm", "topic"}:
            return b""
        raise CommandError(
            f"{kind.path} is not there; correct guardrails.input.injection.{kind.name}_seeds"
        ) from None
    except UnicodeDecodeError as error:
        raise CommandError(f"{kind.path} is no UTF-8 text ({error}); save it as UTF-8") from error
    except OSError as error:
        raise CommandError(f"{kind.path} cannot be read: {error.strerror}") from error
    return data


def examples(kind: Kind, data: bytes | None = None) -> list[Example]:
    """Its examples in order; of other contents than the file's with `data`. Raises CommandError."""
    text = (read(kind) if data is None else data).decode("utf-8")
    return [Example(kind, number, line) for number, line in _lines(text)]


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """(number, example), by the rules of `read_lines`, which the rails read with."""
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            yield number, stripped


def _listed(known: dict[str, Kind], group: str) -> str:
    return ", ".join(name.removeprefix(group) for name in known if name.startswith(group))
