/*
 * One key page as seen by the flows: its parts, its sentences (templates of the server), progress, errors, busy
 * state. Text is only ever set as text.
 */
import { KeyFault } from "./fault.js";

const PATIENCE_MS = 300;

function sentence(code, params) {
  const template = document.querySelector(`template[data-message="${CSS.escape(code)}"]`);
  const text = template?.content.textContent.trim() ?? "";
  return text.replace(/\{(\w+)\}/g, (place, name) => params[name] ?? place);
}

function readData(root) {
  const { dataset } = root;
  return {
    user: dataset.user ?? "",
    login: dataset.login ?? "",
    name: dataset.name ?? "",
    origin: dataset.origin ?? "",
    portal: dataset.portal ?? location.host,
    fingerprint: dataset.fingerprint ?? "",
    protection: dataset.protection ?? "",
    integrity: dataset.integrity === "optional" ? "optional" : "required",
    superseded: JSON.parse(dataset.superseded || "{}"),
    challengeUrl: dataset.challengeUrl ?? "",
    codeUrl: dataset.codeUrl ?? "",
    importUrl: dataset.importUrl ?? "",
    nextUrl: dataset.nextUrl ?? "",
    purpose: dataset.purpose === "register" ? "register" : "import",
    action: dataset.action ?? "",
    subject: dataset.subject ?? "",
  };
}

const warnBeforeLeaving = (event) => event.preventDefault();

export class KeyPage {
  #running = false;
  #timer = 0;
  #started = 0;

  constructor(root) {
    this.root = root;
    this.kind = root.dataset.keyPage;
    this.data = readData(root);
    this.form = this.part("form");
  }

  /** Element that carries data-key-<name>, or null. */
  part(name) {
    return this.root.querySelector(`[data-key-${name}]`);
  }

  show(name, visible = true) {
    const element = this.part(name);
    if (element) element.hidden = !visible;
    return element;
  }

  ticked(name) {
    return this.part(name)?.checked === true;
  }

  /** Text typed into a part; the field is emptied when take is true. */
  typed(name, { take = false } = {}) {
    const field = this.part(name);
    const text = field?.value ?? "";
    if (field && take) field.value = "";
    return text;
  }

  fill(slot, text) {
    for (const element of this.root.querySelectorAll(`[data-key-slot="${slot}"]`)) {
      if (element instanceof HTMLTextAreaElement) element.value = text;
      else element.textContent = text;
    }
  }

  /** A sentence in the status line; progress is shown only when the task already takes a while. */
  status(code, params = {}) {
    clearTimeout(this.#timer);
    const say = () => {
      const line = this.part("status");
      if (line) line.textContent = code ? sentence(code, params) : "";
    };
    const wait = code.startsWith("progress_") ? this.#started + PATIENCE_MS - performance.now() : 0;
    if (wait > 0) this.#timer = setTimeout(say, wait);
    else say();
  }

  fail(error) {
    const fault = error instanceof KeyFault ? error : new KeyFault("unexpected");
    this.status("");
    const box = this.part("error");
    if (!box) return;
    box.textContent = fault.sentence || sentence(fault.code, fault.params) || sentence("unexpected", {});
    box.dataset.code = fault.code;
    box.hidden = false;
    box.focus();
  }

  clearError() {
    const box = this.part("error");
    if (!box) return;
    box.hidden = true;
    box.textContent = "";
    delete box.dataset.code;
  }

  /** Run one task at a time: buttons disabled and busy meanwhile, every error shown. */
  async run(task) {
    if (this.#running) return;
    this.#running = true;
    this.#started = performance.now();
    this.clearError();
    const buttons = [...this.root.querySelectorAll("button:enabled")];
    for (const button of buttons) this.#setBusy(button, true);
    const fault = await Promise.resolve().then(task).then(() => null, (error) => error);
    for (const button of buttons) this.#setBusy(button, false);
    this.#running = false;
    if (fault?.url) this.go(fault.url);
    else if (fault) this.fail(fault);
  }

  #setBusy(button, busy) {
    button.disabled = busy;
    if (busy) button.setAttribute("aria-busy", "true");
    else button.removeAttribute("aria-busy");
  }

  onSubmit(task) {
    const start = (event) => {
      event.preventDefault();
      this.run(task);
    };
    this.form?.addEventListener("submit", start);
    this.onPress("generate", start);
  }

  /** Clicks on a button that does not already submit the page's form. */
  onPress(name, listener) {
    const button = this.part(name);
    const submits = button?.type === "submit" && button.form === this.form;
    if (!submits) button?.addEventListener("click", listener);
  }

  /** Ask before the page is left while the only copy of something is in its memory. */
  guard(on) {
    if (on) addEventListener("beforeunload", warnBeforeLeaving);
    else removeEventListener("beforeunload", warnBeforeLeaving);
  }

  /** Same-origin address only. */
  go(url, { replace = false } = {}) {
    const target = new URL(url, location.href);
    if (target.origin !== location.origin) throw new KeyFault("unexpected");
    this.guard(false);
    if (replace) location.replace(target);
    else location.assign(target);
  }
}
