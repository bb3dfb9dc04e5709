"""Certificates of the simulated organisation: one authority, one certificate per server.

    authority = Authority()
    authority.write(folder / "ca.pem")                      # what clients are told to trust
    context = authority.certificate("ex1.town.example", "127.0.1.1").context()

Keys are made when they are asked for and live in memory only; a certificate can be of any
age, so that expired ones and those of tomorrow can be shown.
"""

import ssl
from datetime import datetime
from pathlib import Path
from typing import Final

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

# Weak keys and old versions of TLS are shown where somebody asks for them.
_CIPHERS: Final = "DEFAULT:@SECLEVEL=0"
_SMALL_BITS: Final = 1024


class ServerContext(ssl.SSLContext):
    """A server's side of TLS; `end_point` is what channel bindings to its certificate carry."""

    end_point = b""


class Certificate:
    """One certificate with its key, for one server. `names` are host names and addresses."""

    def __init__(self, names: tuple[str, ...], leaf: trustme.LeafCert) -> None:
        self.names = names
        self._leaf = leaf

    def context(self) -> ServerContext:
        """A server's side of TLS that shows this certificate."""
        context = ServerContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(_CIPHERS)
        self._leaf.configure_cert(context)
        context.end_point = end_point(self.pem)
        return context

    @property
    def pem(self) -> bytes:
        """The certificate alone, without its key."""
        return b"".join(blob.bytes() for blob in self._leaf.cert_chain_pems)


def end_point(pem: bytes) -> bytes:
    """The channel binding "tls-server-end-point" of a certificate (RFC 5929, 4.1).

    The hash is that of the certificate's signature, but SHA-256 instead of MD5 and SHA-1.
    """
    certificate = x509.load_pem_x509_certificate(pem)
    how = certificate.signature_hash_algorithm
    if how is None or isinstance(how, hashes.MD5 | hashes.SHA1):
        how = hashes.SHA256()
    return b"tls-server-end-point:" + certificate.fingerprint(how)


class Authority:
    """The authority that signs the servers' certificates."""

    def __init__(self, name: str = "mailmig lab") -> None:
        self._authority = trustme.CA(
            organization_name=name, organization_unit_name="simulated organisation"
        )

    @property
    def pem(self) -> bytes:
        return self._authority.cert_pem.bytes()

    def write(self, file: Path) -> Path:
        """Puts the authority's certificate into a file and names it again."""
        file.write_bytes(self.pem)
        return file

    def certificate(
        self, *names: str, since: datetime | None = None, until: datetime | None = None
    ) -> Certificate:
        """A new certificate for these names; `since` and `until` are aware moments."""
        leaf = self._authority.issue_cert(*names, not_before=since, not_after=until)
        return Certificate(names, leaf)

    def without_chain(self, *names: str) -> Certificate:
        """One by an authority below this one, whose own certificate is not sent along."""
        leaf = self._authority.create_child_ca().issue_cert(*names)
        own = leaf.cert_chain_pems[0].bytes()
        return Certificate(names, trustme.LeafCert(leaf.private_key_pem.bytes(), own, []))

    def with_small_key(self, *names: str) -> Certificate:
        """One with an RSA key that is too small by today's measure."""
        issuer = x509.load_pem_x509_certificate(self.pem)
        signs = load_pem_private_key(self._authority.private_key_pem.bytes(), None)
        assert isinstance(signs, ec.EllipticCurvePrivateKey)
        like = x509.load_pem_x509_certificate(self.certificate(*names).pem)
        key = rsa.generate_private_key(public_exponent=65537, key_size=_SMALL_BITS)
        builder = (
            x509.CertificateBuilder(extensions=list(like.extensions))
            .subject_name(like.subject)
            .issuer_name(issuer.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(like.not_valid_before_utc)
            .not_valid_after(like.not_valid_after_utc)
        )
        own = builder.sign(signs, hashes.SHA256()).public_bytes(Encoding.PEM)
        secret = key.private_bytes(
            Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
        )  # fmt: skip
        return Certificate(names, trustme.LeafCert(secret, own, []))
