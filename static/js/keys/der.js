/*
 * Strict DER of a password-sealed RSA key: EncryptedPrivateKeyInfo (RFC 5958 §3) with PBES2, PBKDF2 under
 * HMAC-SHA-256 and AES-256-CBC (RFC 8018), and nothing else. Definite minimal lengths, no trailing bytes.
 * Malformed bytes raise wrong_code_or_damaged, another algorithm raises file_unsupported.
 */
import { KeyFault } from "./fault.js";
import { fromHex, join, toHex } from "./encoding.js";

const INTEGER = 0x02;
const BIT_STRING = 0x03;
const OCTETS = 0x04;
const NULL = 0x05;
const OID = 0x06;
const SEQUENCE = 0x30;

const PBES2 = "2a864886f70d01050d";
const PBKDF2 = "2a864886f70d01050c";
const HMAC_SHA256 = "2a864886f70d0209";
const AES256_CBC = "60864801650304012a";
const RSA = "2a864886f70d010101";

const MIN_ROUNDS = 1_000;
const MAX_ROUNDS = 10_000_000;

const damaged = () => new KeyFault("wrong_code_or_damaged");
const unsupported = () => new KeyFault("file_unsupported");

function need(condition, fault = damaged) {
  if (!condition) throw fault();
}

function readLength(bytes, at) {
  const first = bytes[at];
  need(first !== undefined);
  if (first < 0x80) return { length: first, next: at + 1 };
  const count = first & 0x7f;
  need(count >= 1 && count <= 3 && at + count < bytes.length);
  let length = 0;
  for (let index = 1; index <= count; index += 1) length = length * 256 + bytes[at + index];
  need(length >= 0x80 && bytes[at + 1] !== 0);
  return { length, next: at + 1 + count };
}

/** All elements that fill these bytes: [{tag, content}]. */
export function elements(bytes) {
  const found = [];
  let at = 0;
  while (at < bytes.length) {
    const { length, next } = readLength(bytes, at + 1);
    need(next + length <= bytes.length);
    found.push({ tag: bytes[at], content: bytes.subarray(next, next + length) });
    at = next + length;
  }
  return found;
}

function children(element, tag, least, most = least) {
  need(element?.tag === tag);
  const inside = elements(element.content);
  need(inside.length >= least && inside.length <= most, unsupported);
  return inside;
}

function value(element, tag) {
  need(element?.tag === tag);
  return element.content;
}

function integer(element) {
  const content = value(element, INTEGER);
  need(content.length >= 1 && content[0] < 0x80);
  need(content.length === 1 || content[0] !== 0 || content[1] >= 0x80);
  return content;
}

function smallInteger(element) {
  const content = integer(element);
  need(content.length <= 5, unsupported);
  return content.reduce((sum, byte) => sum * 256 + byte, 0);
}

function algorithm(element, oid, least, most) {
  const parts = children(element, SEQUENCE, least, most);
  need(toHex(value(parts[0], OID)) === oid, unsupported);
  return parts;
}

function readDerivation(element) {
  const [, params] = algorithm(element, PBKDF2, 2, 2);
  const parts = children(params, SEQUENCE, 2, 4);
  const salt = value(parts[0], OCTETS);
  const rounds = smallInteger(parts[1]);
  const rest = parts.slice(2);
  if (rest[0]?.tag === INTEGER) need(smallInteger(rest.shift()) === 32, unsupported);
  need(rest.length === 1, unsupported);
  const [, none] = algorithm(rest[0], HMAC_SHA256, 2, 2);
  need(value(none, NULL).length === 0);
  need(salt.length >= 8 && salt.length <= 64, unsupported);
  need(rounds >= MIN_ROUNDS && rounds <= MAX_ROUNDS, unsupported);
  return { salt, rounds };
}

