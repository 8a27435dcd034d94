"""HTTP to a receiver, for every sink that speaks it: who we are, whom we trust, and what an answer means for delivery.

What a person must set right (a wrong password, address or certificate) is :class:`Temporary`: nothing may be lost by
it. :class:`Permanent` is only what the receiver says of the content. No error, log line or ``repr`` holds a secret:
addresses are shown without what may be one, and a receiver that repeats ours in its answer is not repeated.
"""

import base64
import datetime as dt
import re
import ssl
from collections.abc import Callable, Collection, Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path

import aiohttp
import msgspec
from multidict import CIMultiDict
from yarl import URL

from pipetrail import __version__
from pipetrail import tls as contexts
from pipetrail.model import Micros, Permanent, Temporary
from pipetrail.model.protocols import Failure
from pipetrail.model.times import SECOND, micros
from pipetrail.sinks.settings import Auth, HttpSettings, Tls

ANSWER = 1 << 20
"""How many bytes of an answer are read, unless a sink asks for more."""

_CONNECT_SECONDS = 10.0
_SHOWN = 200
_LOOKED_AT = 1 << 16  # bytes of an answer, to find what to show: where it is cut, half of a secret may be left
_OF_THE_CONTENT = frozenset({400, 413, 422})
_FAILURES: dict[int, Failure] = {401: "auth", 403: "auth", 407: "auth", 408: "timeout", 425: "server", 429: "limited"}
_SEGMENT = re.compile(r"(?=[^/]*\d)(?=[^/]*[A-Za-z])[^/]{16,}|[^/]{32,}")
_UNFIT = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class Reply(msgspec.Struct, frozen=True):
    """An answer. ``whole`` is False where the body is longer than what was read of it."""

    status: int
    headers: Mapping[str, str]
    """By their names, whatever the letters."""
    body: bytes
    whole: bool = True


def shown(address: str) -> str:
    """An address for people: without user, query and fragment, and without parts of the path that may be a token.

    Many chat and paging services have the secret in the path of the address.
    """
    try:
        url = URL(address)
        path = "/".join("…" if _SEGMENT.fullmatch(part) else part for part in url.path.split("/"))
        port = f":{url.port}" if url.explicit_port else ""
        host = f"[{url.host}]" if ":" in (url.host or "") else url.host
    except ValueError:
        return "an address that can't be read"
    return clean(f"{url.scheme}://{host}{port}{path}") + ("?…" if url.query_string else "")


def clean(text: str, most: int = _SHOWN) -> str:
    """The first ``most`` characters of a foreign text, on one line and without control characters."""
    words = " ".join("".join(char if char.isprintable() else " " for char in text[: 4 * most]).split())
    return words if len(words) <= most else words[: most - 1] + "…"


def checked(address: str, field: str) -> str:
    """The address, if it is one of HTTP.

    :param field: what it is called in the settings.
    :raises ValueError: when it is none; with no word of it, since it may hold a secret.
    """
    try:
        url = URL(address)
        fine = url.scheme in ("http", "https") and bool(url.host) and not _UNFIT.search(address)
        _ = url.port
    except ValueError:
        fine = False
    if not fine:
        raise ValueError(f"{field}: an address such as https://host:port/path is needed")
    return address


def check_header(field: str, name: str) -> None:
    """Whether this can be the name of a header. :raises ValueError: when it can't."""
    if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
        raise ValueError(f"{field}: {clean(name)!r} is no name of a header")


def below(address: str, path: str) -> str:
    """The address of a path below another address. A query stays at its end."""
    head, _, query = address.partition("?")
    return head.rstrip("/") + path + (("&" if "?" in path else "?") + query if query else "")


def seconds(text: str, now: Micros) -> float | None:
    """How many seconds a Retry-After asks to wait, from a number or a date; None where it is neither.

    :param now: what a date is compared with, in microseconds.
    """
    text = text.strip()
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text):
        return float(text)
    try:
        at = parsedate_to_datetime(text[:64])
    except (ValueError, IndexError, OverflowError):
        return None
    at = at.replace(tzinfo=dt.UTC) if at.tzinfo is None else at
    return max(0.0, (micros(at) - now) / SECOND)


