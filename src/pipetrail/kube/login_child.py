"""Asks kubernetes-asyncio's config loader for the credentials of one context, and prints them as JSON.

Runs as a child process (``python -m pipetrail.kube.login_child [--kubeconfig F] [--context C]``): the loader brings
every model of the API with it, 70 MB and 0.7 s that the recorder should not carry. See docs/decisions/0003-login.md.
"""

import argparse
import asyncio
import base64
import contextlib
import json
import os
import sys
import warnings
from typing import Any


def _data(path: str | None) -> str | None:
    if not path:
        return None
    with open(path, encoding="utf-8") as file:
        return file.read()


def _entry(merged: Any, section: str, name: str, inner: str) -> tuple[dict[str, Any], str]:
    """What a section of the merged kubeconfig says under a name, and the file that says it."""
    found = merged.config[section].get_with_name(name, safe=True)
    return ((found.value.get(inner) or {}), found.path or "") if found is not None else ({}, "")


async def _load(kubeconfig: str | None, context: str | None) -> dict[str, Any]:
    from kubernetes_asyncio.client import Configuration
    from kubernetes_asyncio.config import kube_config

    found = Configuration()
    found.proxy = None
    paths = kubeconfig or os.environ.get("KUBECONFIG") or kube_config.KUBE_CONFIG_DEFAULT_LOCATION
    merged = kube_config.KubeConfigMerger(paths)
    if merged.config is None:
        raise FileNotFoundError(f"no kubeconfig at {paths}: name one with --kubeconfig or KUBECONFIG")
    names = [entry["name"] for entry in merged.config.value.get("contexts") or ()]
    # As kubectl does: of several files, the first that names a current context. The merger takes the last.
    first = next(filter(None, ((file or {}).get("current-context") for file in merged.config_files.values())), "")
    chosen = context or first
    if not chosen:
        raise LookupError(f"{paths}: no current context (it has: {', '.join(names) or 'none'}): choose with --context")
    if chosen not in names:
        raise LookupError(f"{paths}: no context {chosen!r} (it has: {', '.join(names) or 'none'})")
    await kube_config.load_kube_config(
        config_file=paths, context=chosen, client_configuration=found, persist_config=False
    )
    token: str = (found.api_key.get("BearerToken") or "").strip()
    entry, _ = _entry(merged, "contexts", chosen, "context")
    user, written_in = _entry(merged, "users", entry.get("user") or "", "user")
    expires = None
    if user.get("exec") and token.count(".") == 2:
        # The expiry of a token from a plug-in is not handed on; a JSON web token says it itself.
        with contextlib.suppress(ValueError, KeyError, TypeError):
            body = token.rsplit(" ", 1)[-1].split(".")[1]
            expires = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))["exp"]
    token_file = user.get("tokenFile")
    return {
        "context": chosen,
        "namespace": entry.get("namespace") or "default",
        "server": found.host,
        "ca": _data(found.ssl_ca_cert),
        "cert": _data(found.cert_file),
        "key": _data(found.key_file),
        "authorization": token or found.get_basic_auth_token() if (token or found.username) else "",
        "token_file": os.path.join(os.path.dirname(written_in), token_file) if token_file else None,
        "expires": expires,
        "insecure": not found.verify_ssl,
        "server_name": getattr(found, "tls_server_name", None) or None,
        "proxy": found.proxy or None,
    }


def main() -> int:
    """Print the credentials, or one line on stderr and 3."""
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser()
    parser.add_argument("--kubeconfig")
    parser.add_argument("--context")
    options = parser.parse_args()
    try:
        found = asyncio.run(_load(options.kubeconfig, options.context))
    except Exception as error:
        print(" ".join(str(error).split()) or type(error).__name__, file=sys.stderr)  # the last line is what is shown
        return 3
    json.dump(found, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
