/*
 * File code: 24 random symbols of Crockford's base 32 (120 bits) and one check symbol, written in groups of
 * five with hyphens. That written form, 29 characters, is the passphrase of the key file.
 */
import { KeyFault } from "./fault.js";
import { sha256, utf8 } from "./encoding.js";

const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const RANDOM_SYMBOLS = 24;

async function checkSymbol(symbols) {
  const digest = await sha256(utf8(symbols));
  return ALPHABET[digest[0] >> 3];
}

const group = (symbols) => symbols.match(/.{5}/g).join("-");

/** A fresh file code, such as K7Q2M-9ZXCV-ABCDE-12345-FGHJP. */
export async function makeCode() {
  const random = crypto.getRandomValues(new Uint8Array(RANDOM_SYMBOLS));
  const symbols = Array.from(random, (byte) => ALPHABET[byte & 31]).join("");
  random.fill(0);
  return group(symbols + (await checkSymbol(symbols)));
}

/** Typed text → written form; blanks and hyphens dropped, O read as 0, I and L as 1. Else KeyFault code_mistyped. */
export async function normaliseCode(typed) {
  const symbols = typed.toUpperCase().replace(/[\s\-\u2010-\u2015]/g, "").replace(/O/g, "0").replace(/[IL]/g, "1");
  const wellFormed = symbols.length === RANDOM_SYMBOLS + 1 && [...symbols].every((one) => ALPHABET.includes(one));
  if (!wellFormed || (await checkSymbol(symbols.slice(0, RANDOM_SYMBOLS))) !== symbols[RANDOM_SYMBOLS]) {
    throw new KeyFault("code_mistyped");
  }
  return group(symbols);
}

/** Whether the text can be a file code. */
export async function isCode(typed) {
  return normaliseCode(typed).then(() => true, () => false);
}

const MIN_PASSPHRASE = 14;
const MIN_DIFFERENT = 6;

/** An own passphrase typed twice, in NFC; KeyFault passphrase_* when it is too weak. words: login and names. */
export function ownPassphrase(typed, again, words = []) {
  const chosen = typed.normalize("NFC");
  const folded = chosen.toLowerCase();
  const named = words.flatMap((word) => word.toLowerCase().split(/\s+/)).filter((word) => word.length >= 3);
  if ([...chosen].length < MIN_PASSPHRASE) throw new KeyFault("passphrase_short");
  if (chosen !== again.normalize("NFC")) throw new KeyFault("passphrase_differs");
  if (named.some((word) => folded.includes(word))) throw new KeyFault("passphrase_personal");
  if (new Set(folded).size < MIN_DIFFERENT) throw new KeyFault("passphrase_simple");
  return chosen;
}
