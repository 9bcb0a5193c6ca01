/*
 * The key file: header lines, an Integrity line, and one PEM block ENCRYPTED PRIVATE KEY. Stock openssl and Python
 * open the block; the Integrity line (HMAC-SHA-256 over the lines above it and the DER) lets this module refuse a
 * file in which anything was altered.
 *
 *   writeKeyFile(…) → text        readKeyFile(bytes, …) → parsed, no code needed        openKeyFile(parsed, code, …)
 */
import { KeyFault } from "./fault.js";
import { buildSealed, kindOfDer, parseSealed, publicHalf } from "./der.js";
import { fingerprintOf, fromBase64, fromHex, grouped, join, toBase64, toHex, utf8 } from "./encoding.js";

export const MAX_FILE_BYTES = 16 * 1024;
export const ROUNDS = 600_000;
export const PSS = { name: "RSA-PSS", hash: "SHA-256" };

const BEGIN = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
const END = "-----END ENCRYPTED PRIVATE KEY-----";
const INTEGRITY = /^Integrity: hmac-sha256 ([0-9a-f]{64})$/;
const FINGERPRINT = /^Fingerprint-SHA256: ([0-9a-f]{64})$/;
const damaged = () => new KeyFault("wrong_code_or_damaged");

async function deriveKeys(passphrase, salt, rounds, aesUsage) {
  const { subtle } = crypto;
  const base = await subtle.importKey("raw", utf8(passphrase.normalize("NFC")), "PBKDF2", false, ["deriveBits"]);
  const params = { name: "PBKDF2", hash: "SHA-256", salt, iterations: rounds };
  const bits = new Uint8Array(await subtle.deriveBits(params, base, 512));
  try {
    const aes = await subtle.importKey("raw", bits.subarray(0, 32), "AES-CBC", false, [aesUsage]);
    const hmac = { name: "HMAC", hash: "SHA-256" };
    const mac = await subtle.importKey("raw", bits.subarray(32), hmac, false, ["sign", "verify"]);
    return { aes, mac };
  } finally {
    bits.fill(0);
  }
}

const oneLine = (text) => text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, "");

/** medisetup-cle-<login>-<first 8 digits of the fingerprint>.pem, with a login made fit for any file system. */
export function keyFileName(login, fingerprint) {
  const fit = login.replace(/[^A-Za-z0-9._-]/g, "-").replace(/^\.+/, "");
  return `medisetup-cle-${fit}-${fingerprint.slice(0, 8)}.pem`;
}

/** Text of the file that seals an extractable private key under the passphrase. created: Date. */
export async function writeKeyFile({ privateKey, passphrase, fingerprint, portal, login, created, rounds = ROUNDS }) {
  const salt = crypto.getRandomValues(new Uint8Array(16));
  const iv = crypto.getRandomValues(new Uint8Array(16));
  const { aes, mac } = await deriveKeys(passphrase, salt, rounds, "wrapKey");
  const body = new Uint8Array(await crypto.subtle.wrapKey("pkcs8", privateKey, aes, { name: "AES-CBC", iv }));
  const der = buildSealed({ salt, rounds, iv, body });
  const head = [
    "Medisetup-Key: 1",
    `Portal: ${oneLine(portal)}`,
    `Login: ${oneLine(login)}`,
    `Created: ${created.toISOString().slice(0, 19)}Z`,
    `Fingerprint-SHA256: ${fingerprint}`,
  ].map((line) => `${line}\n`).join("");
  const tag = toHex(new Uint8Array(await crypto.subtle.sign("HMAC", mac, join(utf8(head), der))));
  const lines = toBase64(der).match(/.{1,64}/g).join("\n");
  return `${head}Integrity: hmac-sha256 ${tag}\n\n${BEGIN}\n${lines}\n${END}\n`;
}