/** EncryptedPrivateKeyInfo → {salt, rounds, iv, body}. */
export function parseSealed(der) {
  const outer = elements(der);
  need(outer.length === 1);
  const [scheme, body] = children(outer[0], SEQUENCE, 2);
  const [, params] = algorithm(scheme, PBES2, 2, 2);
  const [derivation, cipher] = children(params, SEQUENCE, 2);
  const { salt, rounds } = readDerivation(derivation);
  const iv = value(algorithm(cipher, AES256_CBC, 2, 2)[1], OCTETS);
  need(iv.length === 16);
  const sealed = value(body, OCTETS);
  need(sealed.length > 0 && sealed.length % 16 === 0);
  return { salt, rounds, iv, body: sealed };
}

function lengthBytes(length) {
  if (length < 0x80) return [length];
  const digits = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) digits.unshift(rest % 256);
  return [0x80 | digits.length, ...digits];
}

function element(tag, ...parts) {
  const content = join(...parts);
  return join(Uint8Array.from([tag, ...lengthBytes(content.length)]), content);
}

function number(amount) {
  const digits = [];
  for (let rest = amount; rest > 0; rest = Math.floor(rest / 256)) digits.unshift(rest % 256);
  if (digits.length === 0 || digits[0] >= 0x80) digits.unshift(0);
  return element(INTEGER, Uint8Array.from(digits));
}

const oid = (hex) => element(OID, fromHex(hex));
const nothing = () => element(NULL);

/** {salt, rounds, iv, body} → EncryptedPrivateKeyInfo. */
export function buildSealed({ salt, rounds, iv, body }) {
  const prf = element(SEQUENCE, oid(HMAC_SHA256), nothing());
  const derivation = element(SEQUENCE, element(OCTETS, salt), number(rounds), prf);
  const params = element(
    SEQUENCE,
    element(SEQUENCE, oid(PBKDF2), derivation),
    element(SEQUENCE, oid(AES256_CBC), element(OCTETS, iv)),
  );
  return element(SEQUENCE, element(SEQUENCE, oid(PBES2), params), element(OCTETS, body));
}

/** SPKI DER of the public half of a clear RSA PKCS#8; another kind of key raises file_unsupported. */
export function publicHalf(pkcs8) {
  const outer = elements(pkcs8);
  need(outer.length === 1);
  const [version, scheme, wrapped] = children(outer[0], SEQUENCE, 3, 4);
  need(smallInteger(version) === 0, unsupported);
  algorithm(scheme, RSA, 1, 2);
  const [, modulus, exponent] = children(elements(value(wrapped, OCTETS))[0], SEQUENCE, 9, 10);
  const key = element(SEQUENCE, element(INTEGER, integer(modulus)), element(INTEGER, integer(exponent)));
  const bits = element(BIT_STRING, Uint8Array.of(0), key);
  return element(SEQUENCE, element(SEQUENCE, oid(RSA), nothing()), bits);
}

function shape(bytes) {
  const outer = elements(bytes);
  need(outer.length === 1 && outer[0].tag === SEQUENCE);
  const inside = elements(outer[0].content);
  const tags = inside.map(({ tag }) => tag.toString(16).padStart(2, "0")).join(" ");
  return tags;
}

const SHAPES = [
  [/^02 30 04/, "file_unprotected"],
  [/^(?:02 ){8}02/, "file_unprotected"],
  [/^02 02$/, "file_is_public"],
  [/^30 03$/, "file_is_public"],
  [/^02 30( 30)?$/, "file_is_keystore"],
  [/^06 a0$/, "file_is_keystore"],
  [/^30 30 03$/, "file_is_keystore"],
  [/^30 04$/, "file_unsupported"],
];

/** What bytes in DER are, as the code of the error to show; "file_not_key" when they are nothing known. */
export function kindOfDer(bytes) {
  try {
    const tags = shape(bytes);
    return SHAPES.find(([pattern]) => pattern.test(tags))?.[1] ?? "file_not_key";
  } catch {
    // BER keystores with indefinite lengths are common: version 3 at the start tells them.
    return bytes[0] === SEQUENCE && bytes[1] === 0x80 ? "file_is_keystore" : "file_not_key";
  }
}
