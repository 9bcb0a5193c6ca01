/*
 * Pages that use a key which exists: backup, import on another computer, silent proof of a session, signed action.
 */
import { isCode } from "./code.js";
import { loadDeviceKey, saveDeviceKey } from "./device.js";
import { KeyFault } from "./fault.js";
import { adoptPair } from "./pair.js";
import { download, keepOnDevice, registration, showResult } from "./make.js";
import { currentKey, listenForFile, openChosen } from "./open.js";
import { actionBinding } from "./proof.js";
import { prove, sendForm } from "./wire.js";

/** The backup counts when the saved file itself gives the proof; the device copy is not used. */
export async function backupPage(page) {
  const chosen = await listenForFile(page);
  page.onSubmit(async () => {
    const opened = await openChosen(page, (await chosen.get()).parsed);
    const { id, proof } = await prove(page, { ...opened, purpose: "backup" });
    const next = await sendForm(page, [["challenge", id], ["proof", proof]]);
    await fillDevice(page, opened);
    page.go(next);
  });
}

async function fillDevice(page, { key, fingerprint }) {
  const box = page.part("shared");
  const { user } = page.data;
  if (box && !box.checked && !(await loadDeviceKey(user, fingerprint))) await saveDeviceKey(user, fingerprint, key);
}

export async function importPage(page) {
  if (page.data.purpose === "register") return registeringPage(page);
  const chosen = await listenForFile(page);
  page.onSubmit(async () => {
    const opened = await openChosen(page, (await chosen.get()).parsed);
    const { id, proof } = await prove(page, { ...opened, purpose: "import" });
    const next = await sendForm(page, [["challenge", id], ["proof", proof], ["purpose", "import"]]);
    await keepOnDevice(page, opened);
    page.go(next);
  });
}

/** Somebody without live key brings the file of another portal or program. */
async function registeringPage(page) {
  const chosen = await listenForFile(page, { expected: "", integrity: "optional", takesUnprotected: true });
  const adoptedFrom = new WeakMap();
  page.onSubmit(async () => {
    const { parsed, clear } = await chosen.get();
    if (parsed) return registerProtected(page, parsed);
    page.status("progress_generate");
    if (!adoptedFrom.has(clear)) adoptedFrom.set(clear, await adopt(page, clear));
    const adopted = adoptedFrom.get(clear);
    const next = await register(page, adopted, "icure");
    return showResult(page, adopted, next);
  });
}

async function adopt(page, clear) {
  const made = await adoptPair(clear, page.data);
  page.guard(true);
  download(made);
  return made;
}

async function registerProtected(page, parsed) {
  const opened = await openChosen(page, parsed, { expected: "", wantPublic: true });
  const withCode = parsed.ours && (await isCode(opened.passphrase));
  const made = {
    ...opened,
    code: withCode ? opened.passphrase : "",
    protection: withCode ? "portal" : "personal",
  };
  page.go(await register(page, made, "imported"));
}

async function register(page, made, origin) {
  const answered = await prove(page, { ...made, purpose: "register" });
  const next = await sendForm(page, registration(page, made, answered, origin));
  await keepOnDevice(page, made);
  return next;
}

/** Runs by itself: the device key proves the session, or the import page takes over. */
export async function sessionPage(page) {
  const { user, fingerprint, importUrl } = page.data;
  const proveSession = async () => {
    const key = await loadDeviceKey(user, fingerprint);
    if (!key) return page.go(importUrl, { replace: true });
    const { id, proof } = await prove(page, { key, fingerprint, purpose: "session" });
    const next = await sendForm(page, [["challenge", id], ["proof", proof], ["purpose", "session"]]);
    return page.go(next, { replace: true });
  };
  const attempt = () => page.run(() => proveSession().catch((error) => {
    page.show("retry");
    throw error;
  }));
  page.onSubmit(proveSession);
  page.onPress("retry", attempt);
  await attempt();
}

function namedFields(form) {
  return [...new FormData(form)].filter(([name, content]) => name !== "csrfmiddlewaretoken" && typeof content === "string");
}

/** A form whose content is signed: the stored signature shows that the owner asked for it. */
export async function actionPage(page) {
  const chosen = await listenForFile(page, { unlessOnDevice: true });
  page.onSubmit(async () => {
    if (!page.form.reportValidity()) throw new KeyFault("unexpected");
    const current = await currentKey(page, chosen);
    const fields = namedFields(page.form);
    const binding = await actionBinding(page.data.action, page.data.subject, fields);
    const { id, proof } = await prove(page, { ...current, purpose: "action", binding });
    page.go(await sendForm(page, [...fields, ["challenge", id], ["proof", proof]]));
  });
}
