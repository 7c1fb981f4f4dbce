"""Users of a broker that asks for a login: their passwords and what they may do."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Final

from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its hints leave names out
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)
from confluent_kafka.admin._scram import (
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialAlteration,
    UserScramCredentialUpsertion,
)

from pointsman.deployment import Acl
from pointsman.kafka.clients import REQUEST_TIMEOUT_S, client_config, translated
from pointsman.kafka.login import KafkaLogin

_ITERATIONS: Final = 4096
_TYPES: Final = {
    "topic": ResourceType.TOPIC,
    "group": ResourceType.GROUP,
    "transactionalId": ResourceType.TRANSACTIONAL_ID,
    "cluster": ResourceType.BROKER,
}
_PATTERNS: Final = {"literal": ResourcePatternType.LITERAL, "prefix": ResourcePatternType.PREFIXED}
_OPERATIONS: Final = {
    "Read": AclOperation.READ,
    "Write": AclOperation.WRITE,
    "Create": AclOperation.CREATE,
    "Describe": AclOperation.DESCRIBE,
    "DescribeConfigs": AclOperation.DESCRIBE_CONFIGS,
    "AlterConfigs": AclOperation.ALTER_CONFIGS,
}


class KafkaUsers:
    """Gives users their password and exactly the rights that they are to have.

    Args:
        bootstrap: `host:port`, several separated by commas.
        login: an administrator of the cluster; None logs in as the settings say.
    """

    def __init__(self, bootstrap: str, login: KafkaLogin | None = None) -> None:
        self._bootstrap = bootstrap
        self._client = AdminClient(client_config(bootstrap, login))

    def ensure(self, rights: Mapping[str, Sequence[Acl]], passwords: Mapping[str, str]) -> None:
        """Set the passwords; give the rights that are missing, and take away those that are too many.

        Args:
            rights: what each user may do, by name.
            passwords: SCRAM-SHA-512 passwords by the same names.

        Raises:
            BrokerUnavailableError: Kafka does not answer.
            ConfigurationError: this is not allowed.
        """
        with translated("giving rights", self._bootstrap):
            self._set_passwords({name: passwords[name] for name in rights})
            for name, acls in rights.items():
                wanted, found = bindings(name, acls), self.rights_of(name)
                self._give(wanted - found)
                self._take(found - wanted)

    def rights_of(self, name: str) -> set[AclBinding]:
        """What the user called `name` may do now."""
        # None stands for any; the client's hints do not know.
        anything: Any = None
        asked = AclBindingFilter(
            ResourceType.ANY, anything, ResourcePatternType.ANY, f"User:{name}", anything, AclOperation.ANY,
            AclPermissionType.ANY,
        )  # fmt: skip
        return set(self._client.describe_acls(asked, request_timeout=REQUEST_TIMEOUT_S).result())

    def _set_passwords(self, passwords: Mapping[str, str]) -> None:
        kind = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, _ITERATIONS)
        changes: list[UserScramCredentialAlteration] = [
            UserScramCredentialUpsertion(name, kind, text.encode()) for name, text in passwords.items()
        ]
        if changes:
            _wait(self._client.alter_user_scram_credentials(changes, request_timeout=REQUEST_TIMEOUT_S).values())

    def _give(self, missing: Collection[AclBinding]) -> None:
        if missing:
            _wait(self._client.create_acls(list(missing), request_timeout=REQUEST_TIMEOUT_S).values())

    def _take(self, surplus: Collection[AclBinding]) -> None:
        if surplus:
            exact = [
                AclBindingFilter(
                    one.restype, one.name, one.resource_pattern_type, one.principal, one.host, one.operation,
                    one.permission_type,
                )
                for one in surplus
            ]  # fmt: skip
            _wait(self._client.delete_acls(exact, request_timeout=REQUEST_TIMEOUT_S).values())


def bindings(name: str, acls: Iterable[Acl]) -> set[AclBinding]:
    """The rules `acls` for the user called `name`, as Kafka keeps them: one for each operation."""
    return {
        AclBinding(
            _TYPES[acl.type], acl.name, _PATTERNS[acl.pattern], f"User:{name}", "*", _OPERATIONS[operation],
            AclPermissionType.ALLOW,
        )
        for acl in acls
        for operation in acl.operations
    }  # fmt: skip


def _wait(futures: Iterable[Future[Any]]) -> None:
    for future in futures:
        future.result(REQUEST_TIMEOUT_S)
