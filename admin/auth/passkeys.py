"""Passkeys (WebAuthn level 3): what a browser is asked, and what its answer has to be.

The user is verified by each key (PIN, finger, face); the page has to be ours, to the letter, and in no frame of
another's; a challenge is good once, for five minutes, on the device that asked, for what it was asked for.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import parse_authentication_credential_json, parse_registration_credential_json
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from store.people.passkeys import CHALLENGE_LASTS, NewPasskey, Passkey

NAME: Final = "Aitelier"
_TIMEOUT_MS: Final = int(CHALLENGE_LASTS.total_seconds() * 1000)
_LONGEST_ANSWER: Final = 16_384
"""Characters of JSON. An attestation with its certificates has a few thousand."""


class PasskeyRefusedError(Exception):
    """The answer proves nothing; says why, in words for people."""


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """Where a passkey is made and works: one host, and the one origin of its pages."""

    id: str
    """The host, without its port."""
    origin: str

    @property
    def takes_passkeys(self) -> bool:
        """Browsers make none for an address in numbers (WebAuthn level 3, section 5.1.3, on effective domains)."""
        return not self.id.replace(".", "").isdigit() and ":" not in self.id


def relying_party(base_url: str, host: str) -> RelyingParty:
    """Whose passkeys the page takes that was asked for under this `Host`.

    A server that is reached on its own machine only, by number, takes passkeys under the name `localhost`.
    """
    base = urlsplit(base_url)
    if base.scheme == "http" and host == f"localhost:{base.port}":
        return RelyingParty("localhost", f"http://{host}")
    return RelyingParty(base.hostname or "", base_url)


def options_to_add(party: RelyingParty, user_id: UUID, name: str, has: Sequence[Passkey], challenge: bytes) -> str:
    """JSON for `navigator.credentials.create`."""
    options = generate_registration_options(
        rp_id=party.id,
        rp_name=NAME,
        user_id=user_id.bytes,
        user_name=name,
        challenge=challenge,
        timeout=_TIMEOUT_MS,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.DISCOURAGED,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=_described(has),
    )
    return options_to_json(options)


def options_to_confirm(party: RelyingParty, has: Sequence[Passkey], challenge: bytes) -> str:
    """JSON for `navigator.credentials.get`."""
    options = generate_authentication_options(
        rp_id=party.id,
        challenge=challenge,
        timeout=_TIMEOUT_MS,
        allow_credentials=_described([one for one in has if one.relying_party == party.id]),
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return options_to_json(options)


def read_new(party: RelyingParty, answer: str, challenge: bytes, label: str) -> NewPasskey:
    """The passkey that a browser has made.

    Raises:
        PasskeyRefusedError: It does not prove what it should.
    """
    try:
        credential = parse_registration_credential_json(_json(answer))
        _refuse_frames(credential.response.client_data_json)
        made = verify_registration_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            require_user_verification=True,
        )
    except PasskeyRefusedError:
        raise
    except Exception as error:  # the library lets anything out that CBOR, ASN.1 and JSON of strangers lead to
        raise PasskeyRefusedError("The browser's answer could not be verified.") from error
    return NewPasskey(
        relying_party=party.id,
        credential_id=made.credential_id,
        public_key=made.credential_public_key,
        sign_count=made.sign_count,
        transports=[one.value for one in credential.response.transports or ()],
        backed_up=made.credential_backed_up,
        label=label,
    )


def read_shown(party: RelyingParty, answer: str, challenge: bytes, has: Sequence[Passkey]) -> tuple[Passkey, int]:
    """Which of somebody's passkeys has signed, and its count.

    Raises:
        PasskeyRefusedError: None of them has signed this challenge, here and now.
    """
    try:
        credential = parse_authentication_credential_json(_json(answer))
        _refuse_frames(credential.response.client_data_json)
        passkey = _signed_by(credential.raw_id, party, has)
        shown = verify_authentication_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            credential_public_key=passkey.public_key,
            credential_current_sign_count=0,  # compared where it is stored, so that no two answers pass one count
            require_user_verification=True,
        )
    except PasskeyRefusedError:
        raise
    except Exception as error:  # as above
        raise PasskeyRefusedError("The browser's answer could not be verified.") from error
    return passkey, shown.new_sign_count


def _signed_by(credential_id: bytes, party: RelyingParty, has: Sequence[Passkey]) -> Passkey:
    for one in has:
        if one.credential_id == credential_id and one.relying_party == party.id:
            return one
    raise PasskeyRefusedError("This passkey is not one of yours here.")


def _json(answer: str) -> str:
    if len(answer) > _LONGEST_ANSWER:
        raise PasskeyRefusedError("The browser's answer is too long.")
    return answer


def _refuse_frames(client_data: bytes) -> None:
    """The library does not look at where the page was shown (WebAuthn level 3, section 5.8.1)."""
    data = json.loads(client_data)
    if data.get("crossOrigin") not in {None, False} or "topOrigin" in data:
        raise PasskeyRefusedError("The page was shown within another site.")


def _described(passkeys: Sequence[Passkey]) -> list[PublicKeyCredentialDescriptor]:
    known = {one.value for one in AuthenticatorTransport}
    return [
        PublicKeyCredentialDescriptor(
            id=one.credential_id,
            transports=[AuthenticatorTransport(name) for name in one.transports if name in known],
        )
        for one in passkeys
    ]
