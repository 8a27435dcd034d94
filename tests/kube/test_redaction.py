"""Secrets in texts go, and messages that only speak of secrets stay."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipetrail.kube.redaction import redact, redact_json
from pipetrail.testing.strategies import HOSTILE, json_values, texts

SECRETS = st.from_regex(r"[A-Za-z][A-Za-z0-9_/+.-]{4,20}[0-9][A-Za-z0-9_-]{2,10}", fullmatch=True)
FORMS = (
    "password={}",
    "password: {}",
    'password="{}"',
    "PGPASSWORD={} psql",
    "DB_PASSWORD='{}'",
    "token={}",
    "token: {}",
    "the token is {} now",
    '{{"token":"{}"}}',
    '{{"api_key": "{}"}}',
    "api-key={}",
    "apiKey={}",
    "AWS_SECRET_ACCESS_KEY={}",
    "secret_key = {}",
    "client_secret={}&grant=x",
    "accountKey={};Endpoint=x",
    "credentials={}",
    "Authorization: Bearer {}",
    'authorization: "Basic {}"',
    "curl -H 'Authorization: token {}'",
    "redis://:{}@host:6379/0",
    "mongodb+srv://user:{}@host/db",
    "https://host/file?sig={}",
    "https://host/x?a=b&token={}",
    "run --password {} --verbose",
    "run --api-token {}",
    "login failed for secret: {}",
    "-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----",
    "-----BEGIN OPENSSH PRIVATE KEY-----\n{}",
)
KNOWN = (
    "AKIAIOSFODNN7EXAMPLE",
    "ghp_0123456789abcdefghijABCDEFGHIJ",
    "github_pat_0123456789abcdefghij_x",
    "glpat-0123456789abcdefghij",
    "hf_0123456789abcdefghijkl",
    "sk-proj-0123456789abcdefghij",
    "xoxb-0123456789-abc",
    "AIzaSyA0123456789abcdefghijABCDEFGHIJK-_",
    "nvapi-0123456789abcdefghij_-",
    "dapi0123456789abcdef0123456789abcdef",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
)
HARMLESS = (
    "failed to fetch anonymous token: unexpected status from GET request to https://auth.docker.io/token?scope=repo",
    "pull access denied, repository does not exist or may require authorization: server message: insufficient_scope",
    'secret "db-credentials" not found',
    'MountVolume.SetUp failed for volume "tls" : secret "tls-key-2" not found',
    'MountVolume.SetUp failed for volume "kube-api-access-x7k2p" : failed to fetch token: serviceaccounts not found',
    "couldn't find key password in Secret ml/db",
    "failed to sync secret cache: timed out waiting for the condition",
    "Unable to retrieve some image pull secrets (regcred, other-2); attempting to pull the image may not succeed.",
    "max_tokens=4096 num_tokens: 123456 tokens=2048, tokens/s=1234.5",
    "the token is expired",
    "token: Unauthorized",
    "bearer authentication required",
    'Pulling image "registry.example/team/token-server:v1.2.3"',
    'Container image "vault/secret-agent:2024.1" already present on machine',
    "access_key=none secret=true",
    "task-1-abcdefghijklmnopqrstuvwxyz0123456789",
    "http://10.0.0.1:8080/healthz: connection refused",
    "key: value, node-key=5, sort_key=7",
    'exceeded quota: gpu, requested: requests.nvidia.com/gpu=4, used: 0, limited: "2"',
    "passwordless login is off",
    "",
)


@pytest.mark.parametrize("form", FORMS)
@given(secret=SECRETS)
def test_a_secret_behind_a_telling_word_is_hidden(form: str, secret: str) -> None:
    if "@" in form:  # in a URL a slash can't stand as it is
        secret = secret.replace("/", "%2F")
    safe = redact(form.format(secret))

    assert secret not in safe
    assert "[redacted]" in safe
    assert redact(safe) == safe


@pytest.mark.parametrize("secret", KNOWN)
def test_a_secret_of_a_known_form_is_hidden_wherever_it_stands(secret: str) -> None:
    for text in (secret, f"got {secret}, sorry", f'"{secret}"', f"x={secret}\n"):
        assert secret not in redact(text)
        assert secret not in redact_json(json.dumps({"a": [text]}).encode()).decode()


@pytest.mark.parametrize("text", HARMLESS)
def test_a_message_that_only_speaks_of_secrets_stays(text: str) -> None:
    assert redact(text) == text


def test_what_stands_around_a_secret_stays() -> None:
    assert redact("login to db as me with password=hunter2, 3 times") == (
        "login to db as me with password=[redacted], 3 times"
    )
    assert redact("postgres://me:hunter2@db:5432/x") == "postgres://[redacted]@db:5432/x"
    assert redact('{"user":"me","password":"a b c"}') == '{"user":"me","password":"[redacted]"}'


def test_a_text_without_secrets_is_the_same_object() -> None:
    text, data = "an ordinary message " * 3, b'{"message":"ordinary"}'

    assert redact(text) is text
    assert redact_json(data) is data


def spoiled(value: object, secret: str) -> object:
    """JSON with a secret in each of its strings."""
    if isinstance(value, str):
        return f"{value} password={secret} {value}"
    if isinstance(value, list):
        return [spoiled(item, secret) for item in value]
    if isinstance(value, dict):
        return {key: spoiled(item, secret) for key, item in value.items()}
    return value


@given(value=json_values, secret=SECRETS, hostile=st.sampled_from([*HOSTILE, '\\"', "\\", '"password":"', "token="]))
def test_json_stays_json_and_of_the_same_form(value: object, secret: str, hostile: str) -> None:
    found = {"a": spoiled(value, secret), "b": f"{hostile}password={secret}", "password=": 12345678, hostile: hostile}
    safe = redact_json(json.dumps(found, ensure_ascii=False).encode())

    assert secret.encode() not in safe
    assert form(json.loads(safe)) == form(found)


def form(value: object) -> object:
    if isinstance(value, dict):
        return {key: form(item) for key, item in value.items()}
    if isinstance(value, list):
        return [form(item) for item in value]
    return type(value)


@given(text=texts)
def test_redacting_twice_is_redacting_once(text: str) -> None:
    for around in ("{}", "password={}", 'token="{}"', "x://{}:{}@h", "Bearer {}{}"):
        safe = redact(around.replace("{}", text))
        assert redact(safe) == safe


def test_a_long_text_does_not_take_long() -> None:
    """Each is made to make a pattern go back again and again; where it is quadratic, it takes minutes."""
    for piece in (
        "token ",
        "password",
        "a.b-c_",
        "://a:",
        "-----BEGIN PRIVATE KEY-----",
        "=token=",
        "bearer  ",
        "\\\\'",
    ):
        redact(piece * (300_000 // len(piece)) + " secret")
