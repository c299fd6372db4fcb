"""Keys, tokens and passwords in a text.

Formats that issuers gave their tokens come from detect-secrets (its patterns alone: none of its
checks against the issuer's server is called) and, for newer ones, from below. Passwords and
nameless tokens are found by what is said about them: `password=...`, `api_key: ...`, `Bearer ...`.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator

from detect_secrets.plugins.aws import AWSKeyDetector
from detect_secrets.plugins.azure_storage_key import AzureStorageKeyDetector
from detect_secrets.plugins.discord import DiscordBotTokenDetector
from detect_secrets.plugins.github_token import GitHubTokenDetector
from detect_secrets.plugins.gitlab_token import GitLabTokenDetector
from detect_secrets.plugins.mailchimp import MailchimpDetector
from detect_secrets.plugins.pypi_token import PypiTokenDetector
from detect_secrets.plugins.sendgrid import SendGridDetector
from detect_secrets.plugins.slack import SlackDetector
from detect_secrets.plugins.square_oauth import SquareOAuthDetector
from detect_secrets.plugins.stripe import StripeDetector
from detect_secrets.plugins.telegram_token import TelegramBotTokenDetector

from guardrails.detectors.identifiers import VALIDATED, WEAK, Found

# Not all of them: npm's takes quadratic time, those of IBM and Artifactory match mere hashes.
PLUGINS = (
    AWSKeyDetector,
    AzureStorageKeyDetector,
    DiscordBotTokenDetector,
    GitHubTokenDetector,
    GitLabTokenDetector,
    MailchimpDetector,
    PypiTokenDetector,
    SendGridDetector,
    SlackDetector,
    SquareOAuthDetector,
    StripeDetector,
    TelegramBotTokenDetector,
)
ISSUED: tuple[re.Pattern[str], ...] = (
    *(regex for plugin in PLUGINS for regex in plugin.denylist),
    re.compile(
        r"(?<![\w-])(?:github_pat_\w{22,255}|sk-(?:proj-|ant-|svcacct-)?[\w-]{20,255}|"
        r"AIza[\w-]{35}|hf_[A-Za-z0-9]{34}|npm_[A-Za-z0-9]{36}|nvapi-[\w-]{20,120}|dckr_pat_[\w-]{20,60}|"
        r"hv[sb]\.[\w-]{24,255}|dop_v1_[a-f0-9]{64}|sha256~[\w-]{43}|glc_[\w+/=]{32,255}|"
        r"xox[a-z](?:\.xox[a-z])?-[\w-]{20,255}|xapp-\d-[\w-]{20,255}|sk_test_[A-Za-z0-9]{20,255}|"
        r"AGE-SECRET-KEY-1[A-Z0-9]{58}|SK[0-9a-f]{32}|ya29\.[\w-]{30,255}|ATATT3[\w=-]{50,255})"
    ),
    # Three parts of base64url, the first two of them JSON objects.
    re.compile(r"(?<![\w-])eyJ[\w-]{8,4000}\.eyJ[\w-]{8,8000}\.[\w-]{10,2000}"),
)
KEY_BEGIN = re.compile(r"-----BEGIN[ A-Z0-9]{0,40}PRIVATE KEY(?: BLOCK)?-----")
KEY_END = re.compile(r"-----END[ A-Z0-9]{0,40}-----")
KEY_LINES = re.compile(r"(?:(?:\s|\\n)*[A-Za-z0-9+/=]{16,})*")
KEY_MATERIAL = re.compile(r"[A-Za-z0-9+/=]{24}")

SECRET_NAME = (
    r"(?P<password>pass(?:word|wd|phrase|code|wort)|pwd|kennwort|contrase[nñ]a|mot de passe|senha)|"
    r"(?P<token>secret|token|credentials?|"
    r"(?:api|access|secret|private|auth|encryption|signing|license|licence|account|shared|storage)"
    r"[ _.-]?key|_key)"
)
ASSIGNED = re.compile(
    rf"(?:{SECRET_NAME})[\"'`\])*]{{0,3}}[ \t]{{0,3}}(?:(?P<sign>:=|=>|==?|:)[ \t]{{0,3}}|"
    r"(?P<said>[ ](?:is|was|ist|es|est)[ :]{1,3}|[ ]))"
    r"(?:(?P<quote>[\"'`])(?P<quoted>[^\"'`\n]{3,300})[\"'`]|(?P<bare>[^\s\"'`,;<>]{4,300}))",
    re.IGNORECASE,
)
HEADER = re.compile(r"\b(?:Bearer|Basic)[ ]{1,3}(?P<bare>[A-Za-z0-9._~+/-]{16,2000}={0,2})", re.I)
IN_URL = re.compile(r"(?<=://)[^\s/:@\"'<>]{1,64}:(?P<bare>[^\s/@\"'<>]{3,200})@")
PLACEHOLDER = re.compile(
    r"[<\[{(%*$/.\\#&-]|.*(?:\$\{|\{\{|\.\.\.|…|://|\(|xxxx|\*\*\*)|"
    r"(?:your|my|example|sample|dummy|test|change|replace|insert|redact|enter|some|new|old)"
    r"[_ -]?|(?:.*[_-])?(?:pass(?:word|wd|phrase)?|secret|token|key|credentials?|value|here)\d?$|"
    r"(?:none|null|true|false|yes|no|required|optional|string|str|text|empty|base64|"
    r"hunter2|admin|root|vmware\d*!?|welcome\d*|p[a@]ss?w[o0]rd\W?\d*|foo|bar|foobar|secret\d*)\W*$",
    re.IGNORECASE,
)
# `my-registry-pull-secret`, `kube.system/v1`: names of things, not secrets.
NAME = re.compile(r"(?:[A-Za-z]+|v?\d{1,3})(?:[-_./:@]+(?:[A-Za-z]+\d{0,2}|v?\d{1,3}))*$")
PUBLIC_EXAMPLE = re.compile(r"EXAMPLE|x{6}|0{8}|123456789", re.IGNORECASE)
FEWEST_CHARS, FEWEST_BITS = 12, 3.0


def find_keys(text: str) -> Iterator[Found]:
    """Private key blocks and tokens of a known format. Examples that say so are passed over."""
    yield from _private_keys(text)
    for regex in ISSUED:
        for match in regex.finditer(text):
            whole = 1 if regex.groups == 1 and regex.pattern.startswith("aws") else 0
            value = match[whole]
            inside = text[match.start() - 1 : match.start()].isalnum() and match.start() > 0
            if not inside and len(set(value)) > 8 and not PUBLIC_EXAMPLE.search(value):
                yield Found(*match.span(whole), "key", VALIDATED)


def _private_keys(text: str) -> Iterator[Found]:
    at = 0
    closed = True
    while begin := KEY_BEGIN.search(text, at):
        end = KEY_END.search(text, begin.end()) if closed else None
        closed = end is not None
        lines = KEY_LINES.match(text, begin.end())
        at = end.end() if end else lines.end() if lines else begin.end()
        if KEY_MATERIAL.search(text, begin.end(), at):
            yield Found(begin.start(), at, "key", VALIDATED)


def find_passwords(text: str) -> Iterator[Found]:
    """Values that are said to be a password or a token. The name in front is not part of it."""
    for match in ASSIGNED.finditer(text):
        value = match["quoted"] or match["bare"].rstrip(".,;:)]}")
        if match["said"] and match["said"] == " " and not _is_option(text, match):
            continue
        if text[max(0, match.start() - 8) : match.start()].lower().rstrip("_- ").endswith("public"):
            continue
        place = match.start("quoted" if match["quoted"] else "bare")
        secret = _is_password(value, match) if match["password"] else _is_token(value)
        if secret:
            yield Found(place, place + len(value), "password", WEAK)
    for regex in (HEADER, IN_URL):
        for match in regex.finditer(text):
            value = match["bare"]
            if not PLACEHOLDER.match(value) and (regex is IN_URL or _is_token(value)):
                yield Found(*match.span("bare"), "password", WEAK)


def _is_option(text: str, match: re.Match[str]) -> bool:
    """`--password value`, `-token value`."""
    word = re.search(r"[\w-]*$", text[max(0, match.start() - 30) : match.start()])
    return word is not None and word[0].startswith("-")


def _is_password(value: str, match: re.Match[str]) -> bool:
    if len(value) < 4 or PLACEHOLDER.match(value):
        return False
    kinds = sum(bool(re.search(kind, value)) for kind in ("[a-z]", "[A-Z]", r"\d", r"[^\w\s.]"))
    if " " in value and kinds < 3:  # a sentence in quotation marks
        return False
    if match["sign"] in {"=", ":=", "=="} and not match["said"]:
        return kinds > 1 or not NAME.match(value) or len(value) > 5
    return kinds > 2 or (kinds > 1 and bool(re.search(r"\d", value)))


def _is_token(value: str) -> bool:
    """Long and disordered. A word, a path or the name of a thing is not."""
    if len(value) < FEWEST_CHARS or " " in value or PLACEHOLDER.match(value) or NAME.match(value):
        return False
    mixed = re.search(r"\d", value) and re.search(r"[A-Za-z]", value)
    return bool(mixed) and entropy(value) >= FEWEST_BITS and not PUBLIC_EXAMPLE.search(value)


def entropy(value: str) -> float:
    """Shannon's, in bits a character."""
    shares = [count / len(value) for count in Counter(value).values()]
    return -sum(share * math.log2(share) for share in shares)
