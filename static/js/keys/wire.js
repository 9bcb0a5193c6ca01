/*
 * The three requests of a key page (contract in ../keys.js §4). Every failure becomes a KeyFault. What is sent:
 * exactly the fields given, never a file, never a private half.
 */
import { KeyFault } from "./fault.js";
import { signProof } from "./proof.js";

const token = (page) => page.form.querySelector("[name=csrfmiddlewaretoken]").value;

async function post(page, url, body, type) {
  const headers = { Accept: "application/json", "X-CSRFToken": token(page), "Content-Type": type };
  const options = { method: "POST", credentials: "same-origin", cache: "no-store", headers, body };
  const response = await fetch(url, options).catch(() => {
    throw new KeyFault("network");
  });
  return { response, answer: await readAnswer(response) };
}

async function readAnswer(response) {
  const isJson = /^application\/json\b/.test(response.headers.get("Content-Type") ?? "");
  return isJson ? response.json().catch(() => ({})) : {};
}

function check(response, answer) {
  if (response.ok) return;
  const { code = "unexpected", params = {}, url = "", message = "" } = answer;
  throw new KeyFault(code, params, { url: code === "second_proof_required" ? url : "", message });
}

async function postJson(page, url, payload) {
  const { response, answer } = await post(page, url, JSON.stringify(payload), "application/json");
  check(response, answer);
  if (response.redirected) throw new KeyFault("session_ended");
  return answer;
}

/** The file code that the server keeps. */
export async function fetchCode(page) {
  page.status("progress_code");
  const { code } = await postJson(page, page.data.codeUrl, {});
  if (typeof code !== "string") throw new KeyFault("unexpected");
  return code;
}

/** A fresh challenge of this person for this origin, answered by key: {id, proof}. */
export async function prove(page, { key, fingerprint, purpose, binding = "-" }) {
  page.status("progress_prove");
  const { id, nonce, user, origin } = await postJson(page, page.data.challengeUrl, { purpose, binding });
  if (user !== page.data.user || origin !== location.origin) throw new KeyFault("challenge_invalid");
  const proof = await signProof(key, { purpose, origin: location.origin, user, id, nonce, fingerprint, binding });
  return { id, proof };
}

function nextOf(page, response, answer) {
  const { nextUrl } = page.data;
  if (response.redirected) {
    if (new URL(response.url).pathname !== new URL(nextUrl, location.href).pathname) {
      throw new KeyFault("session_ended");
    }
    return nextUrl;
  }
  return answer.next || nextUrl;
}

/** Send the page's form with these fields ([[name, value], …]); resolves to the address to go on to. */
export async function sendForm(page, fields) {
  page.status("progress_register");
  const body = new URLSearchParams([["csrfmiddlewaretoken", token(page)], ...fields]).toString();
  const { response, answer } = await post(page, page.form.getAttribute("action"), body, "application/x-www-form-urlencoded");
  check(response, answer);
  return nextOf(page, response, answer);
}
