"""Sealed values: the vector, and every way to open them where they do not belong."""

import base64
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.sealing import BadKeyRing, CannotOpen, KeyRing, Sealer, derive_key, seal_with

KEK = bytes(range(32))
OTHER = bytes(range(100, 132))
PLACE = {
    "table": "accounts_personalkey",
    "column": "file_code",
    "row": UUID("11111111-1111-4111-8111-111111111111"),
    "owner": UUID("22222222-2222-4222-8222-222222222222"),
    "version": 1,
}
CODE = b"K7Q2M-9ZXCV-ABCDE-12345-FGHJP"


def ring(**keys):
    return KeyRing.parse(",".join(f"{name}:{base64.b64encode(key).decode()}" for name, key in keys.items()))


OLD, NEW = ring(k1=KEK), ring(k2=OTHER, k1=KEK)


def test_the_vector_is_met_byte_by_byte():
    aad = (
        b"medisetup|1|accounts_personalkey|file_code|"
        b"11111111-1111-4111-8111-111111111111|22222222-2222-4222-8222-222222222222|1"
    )
    sealed = seal_with(OLD, "k1", bytes(range(0x20, 0x40)), (bytes(12), b"\1" * 12), CODE, aad)
    wrapped = (
        "2e9d97fd9109a59a2081831e3401bfb6e27264601cb45618b8a789b8f9c263697fcf87de02abc8991e7d6f95ba4262d6"
    )
    secret = "2b13fc5651fdb00ffb7afab673a02590ef0d2e09d63a8835313a59f355ee67ad55001b1506fa1e9b6f189a3ce3"
    assert sealed.hex() == "01026b31" + "00" * 12 + wrapped + "01" * 12 + secret
    assert Sealer(OLD).open(sealed, **PLACE) == CODE


def test_derived_keys_meet_the_vector():
    found = derive_key(KEK, "field/v1/ehealth_keystore.blob").hex()
    assert found == "7446df39b2ec412cfaf46a92d7d0538f249458c0bcdfcd378ac7c9cb8cd2359a"


@given(st.binary(max_size=500))
def test_what_is_sealed_opens(plaintext):
    sealed = Sealer(OLD).seal(plaintext, **PLACE)
    assert len(sealed) == len(plaintext) + 92
    assert plaintext not in sealed or len(plaintext) < 4
    assert Sealer(OLD).open(sealed, **PLACE) == plaintext


def test_two_seals_differ():
    assert Sealer(OLD).seal(CODE, **PLACE) != Sealer(OLD).seal(CODE, **PLACE)


@pytest.mark.parametrize(
    "change",
    [{"table": "x"}, {"column": "x"}, {"row": PLACE["owner"]}, {"owner": PLACE["row"]}, {"version": 2}],
)
def test_a_value_moved_or_put_back_does_not_open(change):
    sealed = Sealer(OLD).seal(CODE, **PLACE)
    with pytest.raises(CannotOpen):
        Sealer(OLD).open(sealed, **PLACE | change)


def test_no_byte_can_be_changed_and_no_piece_left_out():
    sealed = Sealer(OLD).seal(CODE, **PLACE)
    changed = [sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :] for at in range(len(sealed))]
    for value in (*changed, *(sealed[:size] for size in range(len(sealed))), sealed + b"\0", b""):
        with pytest.raises(CannotOpen):
            Sealer(OLD).open(value, **PLACE)


def test_a_ring_without_the_key_does_not_open():
    with pytest.raises(CannotOpen):
        Sealer(ring(k2=OTHER)).open(Sealer(OLD).seal(CODE, **PLACE), **PLACE)
    with pytest.raises(CannotOpen):
        Sealer(ring(k1=OTHER)).open(Sealer(OLD).seal(CODE, **PLACE), **PLACE)


def test_rotation_rewraps_and_leaves_the_ciphertext_alone():
    old = Sealer(OLD).seal(CODE, **PLACE)
    assert Sealer(NEW).open(old, **PLACE) == CODE and not Sealer(NEW).is_current(old)
    new = Sealer(NEW).rewrap(old, **PLACE)
    assert new[-len(CODE) - 28 :] == old[-len(CODE) - 28 :] and Sealer(NEW).is_current(new)
    assert Sealer(ring(k2=OTHER)).open(new, **PLACE) == CODE
    assert Sealer(NEW).rewrap(new, **PLACE) == new


def test_rewrapping_checks_the_place():
    with pytest.raises(CannotOpen):
        Sealer(NEW).rewrap(Sealer(OLD).seal(CODE, **PLACE), **PLACE | {"version": 9})


def test_database_views_of_bytes_open():
    assert Sealer(OLD).open(memoryview(Sealer(OLD).seal(CODE, **PLACE)), **PLACE) == CODE


def test_the_first_key_seals():
    assert NEW.first == "k2"


@pytest.mark.parametrize(
    "text",
    [
        "",
        " , ",
        "k1",
        "k1:",
        "k1:AAAA",
        "k1:###",
        f":{'A' * 43}=",
        f"k 1:{'A' * 43}=",
        f"k1:{'A' * 43}=,k1:{'B' * 43}=",
    ],
)
def test_a_bad_ring_is_refused_without_telling_the_key(text):
    with pytest.raises(BadKeyRing) as caught:
        KeyRing.parse(text)
    assert "AAAA" not in str(caught.value)


def test_keys_do_not_show():
    assert "KEK" not in repr(OLD) and repr(KEK) not in repr(OLD)


def test_a_place_cannot_hold_a_bar():
    with pytest.raises(ValueError):
        Sealer(OLD).seal(CODE, **PLACE | {"column": "a|b"})
