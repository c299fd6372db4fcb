"""What is found as personal data or secret, what is not, and what becomes of it."""

from __future__ import annotations

import random
import string
import time
from functools import partial
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardrails.detectors.personal import (
    KINDS,
    check_answer,
    check_question,
    find_personal,
    mask,
)
from guardrails.personal_config import REGIONS, PersonalConfig, PersonalOutputConfig
from guardrails.schema import Context, Verdict

ALNUM = string.ascii_letters + string.digits
find = partial(find_personal, regions=REGIONS)


def drawn(length: int, letters: str = ALNUM, seed: int = 1) -> str:
    return "".join(random.Random(seed).choices(letters, k=length))


def kinds(text: str) -> list[str]:
    return [span.kind for span in find(text)]


def values(text: str) -> list[tuple[str, str]]:
    return [(span.kind, text[span.start : span.end]) for span in find(text)]


def question(text: str, *earlier: str, **actions: str) -> Verdict:
    section = PersonalConfig.model_validate(actions)
    return check_question(
        text,
        Context(earlier=earlier),
        find=find,
        actions={kind: getattr(section, kind) for kind in KINDS},
        max_chars=section.max_chars,
    )


def answer(text: str, context: Context, **actions: str) -> Verdict:
    section = PersonalOutputConfig.model_validate(actions)
    return check_answer(
        text,
        context,
        find=find,
        actions={kind: getattr(section, kind) for kind in KINDS},
        max_chars=section.max_chars,
    )


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("email", "jane.doe+ops@acme-corp.co.uk"),
        ("email", "JÜRGEN@müller.de"),
        ("email", "x_y@mail.acme.io"),
        ("phone", "+1 415 555 2671"),
        ("phone", "+44 (0)20 7946 0958"),
        ("phone", "+49-30-901820"),
        ("phone", "001-415-555-2671x123"),
        ("phone", "(415) 555-2671"),
        ("phone", "415.555.2671"),
        ("phone", "020 7946 0958"),
        ("phone", "06 12 34 56 78"),
        ("card", "4111111111111111"),
        ("card", "5555 5555 5555 4444"),
        ("card", "3782-822463-10005"),
        ("card", "6011 1111 1111 1117"),
        ("iban", "DE89370400440532013000"),
        ("iban", "GB82 WEST 1234 5698 7654 32"),
        ("iban", "nl91 abna 0417 1643 00"),
        ("iban", "FR14-2004-1010-0505-0001-3M02-606"),
        ("ip", "91.189.91.38"),
        ("ip", "2a00:1450:4001:81b::200e"),
        ("national_id", "219-09-9998"),
        ("national_id", "AB 12 34 56 C"),
        ("national_id", "RSSMRA85T10A562S"),
        ("national_id", "529.982.247-25"),
        ("national_id", "756.9217.0769.85"),
        ("national_id", "2 69 05 49 588 157 80"),
    ],
)
@pytest.mark.parametrize("around", ["{}", "Please note {} for later.", "a ({}), b", "it is: {}\n"])
def test_found_whole(kind: str, value: str, around: str) -> None:
    assert values(around.format(value)) == [(kind, value)]


@pytest.mark.parametrize(
    "value",
    [
        "AKIA" + drawn(16, string.ascii_uppercase + string.digits),
        "ghp_" + drawn(36),
        "github_pat_" + drawn(22) + "_" + drawn(59),
        "glpat-" + drawn(20),
        "xoxb-" + drawn(12, string.digits) + "-" + drawn(13, string.digits) + "-" + drawn(24),
        "https://hooks.slack.com/services/T" + drawn(8) + "/B" + drawn(8) + "/" + drawn(24),
        "sk_live_" + drawn(24),
        "sk-proj-" + drawn(48),
        "AIza" + drawn(35),
        "hf_" + drawn(34),
        "npm_" + drawn(36),
        "nvapi-" + drawn(64),
        "sha256~" + drawn(43),
        "hvs." + drawn(24),
        "SG." + drawn(22) + "." + drawn(43),
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI3MzE5In0." + drawn(43),
        "-----BEGIN RSA PRIVATE KEY-----\n"
        + "\n".join(drawn(64, seed=n) for n in range(4))
        + "\n-----END RSA PRIVATE KEY-----",
    ],
)
def test_keys_are_found_whole(value: str) -> None:
    assert values(f"I use {value} here") == [("key", value)]


