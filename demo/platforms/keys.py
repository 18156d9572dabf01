"""The keys of the emulated world: made once per state folder, used by the servers and given to
their clients.

Everything lies in `<state>/keys/` with the modes such files have in a district: readable by their
owner only.
"""

from __future__ import annotations

import json
import secrets
import ssl
from dataclasses import dataclass
from pathlib import Path

import asyncssh
import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from demo.platforms.google import Credentials

CLIENT_EMAIL = "homeroom@sd74-homeroom.iam.gserviceaccount.example"
CLIENT_NUMBER = "107400000000000000074"


@dataclass(frozen=True)
class Keys:
    """What stands in the folder, opened."""

    folder: Path
    service_account: rsa.RSAPrivateKey
    key_id: str
    client_secret: str
    sftp_host: asyncssh.SSHKey
    sftp_client: asyncssh.SSHKey

    @property
    def google_file(self) -> Path:
        return self.folder / "google-service-account.json"

    @property
    def ca_file(self) -> Path:
        return self.folder / "certificate-authority.pem"

    @property
    def sftp_client_file(self) -> Path:
        return self.folder / "sftp_client_ed25519"

    @property
    def known_hosts_file(self) -> Path:
        return self.folder / "known_hosts"

    @classmethod
    def open(cls, folder: Path) -> Keys:
        """The keys of a state folder, made where they are missing."""
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        google = folder / "service-account-key.pem"
        if not google.is_file():
            key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
            form = (
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            _write(google, key.private_bytes(*form))
        service_account = serialization.load_pem_private_key(google.read_bytes(), None)
        if not isinstance(service_account, rsa.RSAPrivateKey):
            raise TypeError(f"{google} holds no RSA key; remove the state folder and start again")
        secret = folder / "microsoft-client-secret"
        if not secret.is_file():
            _write(secret, ("demo~" + secrets.token_urlsafe(30)).encode())
        for name in ("sftp_host_ed25519", "sftp_client_ed25519"):
            if not (folder / name).is_file():
                _write(
                    folder / name,
                    asyncssh.generate_private_key("ssh-ed25519", comment=name).export_private_key(),
                )
        return cls(
            folder,
            service_account,
            "sd74demokey01",
            secret.read_text(encoding="utf-8"),
            asyncssh.read_private_key(folder / "sftp_host_ed25519"),
            asyncssh.read_private_key(folder / "sftp_client_ed25519"),
        )

    def credentials(self) -> Credentials:
        return Credentials(CLIENT_EMAIL, self.key_id, self.service_account.public_key())

    def write_google_file(self, address: str) -> None:
        """The service-account file as Google's console would give it, with the token address of
        this server.
        """
        form = (
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        document = {
            "type": "service_account",
            "project_id": "sd74-homeroom",
            "private_key_id": self.key_id,
            "private_key": self.service_account.private_bytes(*form).decode(),
            "client_email": CLIENT_EMAIL,
            "client_id": CLIENT_NUMBER,
            "token_uri": f"{address}/token",
        }
        _write(self.google_file, json.dumps(document, indent=2).encode())

    def write_known_hosts(self, port: int) -> None:
        public = self.sftp_host.export_public_key().decode().split()
        _write(self.known_hosts_file, f"[127.0.0.1]:{port} {public[0]} {public[1]}\n".encode())

    def tls(self) -> ssl.SSLContext:
        """A server context with a certificate for localhost; its authority's certificate is written
        for clients.
        """
        authority = trustme.CA(organization_name="Homeroom demo")
        authority.cert_pem.write_to_path(str(self.ca_file))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
        return context


def _write(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)
