"""Secrets in texts: known forms of keys and tokens, and what stands behind a word like ``password``.

A message that only speaks of secrets ("failed to fetch anonymous token: unexpected status", ``max_tokens=4096``, an
image ``team/token-server:v1``) must stay as it is: it may say why a run failed.
"""

import re
from typing import Any

import msgspec

REDACTED = "[redacted]"

_QUOTE = r"(?:\\*[\"'])"
_BARE = r"[^\s\"',;\\&]"
_NOT_YET = r"(?!\[redacted\])"
# Numbers and such words are no secrets behind "token" and the like; behind "password" anything is one.
_HARMLESS = r"(?!(?:-?[\d.,]+%?|true|false|none|null|nil)(?:[\s\"',;\\&)\]}]|\Z))"
_FIRST = r"[a-z0-9_.-]*(?:passw(?:or)?d|passphrase)s?"
_SECOND = (
    r"[a-z0-9_.-]*(?:secret|token|credential|signature|(?:api|access|account|auth|private|secret|signing)[_-]?key)s?"
)
_SECRETS = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    r"|\b(?:eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"  # JSON web token
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}\b"  # AWS access key id
    r"|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,}|hf_[A-Za-z0-9]{20,}"
    r"|sk-[A-Za-z0-9_-]{20,}|xox[abeprs]-[A-Za-z0-9-]{10,}|AIza[A-Za-z0-9_-]{35}|nvapi-[A-Za-z0-9_-]{20,}"
    r"|dapi[0-9a-f]{32}\b)"
    r"|(?<=://)[^/\s:@\"\\]*:[^/\s@\"\\]+(?=@)"  # user:password in a URL
    rf"|(?P<url>[?&](?i:sig|token|key)=){_NOT_YET}{_BARE}{{8,}}"
    # All below begins where a word does; what none of these words is in is passed over at once.
    r"|(?<![A-Za-z0-9_.-])(?i:(?=[a-z0-9_.-]*(?:passw|passph|secret|token|credential|signature|key|bearer|authoriz))(?:"
    rf"(?P<bearer>bearer\s+){_NOT_YET}(?=\S{{0,64}}\d|\S{{24}})[a-z0-9._~+/=-]{{8,}}"
    rf"|(?P<header>authorization{_QUOTE}?[ \t]*[=:][ \t]*{_QUOTE}?(?:basic|token|negotiate)[ \t]+)"
    rf"{_NOT_YET}{_BARE}{{4,}}"
    # In quotes it goes to the closing one.
    rf"|(?P<quoted>(?:{_FIRST}|{_SECOND}(?={_QUOTE}?[ \t]*[=:][ \t]*{_QUOTE}{_HARMLESS}))"
    rf"{_QUOTE}?[ \t]*[=:][ \t]*{_QUOTE}){_NOT_YET}[^\"'\\\n]{{4,}}"
    rf"|(?P<password>{_FIRST}[ \t]*[=:][ \t]*){_NOT_YET}{_BARE}{{4,}}"
    rf"|(?P<key>{_SECOND}[ \t]*=[ \t]*){_NOT_YET}{_HARMLESS}{_BARE}{{4,}}"
    # With a colon it may be a sentence or an image: only what looks drawn by lot is one.
    rf"|(?P<told>(?<!/){_SECOND}[ \t]*:[ \t]*|(?:{_FIRST}|{_SECOND})[ \t]+is[ \t]+|--(?:{_FIRST}|{_SECOND})[ \t]+)"
    rf"{_NOT_YET}{_HARMLESS}(?={_BARE}{{0,64}}\d){_BARE}{{6,}}))",
    re.DOTALL,
)
# One of these is in the small letters of every text that the pattern can match. Looking for them first costs a tenth of
# the pattern, and most messages have none.
_HINTS = (
    "key", "oken", "ecret", "assw", "assphrase", "redential", "uthoriz", "earer", "ignature", "sig=", "eyj", "akia",
    "asia", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "hub_pat_", "glpat-", "hf_", "xox", "aiza", "nvapi-", "dapi",
    "-----begin",
)  # fmt: skip
_SK = re.compile(r"\bsk-[A-Za-z0-9_-]{20}")  # "sk-" itself is in every "task-1"
_KEPT = ("url", "bearer", "header", "quoted", "password", "key", "told")


def redact(text: str) -> str:
    """The text with known forms of secrets replaced by ``[redacted]``; the same object where it holds none."""
    return _SECRETS.sub(_hide, text) if _hinted(text) else text


def redact_json(data: bytes) -> bytes:
    """JSON with every string in it redacted; the same object where nothing can be one."""
    if not _hinted(data.decode()):
        return data
    found = msgspec.json.decode(data)
    safe = _each(found)
    return data if safe == found else msgspec.json.encode(safe)


def _hinted(text: str) -> bool:
    small = text.lower()
    for hint in _HINTS:
        if hint in small:
            return True
    return ("@" in small and "://" in small) or ("sk-" in small and _SK.search(text) is not None)


def _hide(match: re.Match[str]) -> str:
    return next((kept for kept in match.group(*_KEPT) if kept), "") + REDACTED


def _each(value: Any) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {key: _each(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_each(item) for item in value]
    return value