def test_a_key_that_breaks_off_is_found() -> None:
    text = "-----BEGIN OPENSSH PRIVATE KEY-----\n" + drawn(64) + "\n" + drawn(64)
    assert values(text) == [("key", text)]
    assert kinds("What does -----BEGIN PRIVATE KEY----- mean?") == []


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("password=Sup3rS3cret!", "Sup3rS3cret!"),
        ("password: 'T0p Secret?1'", "T0p Secret?1"),
        ("DB_PASSWORD=letmein", "letmein"),
        ("my password is Tr0ub4dor&3.", "Tr0ub4dor&3"),
        ("login --password Qx7_kk2p", "Qx7_kk2p"),
        ('{"api_key": "9f86d081884c7d659a2feaa0c55ad015"}', "9f86d081884c7d659a2feaa0c55ad015"),
        ("client_secret: " + drawn(32), drawn(32)),
        ("Authorization: Bearer " + drawn(40), drawn(40)),
        ("postgres://vsage:hG7dk2Pq@db.corp/x", "hG7dk2Pq"),
        ("aws_secret_access_key = '" + drawn(40) + "'", drawn(40)),
    ],
)
def test_said_to_be_secret(text: str, value: str) -> None:
    assert [found for _, found in values(text)] == [value]


@pytest.mark.parametrize(
    "text",
    [
        "vCenter 8.0.3.00100 and ESXi 8.0.3, build 24022510",
        "upgrade the driver from 535.161.8.1 to 550.54.15.2",
        "the id is 550e8400-e29b-41d4-a716-446655440000",
        "UUID 12345678-1234-1234-1234-123456789012",
        "MAC 00:50:56:9a:3b:4c or 00-50-56-9A-3B-4C",
        "commit 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b",
        "image@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "bug 3141592653, KB 2145345, PR 1234567",
        "PCI 0000:3b:00.0 and 0000:af:00.1",
        "WWN 20:00:00:25:b5:00:00:01 naa.600508b1001c4d2b",
        "VMware-42 2e 1f 8a 5c 7b 9d 0e-11 22 33 44 55 66 77 88",
        "2026-11-24 10:33:22.123, 2026-11-24T10:33:22Z, 24.11.2026 10:33",
        "1732444402123 and 1732444402 and 0x7ffdeadbeef1234",
        "ports 8080, 443 and 30000-32767",
        "10.0.0.1, 192.168.0.1, 172.16.4.0/24, 127.0.0.1, fe80::1, ::1, 2001:db8::1",
        "user@example.com, admin@host.example, administrator@vsphere.local",
        "git@github.com:acme/repo.git and ssh root@esx01.acme.com",
        "getty@tty1.service and values@prod.yaml",
        "std::vector<int> a::b(c::d)",
        "password: changeme, password=<password>, password=${DB_PASSWORD}, password: {{ pw }}",
        "password: required, the password is wrong, password policy, passwords: rotate",
        "secretName: my-registry-pull-secret, token: projected, secret: db-credentials",
        "max_tokens=200, token_ttl=3600, password_file=/run/secrets/db",
        "AKIAIOSFODNN7EXAMPLE and ghp_" + "x" * 36,
        "8.8.8.8 and 1.1.1.1",
        "4111 1111 1111 1112",
        "DE89370400440532013001",
        "000-12-3456 and 666-12-3456",
        "memory 1024 2048 4096 8192 MB",
        "cpu: 100 200 300 400",
        "serial 7CG1234 5678 VK9012",
    ],
)
def test_not_found(text: str) -> None:
    assert values(text) == []


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("jane＠acme.io", "email"),
        ("ja\u200bne@acme.io", "email"),
        ("４１１１ １１１１ １１１１ １１１１", "card"),
        ("+1\u00a0415\u2011555\u20112671", "phone"),
    ],
)
def test_other_spellings(text: str, kind: str) -> None:
    assert question(f"Is it {text}?").text == f"Is it <{kind.upper()}_1>?"


