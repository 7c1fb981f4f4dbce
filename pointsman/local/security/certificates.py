"""Certificates of a local stack, made on this machine and trusted by nobody else.

The authority's key is thrown away as soon as it has signed: nobody can sign anything in its name later.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pointsman.local.ports import HOST
from pointsman.local.security.files import write_secret

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import Certificate, CertificateBuilder, Name

LASTS: Final = timedelta(days=365)
RENEWED_BEFORE: Final = timedelta(days=30)
AUTHORITY: Final = "ca.pem"
TRUST_STORE: Final = "truststore.p12"
TRUST_STORE_PASSWORD: Final = "changeit"  # noqa: S105  # Java wants one; the store holds a certificate and no secret
BROKER: Final = "pointsman-broker"
ADMINISTRATOR: Final = "pointsman-admin"
DATABASE: Final = "pointsman-mongod"
_HOLDERS: Final = (BROKER, ADMINISTRATOR, DATABASE)


def ensure_certificates(folder: Path, now: datetime | None = None) -> None:
    """Make the authority and the certificates that it signs, unless those of `folder` are good for some time yet.

    `ca.pem` is what clients trust, `truststore.p12` the same for Java, `<holder>.pem` a holder's certificate and key.

    Args:
        folder: where they are.
        now: the clock, UTC.
    """
    at = now or datetime.now(UTC)
    if _are_good(folder, at):
        return
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    authority = _authority(key, at)
    for holder in _HOLDERS:
        own = ec.generate_private_key(ec.SECP256R1())
        write_secret(folder / f"{holder}.pem", _private(own) + _public(_signed(holder, own, authority, key, at)))
    write_secret(folder / TRUST_STORE, _trust_store(authority))
    # Written last: where it is, the others are.
    write_secret(folder / AUTHORITY, _public(authority))


def _are_good(folder: Path, at: datetime) -> bool:
    from cryptography.x509 import load_pem_x509_certificate

    try:
        authority = load_pem_x509_certificate((folder / AUTHORITY).read_bytes())
    except (OSError, ValueError):
        return False
    names = (TRUST_STORE, *(f"{holder}.pem" for holder in _HOLDERS))
    return at + RENEWED_BEFORE < authority.not_valid_after_utc and all((folder / name).is_file() for name in names)


def _authority(key: EllipticCurvePrivateKey, at: datetime) -> Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256

    usage = x509.KeyUsage(
        digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    name = _name("pointsman-local")
    return (
        _builder(at)
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, SHA256())
    )


def _signed(
    holder: str, own: EllipticCurvePrivateKey, authority: Certificate, key: EllipticCurvePrivateKey, at: datetime
) -> Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.x509.oid import ExtendedKeyUsageOID

    usages = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
    names = [x509.IPAddress(IPv4Address(HOST)), x509.DNSName("localhost")]
    return (
        _builder(at)
        .subject_name(_name(holder))
        .issuer_name(authority.subject)
        .public_key(own.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages[:1] if holder == ADMINISTRATOR else usages), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, SHA256())
    )


def _builder(at: datetime) -> CertificateBuilder:
    from cryptography.x509 import CertificateBuilder, random_serial_number

    # An hour back: clocks of one machine agree, but a container beside it may lag.
    return (
        CertificateBuilder()
        .serial_number(random_serial_number())
        .not_valid_before(at - timedelta(hours=1))
        .not_valid_after(at + LASTS)
    )


def _name(common: str) -> Name:
    from cryptography.x509 import Name, NameAttribute
    from cryptography.x509.oid import NameOID

    return Name([NameAttribute(NameOID.COMMON_NAME, common)])


def _public(certificate: Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM)


def _private(key: EllipticCurvePrivateKey) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _trust_store(authority: Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
    from cryptography.hazmat.primitives.serialization.pkcs12 import PKCS12Certificate, serialize_java_truststore

    encrypted = BestAvailableEncryption(TRUST_STORE_PASSWORD.encode())
    return serialize_java_truststore([PKCS12Certificate(authority, b"pointsman-local")], encrypted)
