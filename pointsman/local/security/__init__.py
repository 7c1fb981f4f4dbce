"""What makes a local stack secure: certificates, one login per process, rights on Kafka and MongoDB."""

from pointsman.local.security.logins import ADMIN, Logins

__all__ = ["ADMIN", "Logins"]
