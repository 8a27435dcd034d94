"""What every sink can be told, under the same names: `docs/reference/config.md` shows them from here.

Each kind of sink has a ``Settings`` of its own that adds what only it knows. Values are plain (text, numbers); secrets
are already put in place of ``${ENV}`` and ``file:`` when a sink sees them.
"""

import contextlib
import re
from collections.abc import Iterator
from typing import Any

import msgspec

_SECRETS = frozenset({"password", "secret", "token"})
_ADDRESSES = frozenset({"proxy", "url"})
_MASK = "***"


def hiding(settings: msgspec.Struct) -> str:
    """What ``repr`` says of settings: no secret, no value of a header, and only the hosts of addresses."""
    shown = ", ".join(f"{name}={_shown(name, value)}" for name, value in msgspec.structs.asdict(settings).items())
    return f"{type(settings).__name__}({shown})"


def _shown(name: str, value: Any) -> str:
    if name in _SECRETS and value is not None:
        return repr(_MASK)
    if name == "headers" and isinstance(value, dict):
        return repr(dict.fromkeys(value, _MASK))
    if name in _ADDRESSES and isinstance(value, list):
        return f"[{', '.join(_shown(name, one) for one in value)}]"
    if name in _ADDRESSES and isinstance(value, str):
        scheme, _, rest = value.rpartition("://")
        host = re.split(r"[/?#\\]", rest)[0].rpartition("@")[2]
        return repr(f"{scheme}://{host}/{_MASK}")
    return repr(value)


@contextlib.contextmanager
def naming(field: str) -> Iterator[None]:
    """Name the field whose value is found wrong within.

    :raises ValueError: as the one within, as ``field: what``.
    """
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{field}: {error}") from None


class Batching(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many events go in one request: it is sent when one of these is reached."""

    events: int = 500
    """The most events."""
    bytes: str = "5Mi"
    """About the most bytes."""
    seconds: float = 1.0
    """The longest that an event waits for others, in seconds."""


class Retrying(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a failure is tried again. A receiver that is away is tried for ever; nothing is dropped for that."""

    first: float = 0.5
    """Seconds before the first new try; twice as long each time, somewhat at random."""
    longest: float = 60.0
    """The longest wait in seconds; what a receiver asks for in Retry-After goes up to ten minutes."""
    give_up: str = "1d"
    """After this time a single event that the receiver does not take, while it takes others, is a dead letter."""


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a sink may take of this machine and of its receiver."""

    rate: float = 0.0
    """The most events a second; 0: no bound."""
    queue: int = 10_000
    """The most events in memory."""
    dead_letters: int = 100_000
    """The most dead letters; with that many the sink stands still until somebody looks at them."""


class Tls(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom an https receiver is trusted by, and as whom we come."""

    ca: str | None = None
    """The file of the authorities to trust; the system's by default."""
    cert: str | None = None
    """The file of our certificate."""
    key: str | None = None
    """The file of its key."""
    insecure: bool = False
    """Trust anybody: only to try something."""


class Auth(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How we show who we are: a name with a password, or a token."""

    username: str | None = None
    """The user's name."""
    password: str | None = None
    """The password, such as ``${OPENSEARCH_PASSWORD}`` or ``file:/run/secrets/password``."""
    token: str | None = None
    """A bearer token."""

    def __repr__(self) -> str:
        return hiding(self)


Rule = dict[str, Any]
"""Field to value, or to a list of values of which one will do; all fields must hold. See docs/how-to/sinks.md."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every sink can be told."""

    type: str
    """The kind of receiver."""
    match: list[Rule] | Rule = []
    """Only events for which one of these rules holds; all if there is none."""
    drop: list[Rule] | Rule = []
    """Never events for which one of these rules holds."""
    start: str = "now"
    """Where a sink begins that never sent anything: ``now``, or ``oldest`` for all that the journal has."""
    hold: float = 2.0
    """How many seconds an event may wait for its run, up to 5; what comes later is sent again, with its run."""
    batch: Batching = msgspec.field(default_factory=Batching)
    """How many events go in one request."""
    retry: Retrying = msgspec.field(default_factory=Retrying)
    """How a failure is tried again."""
    limits: Limits = msgspec.field(default_factory=Limits)
    """What the sink may take."""

    def __repr__(self) -> str:
        return hiding(self)


class HttpSettings(Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every sink that speaks HTTP can be told."""

    url: str
    """The receiver's address."""
    auth: Auth = msgspec.field(default_factory=Auth)
    """How we show who we are."""
    headers: dict[str, str] = {}
    """Further headers of each request."""
    tls: Tls = msgspec.field(default_factory=Tls)
    """Whom to trust."""
    proxy: str | None = None
    """An HTTP proxy, such as http://proxy:3128; the environment's variables are not read."""
    timeout: float = 30.0
    """Seconds until an answer must be there."""
