"""A time-stamping authority (RFC 3161): a real one over HTTP, small, with a certificate of its own authority."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Annotated

from aiohttp import web
from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

OID = x509.ObjectIdentifier
_SHA256 = OID("2.16.840.1.101.3.4.2.1")
_ECDSA_SHA256 = OID("1.2.840.10045.4.3.2")
_SIGNED_DATA = OID("1.2.840.113549.1.7.2")
_TST_INFO = OID("1.2.840.113549.1.9.16.1.4")
_CONTENT_TYPE = OID("1.2.840.113549.1.9.3")
_MESSAGE_DIGEST = OID("1.2.840.113549.1.9.4")
_SIGNING_CERTIFICATE = OID("1.2.840.113549.1.9.16.2.47")
_POLICY = OID("1.3.6.1.4.1.99999.1")


@asn1.sequence
class _Algorithm:
    algorithm: OID
    parameters: asn1.Null | None = None


@asn1.sequence
class _Imprint:
    algorithm: _Algorithm
    digest: bytes


@asn1.sequence
class _Request:
    """TimeStampReq, 2.4.1, without policies and extensions."""

    version: int
    imprint: _Imprint
    nonce: int
    wants_certificate: bool


@asn1.sequence
class _Info:
    """TSTInfo, 2.4.2."""

    version: int
    policy: OID
    imprint: _Imprint
    serial: int
    at: asn1.GeneralizedTime
    nonce: int


@asn1.sequence
class _Attribute:
    kind: OID
    values: asn1.SetOf[asn1.TLV]


@asn1.sequence
class _CertificateHash:
    """ESSCertIDv2 (RFC 5816) of a SHA-256, which is the default."""

    digest: bytes


@asn1.sequence
class _SigningCertificate:
    certificates: list[_CertificateHash]


@asn1.sequence
class _Issued:
    issuer: asn1.TLV
    serial: int


@asn1.sequence
class _Signer:
    """SignerInfo (RFC 5652, 5.3)."""

    version: int
    issued: _Issued
    digest: _Algorithm
    attributes: Annotated[asn1.SetOf[_Attribute], asn1.Implicit(0)]
    algorithm: _Algorithm
    signature: bytes


@asn1.sequence
class _Content:
    kind: OID
    content: Annotated[bytes, asn1.Explicit(0)]


@asn1.sequence
class _Signed:
    """SignedData (RFC 5652, 5.1)."""

    version: int
    digests: asn1.SetOf[_Algorithm]
    content: _Content
    certificates: Annotated[asn1.SetOf[asn1.TLV], asn1.Implicit(0)]
    signers: asn1.SetOf[_Signer]


@asn1.sequence
class _Token:
    kind: OID
    content: Annotated[_Signed, asn1.Explicit(0)]


@asn1.sequence
class _Status:
    status: int


@asn1.sequence
class _Answer:
    """TimeStampResp, 2.4.2."""

    status: _Status
    token: _Token


@asn1.sequence
class _Refusal:
    status: _Status


@dataclass
class Authority:
    """An authority. Its clock can be turned, and it can be made to fail."""

    url: str = ""
    late: timedelta = timedelta()
    """What its clock is off by."""
    refuses: bool = False
    asked: int = 0
    _serials: "count[int]" = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        """Make the keys and certificates."""
        root_key = ec.generate_private_key(ec.SECP256R1())
        self.key = ec.generate_private_key(ec.SECP256R1())
        name = _name("Time Root")
        self.root = _certificate(name, root_key.public_key(), name, root_key, is_root=True)
        self.certificate = _certificate(_name("Time Stamper"), self.key.public_key(), name, root_key, is_root=False)

    async def ask(self, asked: bytes) -> bytes:
        """Have it answer without a network between."""
        return self.answer(asked)

    @property
    def root_pem(self) -> bytes:
        """What those who trust it keep."""
        return self.root.public_bytes(Encoding.PEM)

    def answer(self, asked: bytes) -> bytes:
        """A TimeStampResp to a TimeStampReq, both in DER."""
        self.asked += 1
        if self.refuses:
            return asn1.encode_der(_Refusal(status=_Status(status=2)))
        request = asn1.decode_der(_Request, asked)
        at = (datetime.now(UTC) + self.late).replace(microsecond=0)
        info = asn1.encode_der(
            _Info(
                version=1,
                policy=_POLICY,
                imprint=request.imprint,
                serial=next(self._serials),
                at=asn1.GeneralizedTime(at),
                nonce=request.nonce,
            )
        )
        der = self.certificate.public_bytes(Encoding.DER)
        essential = _SigningCertificate(certificates=[_CertificateHash(digest=hashlib.sha256(der).digest())])
        attributes = asn1.SetOf(
            [
                _attribute(_CONTENT_TYPE, asn1.encode_der(_TST_INFO)),
                _attribute(_MESSAGE_DIGEST, asn1.encode_der(hashlib.sha256(info).digest())),
                _attribute(_SIGNING_CERTIFICATE, asn1.encode_der(essential)),
            ]
        )
        signature = self.key.sign(asn1.encode_der(attributes), ec.ECDSA(hashes.SHA256()))
        issuer = asn1.decode_der(asn1.TLV, self.certificate.issuer.public_bytes())
        sha256 = _Algorithm(algorithm=_SHA256)
        signer = _Signer(
            version=1,
            issued=_Issued(issuer=issuer, serial=self.certificate.serial_number),
            digest=sha256,
            attributes=attributes,
            algorithm=_Algorithm(algorithm=_ECDSA_SHA256),
            signature=signature,
        )
        signed = _Signed(
            version=3,
            digests=asn1.SetOf([sha256]),
            content=_Content(kind=_TST_INFO, content=info),
            certificates=asn1.SetOf([asn1.decode_der(asn1.TLV, der)]),
            signers=asn1.SetOf([signer]),
        )
        return asn1.encode_der(_Answer(status=_Status(status=0), token=_Token(kind=_SIGNED_DATA, content=signed)))


def _attribute(kind: OID, value: bytes) -> _Attribute:
    return _Attribute(kind=kind, values=asn1.SetOf([asn1.decode_der(asn1.TLV, value)]))


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _certificate(
    name: x509.Name,
    key: ec.EllipticCurvePublicKey,
    issuer: x509.Name,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    is_root: bool,
) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=is_root, path_length=None), critical=True)
    )
    if not is_root:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
    return builder.sign(issuer_key, hashes.SHA256())


@asynccontextmanager
async def running() -> AsyncIterator[Authority]:
    """One that answers on a port of loopback (3.4: HTTP)."""
    authority = Authority()

    async def serve(request: web.Request) -> web.Response:
        if request.content_type != "application/timestamp-query":
            return web.Response(status=415)
        return web.Response(body=authority.answer(await request.read()), content_type="application/timestamp-reply")

    app = web.Application()
    app.router.add_post("/", serve)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    authority.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    try:
        yield authority
    finally:
        await runner.cleanup()
