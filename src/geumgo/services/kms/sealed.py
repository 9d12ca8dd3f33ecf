"""Key material at rest: wrapped under the root key, bound to everything that says what it is for."""

from geumgo.context import Context, Work
from geumgo.sealing import Plaintext, Sealing, Unsealable
from geumgo.services.kms import store
from geumgo.services.kms.material import fingerprint, generate, identify
from geumgo.services.kms.records import CURRENT, Key, Material
from geumgo.storage import Tx


def _bound_to(key: Key, version: int, material_id: str, public: bytes) -> dict[str, str]:
    return {
        "label": "kms key material",
        "partition": key.partition,
        "account": key.account,
        "region": key.region,
        "key": key.key_id,
        "version": str(version),
        "spec": key.spec,
        "usage": key.usage,
        "origin": key.origin,
        "material": material_id,
        "public": fingerprint(public) if public else "",
    }


def open_material(at: Context | Work, key: Key, material: Material) -> Plaintext:
    """The secret of one version.

    Raises Unsealable if it is missing, or if its row or the key's row was changed from outside.
    """
    if material.sealed is None:
        raise Unsealable(f"version {material.version} of {key.arn} has no material")
    return at.sealing.unwrap(
        "kms", _bound_to(key, material.version, material.material_id, material.public), material.sealed
    )


def check_public(at: Context, key: Key, material: Material) -> bytes:
    """The public key, after it was proven to be the one that belongs to the sealed secret."""
    open_material(at, key, material)
    return material.public


def sealed_material(
    at: Context | Work, key: Key, version: int, secret: Plaintext, public: bytes, *, state: str = CURRENT
) -> Material:
    """A version of the key's material, sealed and not yet kept."""
    material_id = identify(key.key_id, secret)
    return Material(
        version=version,
        material_id=material_id,
        sealed=at.sealing.wrap("kms", _bound_to(key, version, material_id, public), secret),
        public=public,
        state=state,
        made_at_ms=at.clock.now_ms(),
    )


def sealed_anew(sealing: Sealing, key: Key, version: int, material_id: str, public: bytes, sealed: bytes) -> bytes:
    """The same material under the newest root key. Raises Unsealable."""
    context = _bound_to(key, version, material_id, public)
    return sealing.wrap("kms", context, sealing.unwrap("kms", context, sealed))


def give_first_material(at: Context, key: Key) -> None:
    """The key, which was just added with version 1, has fresh material of ours."""
    secret, public = generate(key.spec)
    store.keep_material(at.tx, key, sealed_material(at, key, 1, secret, public))


def copy_material(at: Context | Work, tx: Tx, source: Key, target: Key, material: Material) -> None:
    """The related key `target` in another region has the same version as `source`, sealed for its own region."""
    secret = open_material(at, source, material)
    own = _bound_to(target, material.version, material.material_id, material.public)
    copied = Material(
        version=material.version,
        material_id=material.material_id,
        sealed=at.sealing.wrap("kms", own, secret),
        public=material.public,
        state=material.state,
        made_at_ms=material.made_at_ms,
        rotation=material.rotation,
        rotated_at_ms=material.rotated_at_ms,
        expires_at_ms=material.expires_at_ms,
        description=material.description,
    )
    store.keep_material(tx, target, copied)
