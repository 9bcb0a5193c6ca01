/* Bytes and their spellings: UTF-8, lower-case hex, standard base64 (strict), SHA-256, fingerprints. */

const encoder = new TextEncoder();

export function utf8(text) {
  return encoder.encode(text);
}

export function toHex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Bytes of an even number of hex digits; anything else is a TypeError. */
export function fromHex(text) {
  if (!/^(?:[0-9a-fA-F]{2})*$/.test(text)) throw new TypeError("hex");
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

export function toBase64(bytes) {
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}

/** Bytes of canonical base64: no blanks, padding present, unused bits zero; anything else is a TypeError. */
export function fromBase64(text) {
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text) || text.length % 4 !== 0) throw new TypeError("base64");
  const bytes = Uint8Array.from(atob(text), (symbol) => symbol.charCodeAt(0));
  if (toBase64(bytes) !== text) throw new TypeError("base64");
  return bytes;
}

export function join(...parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

export async function sha256(bytes) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

/** SHA-256 of the SPKI DER, 64 lower-case hex digits. */
export async function fingerprintOf(spki) {
  return toHex(await sha256(spki));
}

/** First 128 bits for people: eight groups of four capitals. */
export function grouped(fingerprint) {
  return fingerprint.slice(0, 32).toUpperCase().match(/.{4}/g)?.join(" ") ?? "";
}
