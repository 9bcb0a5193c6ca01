/*
 * Proof of possession: an RSA-PSS signature over a message that is built here from checked fields, never over bytes
 * that came from elsewhere. Its first line is a constant, so no signature serves another feature.
 */
import { KeyFault } from "./fault.js";
import { sha256, toBase64, toHex, utf8 } from "./encoding.js";

const FIRST_LINE = "medisetup-key-proof-v1";
const PURPOSES = ["register", "backup", "import", "session", "rotate-old", "rotate-new", "revoke", "action"];
const FIELDS = [
  ["origin", /^https?:\/\/[A-Za-z0-9.\-[\]:]+$/],
  ["user", /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/],
  ["id", /^[A-Za-z0-9_-]{16,128}$/],
  ["nonce", /^[A-Za-z0-9_-]{43}$/],
  ["fingerprint", /^[0-9a-f]{64}$/],
  ["binding", /^(?:-|[0-9a-f]{64})$/],
];

/** Eight lines joined by LF. fields: purpose, origin, user, id, nonce, fingerprint, binding ("-" by default). */
export function proofMessage(fields) {
  const given = { binding: "-", ...fields };
  const fits = PURPOSES.includes(given.purpose) && FIELDS.every(([name, shape]) => shape.test(given[name]));
  if (!fits) throw new KeyFault("challenge_invalid");
  return [FIRST_LINE, given.purpose, ...FIELDS.map(([name]) => given[name])].join("\n");
}

/** Standard base64 of the signature over proofMessage(fields). */
export async function signProof(privateKey, fields) {
  const params = { name: "RSA-PSS", saltLength: 32 };
  const signature = await crypto.subtle.sign(params, privateKey, utf8(proofMessage(fields)));
  return toBase64(new Uint8Array(signature));
}

/** Binding of an action: SHA-256 hex of its canonical form. entries: [[name, value], …] in order. */
export async function actionBinding(kind, subject, entries) {
  return toHex(await sha256(utf8(JSON.stringify([kind, subject, entries]))));
}
