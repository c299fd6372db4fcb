from __future__ import annotations

import pytest

from guardrails.detectors.facts import (
    holds,
    identifiers,
    negated,
    numbers,
    numbers_known,
    opposed,
    without_marks,
)
from guardrails.detectors.sentences import content_words, split_sentences, stem


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It takes 1,024 MB and 3.50 GHz.", {"1024", "3.50"}),
        ("Since v8.0.2 there are 08 of them", {"8.0.2", "8"}),
        ("8GB of 2.0", {"8", "2"}),
        ("none here", set()),
    ],
)
def test_numbers_of_a_claim(text: str, expected: set[str]) -> None:
    assert numbers(text) == expected


def test_a_passage_supports_other_spellings() -> None:
    known = numbers_known("three nodes, 1,024 MB, version 4.16.3, esx01, 8GB")
    assert {"3", "1024", "4.16", "4", "1", "8"} <= known
    assert "5" not in known


def test_marks_are_no_numbers() -> None:
    assert numbers(without_marks("1. It is so [1][2, 3].\n- Also (4)")) == set()


def test_identifiers() -> None:
    text = "Run `oc adm drain node` with --force, set spec.replicas and maxSurge in /etc/hosts."
    names = {"oc", "adm", "drain", "node", "force", "spec.replicas", "maxsurge", "etc/hosts"}
    assert identifiers(text) == names
    assert identifiers("The host restarts twice. It is so, e.g. here") <= {"e.g"}


def test_a_name_counts_only_as_a_whole() -> None:
    assert holds("set --force now", "force")
    assert holds("max_surge: 3", "max_surge")
    assert not holds("set --force-all", "force")
    assert not holds("reinforce", "force")
    assert not holds("super-force", "force")
    assert holds("rm -rf /", "rf")
    assert holds("see https://host.example/a-b.git", "host.example/a-b.git")


def test_placeholders_and_markdown_escapes_are_no_names() -> None:
    assert identifiers("Replace <user_name> in a\\_file and kubernetes.io/basic-auth") == {
        "a_file",
        "kubernetes.io/basic-auth",
    }


def test_polarity() -> None:
    assert negated("It does not restart")
    assert not negated("It cannot fail to do so without it")
    assert not negated("Not only that, it restarts")
    assert opposed("It is supported", "It is not supported")
    assert opposed("Enable the option", "Disable the option")
    assert not opposed("Do not enable it", "Disable it")
    assert not opposed("If it is not there, create it", "Create it")
    assert not opposed("It restarts", "It restarts at once")


def test_sentences() -> None:
    text = "First one, e.g. this. Second (two)! - third\nFourth is 4.5 long.\n\n* Fifth"
    assert split_sentences(text) == [
        "First one, e.g. this.",
        "Second (two)! - third",
        "Fourth is 4.5 long.",
        "* Fifth",
    ]
    assert all(len(sentence) <= 600 for sentence in split_sentences("word " * 1000))


def test_words() -> None:
    assert content_words("The hosts are configured") == ["host", "configur"]
    assert stem("configuration") == stem("configured") == "configur"
