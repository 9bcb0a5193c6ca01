/*
 * From a chosen file to a key that can sign: reading at once (a wrong file is named before any code is asked),
 * then the code, typed or kept by the server.
 */
import { isCode, normaliseCode } from "./code.js";
import { loadDeviceKey } from "./device.js";
import { KeyFault } from "./fault.js";
import { MAX_FILE_BYTES, openKeyFile, readKeyFile, unprotectedKey } from "./file.js";
import { fetchCode } from "./wire.js";

async function bytesOf(file) {
  if (file.size > MAX_FILE_BYTES) throw new KeyFault("file_too_large");
  return new Uint8Array(await file.arrayBuffer());
}

function datedMismatch(page, error) {
  const date = error instanceof KeyFault && page.data.superseded[error.params.foundFull];
  return date ? new KeyFault("key_superseded", { date }) : error;
}

/** The file chosen on a page: parsed (readKeyFile) or, where a page takes it, bytes of an unprotected key. */
class ChosenFile {
  #page;
  #options;
  #reading = null;
  onDevice = null;
  opened = null;

  constructor(page, options) {
    this.#page = page;
    this.#options = options;
  }

  listen() {
    const input = this.#page.part("file");
    input?.addEventListener("change", () => this.#choose(input));
    if (input?.files.length) this.#choose(input);
  }

  #choose(input) {
    const [file] = input.files;
    this.#show(null);
    const reading = file ? this.#read(file) : null;
    this.#reading = reading;
    this.opened = null;
    reading?.catch(() => {
      if (this.#reading !== reading) return;
      input.value = "";
      this.#reading = null;
    });
    if (file) this.#page.run(() => reading);
  }

  async #read(file) {
    this.#page.status("progress_read");
    const bytes = await bytesOf(file);
    const found = this.#judge(bytes);
    this.#show(found);
    this.#page.status("done_file", { file: file.name });
    return found;
  }

  #judge(bytes) {
    const { expected, integrity, takesUnprotected } = this.#options;
    try {
      return { parsed: readKeyFile(bytes, { expected, integrity }) };
    } catch (error) {
      if (!takesUnprotected || error.code !== "file_unprotected") throw datedMismatch(this.#page, error);
      return { clear: unprotectedKey(bytes) };
    }
  }

  #show(found) {
    this.#page.show("code-section", Boolean(found?.parsed));
    this.#page.show("unprotected", Boolean(found?.clear));
  }

  async get() {
    if (!this.#reading) throw new KeyFault("file_missing");
    return this.#reading;
  }
}

/** Watch the file input. options: expected, integrity, takesUnprotected, unlessOnDevice (device key comes first). */
export async function listenForFile(page, { unlessOnDevice = false, ...options } = {}) {
  const { fingerprint, integrity, user } = page.data;
  const chosen = new ChosenFile(page, { expected: fingerprint, integrity, ...options });
  if (unlessOnDevice) chosen.onDevice = await loadDeviceKey(user, fingerprint);
  if (unlessOnDevice) page.show("file-section", !chosen.onDevice);
  chosen.listen();
  return chosen;
}

/** Passphrase of the file from the typed text: a file code in its written form, or an own passphrase as typed. */
async function passphraseFrom(page, typed) {
  if (page.data.protection === "personal") return typed;
  if (page.data.protection === "portal" || (await isCode(typed))) return normaliseCode(typed);
  return typed;
}

async function askForPassphrase(page) {
  const typed = page.typed("code");
  if (typed.trim() !== "") return passphraseFrom(page, typed);
  if (!page.data.codeUrl || page.data.protection === "personal") throw new KeyFault("code_missing");
  return fetchCode(page);
}

/** Open a parsed file → {key, fingerprint, spki, passphrase}; the typed code is emptied once it was right. */
export async function openChosen(page, parsed, { expected = page.data.fingerprint, wantPublic = false } = {}) {
  const passphrase = await askForPassphrase(page);
  page.status("progress_open");
  const opened = await openKeyFile(parsed, passphrase, { expected, wantPublic }).catch((error) => {
    throw datedMismatch(page, error);
  });
  page.typed("code", { take: true });
  return { ...opened, passphrase };
}

/** The live key, from the device or from the chosen file. */
export async function currentKey(page, chosen) {
  const { fingerprint } = page.data;
  if (chosen.onDevice) return { key: chosen.onDevice, fingerprint };
  chosen.opened ??= await openChosen(page, (await chosen.get()).parsed);
  return chosen.opened;
}
