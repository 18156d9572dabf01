"""The server of the service: uvicorn, with TLS where others reach it.

In: `[serve.oneroster]`. Out: a process that answers until it is asked to stop. It opens the served
copy and nothing else of the state folder. It is an extra of the installation: `make serve` installs
it.

Alone: `python -m reverse_etl serve oneroster`.
"""

from __future__ import annotations

import ssl
from typing import Any

from common import paths
from common.log import event
from reverse_etl.serve import copy
from reverse_etl.serve.settings import NotServedError, Service


def made(said: Service) -> Any:
    """The server, not yet begun. Raises NotServedError."""
    try:
        import uvicorn

        from reverse_etl.serve.app import Provider
    except ModuleNotFoundError as error:
        raise NotServedError(
            f"{error.name} is not installed: the service is an extra of the installation; type"
            ' "make .venv/serve"'
        ) from None
    config = uvicorn.Config(
        Provider(said, copy.path()).app(),
        host=said.host,
        port=said.port,
        access_log=False,  # an address may hold a name somebody is looked for by
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=10,
        **_tls(said),
    )
    try:
        config.load()
    except (ssl.SSLError, OSError) as error:
        raise NotServedError(
            f"[serve.oneroster] {said.certificate} or {said.key_file} cannot be used"
            f" ({type(error).__name__}); give the certificate and its key, as PEM"
        ) from None
    return uvicorn.Server(config)


def run(said: Service) -> int:
    """Serve until asked to stop; the exit code."""
    server = made(said)
    if not copy.path().is_file():
        print(
            f"serve: nothing was delivered yet ({copy.path()} is made at the end of a run);"
            " whoever asks is told to come back"
        )
    scheme = "https" if said.certificate else "http"
    print(f"serve: OneRoster at {scheme}://{said.host}:{said.port}; end it with Ctrl-C")
    event("serving", clients=len(said.clients), host=said.host, port=said.port)
    server.run()
    return 0 if server.started else 1


def _tls(said: Service) -> dict[str, str]:
    if not said.certificate:
        return {}
    root = paths.home()
    return {"ssl_certfile": str(root / said.certificate), "ssl_keyfile": str(root / said.key_file)}
