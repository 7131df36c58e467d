"""Attestations that come with an upload, made into the file's provenance (PEP 740).

The signatures are not verified here, clients do that; what is checked is that each statement
is about this very file.
"""

import base64
import binascii
import re

import msgspec

from stilton.domain.errors import Invalid
from stilton.domain.permission import Actor

MAX_ATTESTATIONS = 20
_SEPARATORS = re.compile(r"[-_.]+")


class Subject(msgspec.Struct):
    """What a statement is about: a file by name and digests."""

    name: str
    digest: dict[str, str]


class Statement(msgspec.Struct):
    """An in-toto statement, as far as it is read here."""

    subject: list[Subject]


class Envelope(msgspec.Struct):
    """The signed statement, both parts in base64."""

    statement: str
    signature: str


class Material(msgspec.Struct):
    """What the signature is verified with."""

    certificate: str
    transparency_entries: list[dict[str, object]]


class Attestation(msgspec.Struct):
    """PEP 740 §Attestation objects."""

    version: int
    verification_material: Material
    envelope: Envelope


def document(attestations: str, actor: Actor, filename: str, digest: str) -> bytes | None:
    """The provenance object of a file with that sha256; None when no attestations came. Raises Invalid."""
    if not attestations.strip():
        return None
    try:
        objects = msgspec.json.decode(attestations, type=list[Attestation])
    except (msgspec.DecodeError, RecursionError) as error:
        raise Invalid(f"attestations: {error}") from None
    if not 1 <= len(objects) <= MAX_ATTESTATIONS:
        raise Invalid(f"attestations: between 1 and {MAX_ATTESTATIONS} are taken")
    for attestation in objects:
        _check(attestation, filename, digest)
    bundle = {
        "publisher": {"kind": "Stilton", "user": actor.name},
        "attestations": msgspec.json.decode(attestations),
    }
    return msgspec.json.encode({"version": 1, "attestation_bundles": [bundle]})


def _check(attestation: Attestation, filename: str, digest: str) -> None:
    if attestation.version != 1:
        raise Invalid(f"attestations: version {attestation.version} is not known here")
    try:
        statement = msgspec.json.decode(base64.b64decode(attestation.envelope.statement, validate=True), type=Statement)
    except (binascii.Error, ValueError, msgspec.DecodeError, RecursionError):
        raise Invalid("attestations: a statement is no in-toto statement") from None
    if len(statement.subject) != 1:
        raise Invalid("attestations: a statement is not about exactly one file")
    subject = statement.subject[0]
    if _folded(subject.name) != _folded(filename) or subject.digest.get("sha256") != digest:
        raise Invalid(
            f"attestations: a statement is about {subject.name[:200]!r} with another content, not {filename!r}"
        )


def _folded(filename: str) -> str:
    return _SEPARATORS.sub("-", filename).lower()
