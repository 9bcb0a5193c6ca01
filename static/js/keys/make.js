/*
 * Pages that make a pair: first generation and rotation. Generate, seal, test, download, register; the device copy is
 * written after the server said yes; fingerprint, code, sheet stay on the page until « Continuer ».
 */
import { ownPassphrase } from "./code.js";
import { saveDeviceKey } from "./device.js";
import { grouped, toBase64 } from "./encoding.js";
import { KeyFault } from "./fault.js";
import { makePair } from "./pair.js";
import { currentKey, listenForFile } from "./open.js";
import { clearSheet, fillSheet, printSheet } from "./sheet.js";
import { prove, sendForm } from "./wire.js";

const DOWNLOAD_LIFE_MS = 60_000;
const RETRY_SAME_PAIR = ["network", "challenge_invalid", "bad_proof", "throttled", "session_ended"];

/** Hand the key file to the browser's downloads. */
export function download(made) {
  const url = URL.createObjectURL(new Blob([made.text], { type: "application/x-pem-file" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = made.name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), DOWNLOAD_LIFE_MS);
}

/** Fields that register a pair, as the server expects them. */
export function registration(page, made, { id, proof }, origin) {
  const fields = [
    ["challenge", id],
    ["public_key", toBase64(made.spki)],
    ["proof", proof],
    ["protection", made.protection],
    ["file_code", made.code],
    ["origin", origin],
  ];
  return page.ticked("prepared") ? [...fields, ["prepared", "on"]] : fields;
}

export async function keepOnDevice(page, { fingerprint, key }) {
  if (page.ticked("shared")) return;
  const kept = await saveDeviceKey(page.data.user, fingerprint, key);
  if (!kept) page.show("private");
}

/** Show fingerprint, code and file of a registered pair, and the way on. */
export function showResult(page, made, next) {
  page.fill("fingerprint", grouped(made.fingerprint));
  page.fill("fingerprint-full", made.fingerprint);
  page.fill("file", made.name);
  page.fill("code", made.code);
  page.fill("pem", made.text);
  page.show("code-part", made.code !== "");
  page.show("before", false);
  const sheet = page.part("sheet");
  if (sheet) fillSheet(sheet, made, { ...page.data, language: document.documentElement.lang });
  const onward = page.part("continue");
  onward.href = next;
  onward.addEventListener("click", () => leave(page, sheet));
  page.part("download")?.addEventListener("click", () => download(made));
  page.part("print")?.addEventListener("click", printSheet);
  page.part("copy")?.addEventListener("click", () => copy(page, made.text));
  page.status("done_registered");
  page.show("after").querySelector("h1, h2, h3")?.focus();
}

function leave(page, sheet) {
  page.guard(false);
  if (sheet) clearSheet(sheet);
  page.fill("code", "");
  page.fill("pem", "");
}

async function copy(page, text) {
  await navigator.clipboard.writeText(text).then(
    () => page.status("done_copied"),
    () => page.part("after").querySelector("textarea")?.select(),
  );
}

function chosenPassphrase(page) {
  if (!page.ticked("personal")) return "";
  const words = [page.data.login, page.data.login.split("@")[0], page.data.name];
  return ownPassphrase(page.typed("passphrase"), page.typed("passphrase-again"), words);
}

function forgetPassphrase(page) {
  page.typed("passphrase", { take: true });
  page.typed("passphrase-again", { take: true });
}

async function alone(work) {
  if (!navigator.locks) return work();
  return navigator.locks.request("medisetup-key", { ifAvailable: true }, (lock) => {
    if (!lock) throw new KeyFault("other_tab");
    return work();
  });
}

/** One pair for the page: a second try after a lost answer registers the pair whose file was already downloaded. */
function pairMaker(page) {
  let made = null;
  return {
    async get() {
      if (made) return made;
      const passphrase = chosenPassphrase(page);
      page.status("progress_generate");
      made = await makePair({ login: page.data.login, portal: page.data.portal, passphrase });
      forgetPassphrase(page);
      page.guard(true);
      download(made);
      return made;
    },
    dropAfter(error) {
      if (error instanceof KeyFault && (RETRY_SAME_PAIR.includes(error.code) || error.url)) return;
      made = null;
      page.guard(false);
    },
  };
}

function makingPage(page, register) {
  const maker = pairMaker(page);
  page.part("personal")?.addEventListener("change", () => page.show("personal-section", page.ticked("personal")));
  page.onSubmit(() => alone(async () => {
    try {
      const { made, next } = await register(maker);
      await keepOnDevice(page, made);
      showResult(page, made, next);
    } catch (error) {
      maker.dropAfter(error);
      throw error;
    }
  }));
}

export function generatePage(page) {
  makingPage(page, async (maker) => {
    const made = await maker.get();
    const answered = await prove(page, { ...made, purpose: "register" });
    return { made, next: await sendForm(page, registration(page, made, answered, "generated")) };
  });
}

async function rotationFields(page, old, made) {
  const before = await prove(page, { ...old, purpose: "rotate-old", binding: made.fingerprint });
  const after = await prove(page, { ...made, purpose: "rotate-new", binding: old.fingerprint });
  return [
    ["challenge_old", before.id],
    ["proof_old", before.proof],
    ["challenge_new", after.id],
    ["proof_new", after.proof],
    ["public_key", toBase64(made.spki)],
    ["protection", made.protection],
    ["file_code", made.code],
  ];
}

export async function rotatePage(page) {
  const chosen = await listenForFile(page, { unlessOnDevice: true });
  makingPage(page, async (maker) => {
    const old = await currentKey(page, chosen);
    const made = await maker.get();
    return { made, next: await sendForm(page, await rotationFields(page, old, made)) };
  });
}