const LABELS = [
  [/-----BEGIN (?:RSA |EC |DSA |OPENSSH )?PRIVATE KEY-----/, "file_unprotected"],
  [/-----BEGIN (?:RSA )?PUBLIC KEY-----/, "file_is_public"],
  [/^(?:ssh-|ecdsa-)/, "file_is_public"],
  [/-----BEGIN (?:[A-Z0-9 ]+ )?(?:CERTIFICATE|PKCS7|PKCS12)-----/, "file_is_keystore"],
  [/^\s*\{[^]*"kty"[^]*"d"\s*:/, "file_unprotected"],
  [/^\s*\{[^]*"kty"/, "file_is_public"],
  [/-----BEGIN /, "file_unsupported"],
];
const JAVA_KEYSTORE = "feedfeed";

const isHex = (text) => /^\s*30[0-9a-fA-F\s]+$/.test(text);
const hexBytes = (text) => {
  const digits = text.replace(/\s/g, "");
  return digits.length % 2 ? new Uint8Array() : fromHex(digits);
};

function kindOf(bytes, text) {
  if (/Proc-Type: 4,ENCRYPTED/.test(text)) return "file_unsupported";
  const label = LABELS.find(([pattern]) => pattern.test(text));
  if (label) return label[1];
  if (isHex(text)) return kindOfDer(hexBytes(text));
  if (toHex(bytes.subarray(0, 4)) === JAVA_KEYSTORE) return "file_is_keystore";
  return kindOfDer(bytes);
}

function decodeBody(lines) {
  try {
    return fromBase64(lines.map((line) => line.trim()).join(""));
  } catch {
    throw damaged();
  }
}

/** The lines above the PEM block and its DER; an error that names what the file is when there is no such block. */
function splitFile(bytes, text) {
  const lines = text.split("\n");
  const begin = lines.indexOf(BEGIN);
  if (begin < 0) throw new KeyFault(kindOf(bytes, text));
  const end = lines.indexOf(END, begin);
  if (end < 0 || lines.slice(end + 1).some((line) => line.trim() !== "")) throw damaged();
  return { head: lines.slice(0, begin), der: decodeBody(lines.slice(begin + 1, end)) };
}

function readHead(head) {
  const at = head.findIndex((line) => INTEGRITY.test(line));
  const above = at < 0 ? head : head.slice(0, at);
  const values = above.map((line) => FINGERPRINT.exec(line)?.[1]).filter(Boolean);
  if (values.length > 1) throw damaged();
  if (at >= 0 && head.slice(at + 1).join("") !== "") throw damaged();
  return {
    fingerprint: values[0] ?? "",
    tag: at < 0 ? "" : INTEGRITY.exec(head[at])[1],
    above: above.map((line) => `${line}\n`).join(""),
    ours: head.some((line) => line.startsWith("Medisetup-Key:")),
  };
}

function decode(bytes) {
  return new TextDecoder("utf-8").decode(bytes).replace(/^\ufeff/, "").replace(/\r/g, "");
}

/**
 * Read without any code. expected: fingerprint that the server knows, or "". integrity: "required" when this portal
 * wrote the file of the expected key; a file with our header needs its Integrity line in any case.
 * Returns {fingerprint ("" in a foreign file), ours, …} for openKeyFile. KeyFault: file_too_large, file_not_key,
 * file_is_public, file_is_keystore, file_unprotected, file_unsupported, key_mismatch {found, expected,
 * foundFull}, wrong_code_or_damaged.
 */
export function readKeyFile(bytes, { expected = "", integrity = "required" } = {}) {
  if (bytes.length > MAX_FILE_BYTES) throw new KeyFault("file_too_large");
  const { head, der } = splitFile(bytes, decode(bytes));
  const facts = readHead(head);
  const sealed = parseSealed(der);
  if (facts.fingerprint) checkFingerprint(facts.fingerprint, expected);
  if (!facts.tag && (facts.ours || integrity === "required")) throw damaged();
  if (facts.tag && !facts.fingerprint) throw damaged();
  return { ...facts, ...sealed, der };
}

function checkFingerprint(found, expected) {
  if (!expected || found === expected) return;
  throw new KeyFault("key_mismatch", { found: grouped(found), expected: grouped(expected), foundFull: found });
}

async function checkTag(parsed, mac) {
  if (!parsed.tag) return;
  const signed = join(utf8(parsed.above), parsed.der);
  if (!(await crypto.subtle.verify("HMAC", mac, fromHex(parsed.tag), signed))) throw damaged();
}

/** A trial signature: the private half belongs to the public half. */
export async function isPair(privateKey, spki) {
  const params = { name: "RSA-PSS", saltLength: 32 };
  const trial = utf8("medisetup-key-trial");
  const publicKey = await crypto.subtle.importKey("spki", spki, PSS, true, ["verify"]);
  const signature = await crypto.subtle.sign(params, privateKey, trial);
  return crypto.subtle.verify(params, publicKey, signature, trial);
}

async function unwrap({ iv, body }, aes) {
  const cipher = { name: "AES-CBC", iv };
  return crypto.subtle.unwrapKey("pkcs8", body, aes, cipher, PSS, false, ["sign"]);
}

/** The clear PKCS#8 lives for this call only: the public half cannot be had from a key that is not exportable. */
async function unwrapBoth({ iv, body }, aes) {
  const clear = new Uint8Array(await crypto.subtle.decrypt({ name: "AES-CBC", iv }, aes, body));
  try {
    const spki = publicHalf(clear);
    const key = await crypto.subtle.importKey("pkcs8", clear, PSS, false, ["sign"]);
    if (!(await isPair(key, spki))) throw damaged();
    return { key, spki, fingerprint: await fingerprintOf(spki) };
  } finally {
    clear.fill(0);
  }
}

/**
 * Open what readKeyFile returned → {key: CryptoKey that signs and cannot be exported, fingerprint, spki}. spki is
 * null unless wantPublic, or the file has no Integrity line. KeyFault wrong_code_or_damaged, key_mismatch.
 */
export async function openKeyFile(parsed, passphrase, { expected = "", wantPublic = false } = {}) {
  const both = wantPublic || !parsed.tag;
  try {
    const { aes, mac } = await deriveKeys(passphrase, parsed.salt, parsed.rounds, both ? "decrypt" : "unwrapKey");
    await checkTag(parsed, mac);
    if (!both) return { key: await unwrap(parsed, aes), fingerprint: parsed.fingerprint, spki: null };
    const opened = await unwrapBoth(parsed, aes);
    if (parsed.fingerprint && parsed.fingerprint !== opened.fingerprint) throw damaged();
    checkFingerprint(opened.fingerprint, expected);
    return opened;
  } catch (error) {
    // OperationError and DataError both mean a wrong code; a wrong code can also yield bytes that parse as nothing.
    if (error instanceof KeyFault && error.code === "key_mismatch") throw error;
    if (error instanceof KeyFault && error.code === "file_unsupported" && parsed.tag) throw error;
    throw damaged();
  }
}

/** PKCS#8 bytes of a file without protection (PEM, DER or iCure's hex text). KeyFault file_unsupported. */
export function unprotectedKey(bytes) {
  const text = decode(bytes);
  const block = /-----BEGIN PRIVATE KEY-----\n([^-]+)-----END PRIVATE KEY-----/.exec(text);
  const der = block ? decodeBody(block[1].split("\n")) : isHex(text) ? hexBytes(text) : bytes.slice();
  publicHalf(der);
  return der;
}
