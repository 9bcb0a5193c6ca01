/*
 * A new pair: made, sealed into the text of its file, and that text opened again before anybody relies on it.
 * The clear private half never leaves the browser's own key objects; what is returned can sign, not be exported.
 */
import { makeCode } from "./code.js";
import { fingerprintOf, utf8 } from "./encoding.js";
import { KeyFault } from "./fault.js";
import { PSS, isPair, keyFileName, openKeyFile, readKeyFile, writeKeyFile } from "./file.js";
import { publicHalf } from "./der.js";

const BITS = 3072;

async function generate() {
  const params = { ...PSS, modulusLength: BITS, publicExponent: Uint8Array.of(1, 0, 1) };
  const { privateKey, publicKey } = await crypto.subtle.generateKey(params, true, ["sign", "verify"]);
  const spki = new Uint8Array(await crypto.subtle.exportKey("spki", publicKey));
  return { privateKey, spki };
}

async function reopen(text, passphrase, fingerprint, spki) {
  const { key } = await openKeyFile(readKeyFile(utf8(text), { expected: fingerprint }), passphrase);
  if (!(await isPair(key, spki))) throw new KeyFault("unexpected");
  return key;
}

async function seal({ privateKey, spki }, { login, portal, passphrase = "", created = new Date() }) {
  const fingerprint = await fingerprintOf(spki);
  const code = passphrase ? "" : await makeCode();
  const secret = passphrase || code;
  const text = await writeKeyFile({ privateKey, passphrase: secret, fingerprint, portal, login, created });
  const key = await reopen(text, secret, fingerprint, spki);
  const protection = passphrase ? "personal" : "portal";
  return { key, spki, fingerprint, text, code, protection, created, name: keyFileName(login, fingerprint) };
}

/**
 * Make and seal a pair. owner: {login, portal, passphrase, created}; without passphrase a file code is made.
 * Returns {key, spki, fingerprint, text, name, code ("" with an own passphrase), protection, created}.
 */
export async function makePair(owner) {
  return seal(await generate(), owner);
}

/** Seal a private key that lay in a clear PKCS#8; the bytes given are overwritten. Returns what makePair returns. */
export async function adoptPair(pkcs8, owner) {
  try {
    const spki = publicHalf(pkcs8);
    const privateKey = await crypto.subtle.importKey("pkcs8", pkcs8, PSS, true, ["sign"]);
    return await seal({ privateKey, spki }, owner);
  } catch (error) {
    throw error instanceof KeyFault ? error : new KeyFault("file_unsupported");
  } finally {
    pkcs8.fill(0);
  }
}