def test_masks_are_consistent() -> None:
    text = "jane@acme.io, bob@acme.io and JANE@acme.io; 4111 1111 1111 1111 or 4111111111111111"
    verdict = question(text)
    assert verdict.text == "<EMAIL_1>, <EMAIL_2> and <EMAIL_1>; <CARD_1> or <CARD_1>"
    assert (verdict.allowed, verdict.category, verdict.score) == (True, "personal_data", 1.0)
    assert verdict.reason == "masked email (3), card (2)"


def test_masks_go_on_through_a_conversation() -> None:
    assert question("And bob@acme.io, jane@acme.io?", "Who is jane@acme.io?").text == (
        "And <EMAIL_2>, <EMAIL_1>?"
    )
    # The reply of the assistant shows masks; they stand for the values that had them.
    earlier = ("Who is jane@acme.io?", "<EMAIL_1> is not in the documents.")
    assert question("And bob@acme.io?", *earlier).text == "And <EMAIL_2>?"
    # Where the beginning is missing, a mask that is still to be seen is not given twice.
    assert question("And bob@acme.io?", earlier[1]).text == "And <EMAIL_2>?"


def test_what_is_allowed_stays() -> None:
    text = "Why is 91.189.91.38 slow?"
    assert question(text) == Verdict(True, "check personal data", "", text)
    assert question(text, ip="mask").text == "Why is <IP_1> slow?"


def test_refused_before_masked_and_nothing_quoted() -> None:
    text = "jane@acme.io has 4111111111111111 and password=Sup3rS3cret!"
    verdict = question(text, card="refuse", password="refuse")
    assert (verdict.allowed, verdict.category, verdict.text) == (False, "secret", text)
    assert verdict.reason == "holds password (1), card (1)"


def test_weak_patterns_score_less() -> None:
    assert question("password=Sup3rS3cret!").score < question("jane@acme.io").score == 1.0


def test_answers_may_say_what_they_rest_on() -> None:
    context = Context(
        question="Who is jane@acme.io?", passages=("Call (415) 555-2671 or mail help@acme.io.",)
    )
    for text in ("Mail HELP@acme.io.", "It is jane@acme.io.", "Call 415-555-2671."):
        assert answer(text, context).allowed
    verdict = answer("Mail bob@acme.io.", context)
    assert (verdict.allowed, verdict.category) == (False, "personal_data")
    masked = answer("Mail bob@acme.io or help@acme.io.", context, email="mask")
    assert (masked.allowed, masked.text) == (True, "Mail <EMAIL_1> or help@acme.io.")


def test_a_longer_text_is_blocked_unread() -> None:
    verdict = question("a" * 60_000)
    assert (verdict.allowed, verdict.category) == (False, "too_long")


def test_mask_without_spans() -> None:
    assert mask("as it was", [], (), find) == "as it was"


ADVERSARIAL = [
    "a", "1 ", "@.", "a@", "a.b@", "1.", "1", "12-", ":", "2a:", "eyJ", "eyJaaaaaaaaa.", "://",
    "://a:", "password=", "password ", "_key", "-----BEGIN PRIVATE KEY-----", "xoxb-1-", "Bearer ",
    "DE89 ", "(02) ", "+1 ", "4111 ", "phone 5", "aws key '", "sk-", "0 ", "٣", "\ud800", "\x00",
    "\u200b", '"', "-", "ssh ", "ssh a@b.co ", "pypi-AgEIcHlwaS5vcmc", "555-123-4567 ",
]  # fmt: skip


@pytest.mark.parametrize("piece", ADVERSARIAL)
def test_time_grows_with_the_length_alone(piece: str) -> None:
    text = (piece * (100_000 // len(piece) + 1))[:100_000]
    start = time.process_time()
    find(text)
    assert time.process_time() - start < 20


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(ADVERSARIAL), min_size=1, max_size=4))
def test_time_of_mixtures(pieces: list[str]) -> None:
    text = ("".join(pieces) * 20_000)[:20_000]
    start = time.process_time()
    find(text)
    assert time.process_time() - start < 20


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(codec=None), max_size=200))
def test_any_text_can_be_read(text: str) -> None:
    spans = find(text)
    assert all(0 <= span.start < span.end <= len(text) for span in spans)
    assert all(a.end <= b.start for a, b in pairwise(spans))
    question(text)


def test_a_megabyte() -> None:
    start = time.process_time()
    find("How do I add host esx01 to the cluster? " * 25_000)
    assert time.process_time() - start < 20
