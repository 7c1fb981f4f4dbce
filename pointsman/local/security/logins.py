"""One login per process of a secure local stack: a folder of files, made once, readable by their owner only.

The files have the names of settings, so that a process becomes a principal by `POINTSMAN_LOGIN_DIR`; Java's processes
read `jaas.conf` beside them. No password ever stands in an argument or an environment variable.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Final
from urllib.parse import quote

from pydantic import SecretStr

from pointsman.deployment import CONNECT, ROUTER
from pointsman.errors import ConfigurationError
from pointsman.flink_login import INSIDE_FLINKS_JAR, PASSWORD_FILE, SCRAM_MODULE, USERNAME_FILE
from pointsman.kafka import KafkaLogin
from pointsman.local.security import certificates
from pointsman.local.security.files import secret_folder, write_secret

ADMIN: Final = "pointsman-admin"
"""Kafka knows it by its certificate, MongoDB by its password."""
FOLDER: Final = "secrets"
KEY_FILE: Final = "mongod.key"
MONGODB_URI: Final = "mongodb_uri"
_DATABASE_PASSWORD: Final = "mongodb_password"  # noqa: S105  # a file's name
_JAAS: Final = """KafkaClient {{
  {module} required
  username="{name}"
  password="{password}";
}};
"""
_NOT_IN_ITS_PATH: Final = ":,}"


class Logins:
    """The certificates and logins of the stack in one data folder.

    Args:
        data_dir: the data folder.
    """

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / FOLDER

    @property
    def ca(self) -> Path:
        """The certificate that clients trust."""
        return self._folder / certificates.AUTHORITY

    @property
    def certificate_of_admin(self) -> Path:
        """Certificate and key of the administrator."""
        return self._folder / f"{certificates.ADMINISTRATOR}.pem"

    def folder_of(self, principal: str) -> Path:
        """The files of one principal."""
        return self._folder / principal

    def prepare(self) -> None:
        """Make what must be there before the first process starts: certificates, and the key of the database's set.

        Raises:
            ConfigurationError: the data folder's path holds a sign with which Kafka Connect cannot name its secrets.
        """
        if any(sign in str(self._folder) for sign in _NOT_IN_ITS_PATH):
            remedy = "set POINTSMAN_DATA_DIR to another folder, or start without --secure"
            raise ConfigurationError(
                f"a secure stack cannot live in {self._folder.parent}: no colon, comma or }}", remedy
            )
        secret_folder(self._folder)
        certificates.ensure_certificates(self._folder)
        self._once(self._folder / KEY_FILE)

    def ensure(self, principals: Iterable[str], mongodb_uri: str) -> None:
        """Make the logins that are missing.

        Args:
            principals: who is to have one.
            mongodb_uri: the database's address, without a login; it may be another than last time.
        """
        for principal in principals:
            folder = secret_folder(self.folder_of(principal))
            password = self._once(folder / PASSWORD_FILE)
            write_secret(folder / USERNAME_FILE, principal.encode())
            module = f"{INSIDE_FLINKS_JAR}{SCRAM_MODULE}" if principal == ROUTER else SCRAM_MODULE
            jaas = _JAAS.format(module=module, name=principal, password=password)
            write_secret(folder / "jaas.conf", jaas.encode())
            write_secret(folder / MONGODB_URI, self._with_login(mongodb_uri, principal).encode())

    def password(self, principal: str) -> str:
        """The principal's password on Kafka."""
        return self._once(self.folder_of(principal) / PASSWORD_FILE)

    def database_password(self, principal: str) -> str:
        """The principal's password on MongoDB."""
        return self._once(secret_folder(self.folder_of(principal)) / _DATABASE_PASSWORD)

    def mongodb_uri(self, principal: str) -> str:
        """How the principal reaches MongoDB; holds its password."""
        return (self.folder_of(principal) / MONGODB_URI).read_text(encoding="utf-8")

    def kafka(self, principal: str) -> KafkaLogin:
        """How the principal logs in to Kafka."""
        if principal == ADMIN:
            return KafkaLogin(protocol="SSL", ca=self.ca, certificate=self.certificate_of_admin)
        password = SecretStr(self.password(principal))
        return KafkaLogin(protocol="SASL_SSL", ca=self.ca, username=principal, password=password)

    def java_options(self, principal: str | None = None) -> tuple[str, ...]:
        """How a JVM whose working folder is the data folder trusts the stack's servers, and logs in to Kafka."""
        trust = f"-Djavax.net.ssl.trustStore={FOLDER}/{certificates.TRUST_STORE}"
        options = (trust, f"-Djavax.net.ssl.trustStorePassword={certificates.TRUST_STORE_PASSWORD}")
        if principal is None:
            return options
        return (*options, f"-Djava.security.auth.login.config={FOLDER}/{principal}/jaas.conf")

    def _with_login(self, mongodb_uri: str, principal: str) -> str:
        login = f"mongodb://{principal}:{self.database_password(principal)}@"
        # Java's driver trusts what its JVM trusts, and would warn of every option that it does not know.
        ca = "" if principal == CONNECT else f"&tlsCAFile={quote(str(self.ca), safe='/')}"
        return f"{mongodb_uri.replace('mongodb://', login)}&authSource=admin&tls=true{ca}"

    def _once(self, file: Path) -> str:
        """What stands in `file`; something random when there is no such file yet."""
        if not file.exists():
            # Letters and figures only: no parser of any configuration takes one of them for its own.
            write_secret(file, secrets.token_hex(32).encode())
        return file.read_text(encoding="utf-8")