class Http:
    """Requests to the receivers of one sink. :meth:`start` it first; :meth:`stop` is safe at any time.

    :param now: the wall clock in microseconds.
    :param answer: how many bytes of an answer are read at most.
    :param secrets: what else must not be shown, such as a signing key.
    :raises ValueError: with what is wrong in the settings, as ``field: what``.
    """

    def __init__(
        self, settings: HttpSettings, now: Callable[[], Micros], *, answer: int = ANSWER, secrets: Collection[str] = ()
    ) -> None:
        self.url = checked(settings.url, "url")
        if URL(settings.url).user is not None or URL(settings.url).password is not None:
            raise ValueError("url: write the user and the password under auth, not in the address")
        self._proxy = None if settings.proxy is None else checked(settings.proxy, "proxy")
        if settings.timeout <= 0:
            raise ValueError("timeout: a number of seconds above 0 is needed")
        _check_tls(settings.tls)
        self._tls = settings.tls
        self._now, self._answer = now, answer
        self._timeout = aiohttp.ClientTimeout(
            total=settings.timeout, sock_connect=min(settings.timeout, _CONNECT_SECONDS)
        )
        self._headers = CIMultiDict({"User-Agent": f"pipetrail/{__version__}", "Accept-Encoding": "identity"})
        self._headers.update(_headers(settings.headers))
        self._headers.update(_authorization(settings.auth))
        self._secrets = _secrets(settings, self._headers, secrets)
        self._session: aiohttp.ClientSession | None = None
        self._trusted: tuple[tuple[int, ...], ssl.SSLContext] | None = None

    def __repr__(self) -> str:
        return f"<Http {shown(self.url)}>"

    async def start(self) -> None:
        """Open the session.

        :raises Temporary: when a certificate can't be used.
        """
        if self._session is None:
            self._context()
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
                timeout=self._timeout,
            )

    async def stop(self) -> None:
        """Close it."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def request(
        self,
        method: str,
        target: str = "",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        fine: Collection[int] = (),
    ) -> Reply:
        """Send one request. Redirects are not followed: what was sent would go to where nobody said it should.

        :param target: an address; or a path (``/_bulk``) below the ``url`` of the settings, which itself is empty.
        :param fine: statuses beside 2xx that are returned like them.
        :raises Temporary: when there is no answer, or one that says to try again or to call a person.
        :raises Permanent: when the receiver says that the content is wrong (400, 413, 422).
        """
        if self._session is None:
            raise RuntimeError("the session was not started")
        address = below(self.url, target) if target.startswith("/") else target or self.url
        context = self._context()
        try:
            async with self._session.request(
                method,
                address,
                data=body,
                headers=self._with(headers or {}),
                ssl=context,
                proxy=self._proxy,
                allow_redirects=False,
            ) as answer:
                reply = await self._read(answer)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            failure, text = _told(error, self._timeout.total)
            if failure == "tls":
                self._trusted = None
            raise Temporary(f"{shown(address)}: {self.hidden(text)}", failure=failure) from None
        if 200 <= reply.status < 300 or reply.status in fine:
            return reply
        raise self._error(address, reply)

    def acknowledged(self, reply: Reply) -> None:
        """Whether a 2xx means what it should, where a receiver has no answer of its own form.

        A page is that of a login in between; some services say 200, and the error in the body.

        :raises Temporary: when it does not.
        """
        kind = reply.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        body = reply.body.strip()
        if body[:64].lower().startswith((b"<!doctype html", b"<html")):
            problem = "a web page instead of an acknowledgement; is there a login in between?"
        elif body and reply.whole and kind.endswith("json"):
            try:
                found = msgspec.json.decode(body)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                problem = "something that should be JSON and is not"
            else:
                if not isinstance(found, dict) or not _complains(found):
                    return
                problem = "an error"
        else:
            return
        raise Temporary(
            f"{shown(self.url)}: HTTP {reply.status}, but in it {problem}: {self.said(reply)}", failure="answer"
        )

    def hidden(self, text: str, most: int = _SHOWN) -> str:
        """A foreign text for people: what is ours and secret replaced, at most ``most`` characters, on one line."""
        for secret in self._secrets:
            text = text.replace(secret, "…")
        return clean(text, most)

    def told(self, body: bytes) -> str:
        """What the body of an answer says, for people; empty where it says nothing."""
        return self.hidden(body[:_LOOKED_AT].decode("utf-8", "replace"))

    def said(self, reply: Reply) -> str:
        """What an answer says, for people."""
        return self.told(reply.body) or "nothing more"

    def _with(self, headers: Mapping[str, str]) -> CIMultiDict[str]:
        found = self._headers.copy()
        found.update(headers)
        return found

    async def _read(self, answer: aiohttp.ClientResponse) -> Reply:
        found = bytearray()
        async for chunk in answer.content.iter_any():
            found += chunk
            if len(found) > self._answer:
                answer.close()
                return Reply(answer.status, answer.headers, bytes(found[: self._answer]), whole=False)
        return Reply(answer.status, answer.headers, bytes(found))

    def _error(self, address: str, reply: Reply) -> Temporary | Permanent:
        status = reply.status
        text = f"{shown(address)}: HTTP {status}: "
        if status in _OF_THE_CONTENT:
            return Permanent(text + self.said(reply))
        if 300 <= status < 400:
            target = shown(_joined(address, reply.headers.get("Location", "")))
            return Temporary(
                f"{text}it redirects to {self.hidden(target)}: if that is right, write it as url", None, "client"
            )
        failure: Failure = _FAILURES.get(status, "server" if status >= 500 else "client")
        return Temporary(text + self.said(reply), seconds(reply.headers.get("Retry-After", ""), self._now()), failure)

    def _context(self) -> ssl.SSLContext:
        """What says whom to trust; read again when one of its files was renewed."""
        stamps = tuple(map(_stamp, (self._tls.ca, self._tls.cert, self._tls.key)))
        if self._trusted is None or self._trusted[0] != stamps:
            self._trusted = (stamps, _trust(self._tls))
        return self._trusted[1]


def _stamp(name: str | None) -> int:
    try:
        return Path(name).stat().st_mtime_ns if name else 0
    except OSError:
        return -1  # reading it says why


def _trust(tls: Tls) -> ssl.SSLContext:
    texts = []
    for field, name in (("ca", tls.ca), ("cert", tls.cert), ("key", tls.key)):
        try:
            text = Path(name).read_text(encoding="ascii", errors="replace") if name else None
        except OSError as error:
            raise Temporary(f"tls.{field}: can't read {name}: {error.strerror}", failure="tls") from None
        texts.append(text)
    ca, cert, key = texts
    if key is not None and "ENCRYPTED" in key:  # OpenSSL would ask for its password on the terminal, and wait
        raise Temporary(f"tls.key: {tls.key} has a password; give a key without one", failure="tls")
    try:
        return contexts.context(ca=ca, cert=cert, key=key, insecure=tls.insecure)
    except (OSError, ValueError) as error:
        files = ", ".join(name for name in (tls.ca, tls.cert, tls.key) if name)
        raise Temporary(f"tls: {files}: no usable certificates: {clean(str(error))}", failure="tls") from None


def _told(error: Exception, limit: float | None) -> tuple[Failure, str]:
    """The word for what went wrong, and a text. aiohttp's own texts have addresses in them, with their passwords."""
    cause: Exception = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return "tls", f"its certificate is not trusted: {cause.verify_message}"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        found = error.certificate_error
        return "tls", f"its certificate is not trusted: {getattr(found, 'verify_message', '') or found}"
    if isinstance(cause, ssl.SSLError):
        return "tls", f"TLS failed: {cause.reason or cause}"
    if isinstance(error, TimeoutError):
        return "timeout", f"no answer within {limit:g} s"
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return ("auth" if error.status == 407 else "refused"), f"the proxy says {error.status}"
    if isinstance(error, aiohttp.ClientConnectorError):
        proxied = "the proxy " if isinstance(error, aiohttp.ClientProxyConnectionError) else ""
        return "refused", f"can't connect to {proxied}{error.host}:{error.port}: {_reason(error.os_error)}"
    if isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError | OSError):
        return "refused", "the connection was closed before the answer"
    if isinstance(error, aiohttp.ClientPayloadError | aiohttp.ClientResponseError):
        return "answer", "the answer is no HTTP, or ends too early"
    return "other", type(error).__name__


def _complains(answer: dict[str, object]) -> bool:
    denied = any(answer.get(word) is False for word in ("ok", "success"))
    return denied or any(bool(answer.get(word)) for word in ("error", "errors"))


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


def _joined(address: str, location: str) -> str:
    try:
        return str(URL(address).join(URL(location)))
    except ValueError:
        return ""


def _headers(given: Mapping[str, str]) -> dict[str, str]:
    for name, value in given.items():
        check_header("headers", name)
        if _UNFIT.search(value):
            raise ValueError(f"headers.{name}: a line break or control character can't be in a header")
        if name.lower() in ("host", "content-length", "transfer-encoding", "connection"):
            raise ValueError(f"headers.{name}: this header is not free to choose")
    return dict(given)


def _authorization(auth: Auth) -> dict[str, str]:
    if auth.token is not None:
        if auth.username is not None or auth.password is not None:
            raise ValueError("auth: a token, or a username with a password; not both")
        if not auth.token or _UNFIT.search(auth.token) or not auth.token.isascii():
            raise ValueError("auth.token: it is empty, or has a character that can't be in a header")
        return {"Authorization": f"Bearer {auth.token}"}
    if auth.username is None and auth.password is None:
        return {}
    if not auth.username or auth.password is None:
        raise ValueError("auth: a username and a password are needed, one of them is missing")
    if ":" in auth.username or _UNFIT.search(auth.username + auth.password):
        raise ValueError("auth: a colon in the username, or a control character")
    return {"Authorization": "Basic " + base64.b64encode(f"{auth.username}:{auth.password}".encode()).decode()}


def _check_tls(tls: Tls) -> None:
    if (tls.cert is None) != (tls.key is None):
        raise ValueError("tls: cert and key are needed together")


def _secrets(settings: HttpSettings, headers: Mapping[str, str], further: Collection[str]) -> list[str]:
    """What must not be shown, longest first: what is part of another one must not leave the rest of it."""
    auth = settings.auth
    found = {auth.password, auth.token, headers.get("Authorization", "").partition(" ")[2], *further}
    weak = {*settings.headers.values()}
    for address in (settings.url, settings.proxy):
        url = URL(address or "")
        found |= {url.password, url.raw_password}
        weak |= {*url.query.values(), url.raw_query_string}
        weak |= {part for part in url.path.split("/") if _SEGMENT.fullmatch(part)}
    found |= {text for text in weak if len(text) >= 4}  # shorter ones are in every text
    return sorted((text for text in found if text), key=len, reverse=True)
