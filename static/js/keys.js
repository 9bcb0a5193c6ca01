/*
 * Personal key pair: page controller. Entry of every page under /key/.
 *
 *   <script type="module" src="{% static 'js/keys.js' %}"></script>
 *
 * The private half is made, sealed, opened and used here only. What leaves the browser: public key,
 * fingerprint, signatures, and (protection "portal") the file code. Every module of keys/ is useful alone.
 *
 * CONTRACT WITH THE SERVER PAGES
 * ==============================
 *
 * 1. Root: one element (main or section) per page
 *
 *   data-key-page       generate | backup | import | session | rotate | action
 *   data-user           uuid of the signed-in person, as in the challenge
 *   data-login          login (file header, file name)
 *   data-name           name to print on the sheet; also refused inside an own passphrase
 *   data-origin         origin the server expects, such as https://portail.example (from settings)
 *   data-portal         host for the header of the file
 *   data-fingerprint    64 hex of the live key, "" when there is none
 *   data-protection     portal | personal | ""      protection of the live key
 *   data-integrity      required | optional         required when this portal wrote the file of the live key
 *   data-superseded     JSON {"<64 hex>": "<date in words>"} of the person's replaced keys; optional
 *   data-challenge-url  POST /key/challenge/
 *   data-code-url       POST /key/code/; absent or "" when no code is kept
 *   data-import-url     session page: where to go without device key
 *   data-next-url       where to go when an answer names no "next"
 *   data-purpose        import page only: import | register (a person without live key brings a file)
 *   data-action, data-subject   action page only: kind ("key-reset") and uuid of its object
 *
 * 2. Parts, found inside the root; those marked * are needed, others are used when present.
 *    "reveal" = the script removes or sets the hidden attribute. The root gets data-ready="true" once it listens.
 *
 *   all pages
 *     form[data-key-form] *       method=post; action = the endpoint; holds csrfmiddlewaretoken. Its submit is
 *                                 taken over: inputs without name never travel. No enctype.
 *     [data-key-error] *          role=alert tabindex=-1 hidden: sentence of the error, revealed and focused
 *     [data-key-status] *         role=status: progress in words (after 300 ms)
 *     [data-key-work]             wraps buttons and forms; REMOVED when not_secure, no_webcrypto, wrong_origin
 *     [data-key-private]          hidden note, revealed when this window keeps no data (private window)
 *     [data-key-shared]           checkbox « Poste partagé »: no device key. Without this box, backup stores none;
 *                                 generate, import and rotate store one
 *   generate, rotate
 *     [data-key-generate] *       the button (type=submit inside the form, or type=button)
 *     [data-key-prepared]         checkbox « Je prépare ce compte pour quelqu'un d'autre » (generate)
 *     [data-key-personal]         checkbox « own passphrase »; reveals [data-key-personal-section] with
 *     [data-key-passphrase], [data-key-passphrase-again]   inputs type=password autocomplete=off, no name
 *   after registration (generate, rotate, import of an unprotected file)
 *     [data-key-before]           hidden once registered
 *     [data-key-after] *          hidden section, revealed and its first heading (tabindex=-1) focused; holds
 *       [data-key-slot="fingerprint|fingerprint-full|file|code|pem"]   filled by textContent (value for textarea)
 *       [data-key-code-part]      hidden when the protection is personal
 *       [data-key-download]       button « Télécharger de nouveau »
 *       [data-key-copy]           button: copies the PEM text (browsers that ignore downloads)
 *       [data-key-print]          button: prints the sheet; <html data-print="sheet"> while printing, so that
 *                                 `@media print { [data-print=sheet] … }` can hide all but [data-key-sheet]
 *       [data-key-continue] *     link; its href becomes "next" of the answer
 *     [data-key-sheet]            printed sheet: [data-sheet="portal|login|name|created|fingerprint|
 *                                 fingerprint-full|file|code|command"] filled; [data-sheet-code] hidden when personal
 *   backup, import, rotate, action  (rotate, action: only when the device has no key)
 *     [data-key-file] *           input type=file, no name
 *     [data-key-file-section]     rotate, action: hidden; revealed when the device has no key
 *     [data-key-code-section]     hidden; revealed once the file is right (holds the input below)
 *     [data-key-code]             input, no name, autocomplete=off: file code or own passphrase. Empty and
 *                                 data-code-url given: the code comes from the server
 *     [data-key-unprotected]      import with data-purpose=register: hidden part with the explanation, revealed for
 *                                 an unprotected file (iCure); submitting then re-saves it as a protected file
 *   session
 *     [data-key-retry]            hidden button, revealed after an error
 *
 * 3. Texts: <template data-message="CODE">sentence</template>, anywhere in the document, translated by the
 *    server. {name} places are filled. An error answer of the server may carry its own "message", which wins.
 *    Without template for a code, "unexpected" is shown.
 *
 *   progress_generate  progress_register  progress_read  progress_code  progress_open  progress_prove
 *   done_registered  done_file {file} (file is right, code may be typed)  done_copied
 *   not_secure {url}  no_webcrypto  wrong_origin {url}
 *   file_missing (none chosen)  file_too_large  file_not_key  file_is_public  file_is_keystore  file_unprotected
 *   file_unsupported  key_mismatch {found} {expected} (grouped fingerprints)  key_superseded {date}
 *   wrong_code_or_damaged  code_missing  code_mistyped
 *   passphrase_short  passphrase_differs  passphrase_personal (login or name inside)  passphrase_simple
 *   other_tab (another tab makes a key)  network (no answer)  session_ended  unexpected
 *   and the codes of the server: challenge_invalid bad_proof key_exists key_in_use key_weak not_a_key not_rsa
 *   private_key_sent too_large throttled key_required second_proof_required
 *
 * 4. Requests. All POST, same origin, with headers Accept: application/json and X-CSRFToken (value of the form's
 *    csrfmiddlewaretoken). A page's own form is sent as application/x-www-form-urlencoded, the two others as JSON.
 *
 *   POST /key/challenge/  {"purpose": P, "binding": B}
 *     → 200 {"id", "nonce", "user", "origin", "seconds", "fingerprint"}   id: base64url of ≥ 16 bytes, nonce:
 *       base64url of 32 bytes, both without "="; fingerprint: live key or "". Refused here when user or origin differ.
 *     P: register backup import session rotate-old rotate-new action; B: "-", the OTHER key's fingerprint for
 *     rotate-*, SHA-256 hex of the canonical action for action.
 *   POST /key/code/  {} → 200 {"code": "XXXXX-…"} | 403 {"code": "second_proof_required", "url": "/…"} (followed)
 *
 *   form of the page        fields besides csrfmiddlewaretoken
 *   generate  /key/register/  challenge public_key proof protection=portal|personal file_code ("" if personal)
 *                             origin=generated, prepared=on (absent when not ticked)
 *   import, register          the same; origin=imported (protected file) | icure (was unprotected, now re-saved)
 *   backup    /key/backup/    challenge proof
 *   import    /key/prove/     challenge proof purpose=import
 *   session   /key/prove/     challenge proof purpose=session
 *   rotate    /key/rotate/    challenge_old proof_old challenge_new proof_new public_key protection file_code
 *   action    its own         every named field of the form, challenge proof
 *   public_key: standard base64 of the SPKI DER; proof: standard base64 of the RSA-PSS signature (SHA-256, salt 32).
 *
 *   GET /key/rotate/ must ask for the second proof before it renders: a page that is left loses the new pair.
 *
 *   Good answer: 2xx JSON {"next": "/path/"} or 204 (next = data-next-url). A 303 that ends at the path of
 *   data-next-url counts as good; any other redirect is shown as session_ended.
 *   Bad answer: 4xx JSON {"code": "…", "params": {…}, "message": "…", "url": "…"}; all but code optional.
 *   "url" on 403 second_proof_required is followed. The page stays usable after every error.
 *
 * 5. Signed message: eight lines joined by LF, no LF at the end
 *   medisetup-key-proof-v1 / purpose / location.origin / user / challenge id / nonce / fingerprint of the signing
 *   key / binding
 *   Canonical action: UTF-8 of JSON [kind, subject, [[name, value], …]] without blanks, fields in document order
 *   (csrfmiddlewaretoken left out); Python: json.dumps(…, ensure_ascii=False, separators=(",", ":")).
 *
 * 6. Device: IndexedDB "medisetup", store "keys", key = data-user, {v: 1, fingerprint, sign, savedAt}; sign cannot
 *    be exported. Written only after the server said yes.
 */
import { deviceKeeps } from "./keys/device.js";
import { KeyFault } from "./keys/fault.js";
import { generatePage, rotatePage } from "./keys/make.js";
import { KeyPage } from "./keys/page.js";
import { actionPage, backupPage, importPage, sessionPage } from "./keys/read.js";

const PAGES = {
  generate: generatePage,
  backup: backupPage,
  import: importPage,
  session: sessionPage,
  rotate: rotatePage,
  action: actionPage,
};

/** Why keys cannot be used at this address or in this browser, or null. */
function obstacle({ origin }) {
  const url = (origin || location.origin) + location.pathname;
  if (!isSecureContext) return new KeyFault("not_secure", { url });
  if (!globalThis.crypto?.subtle) return new KeyFault("no_webcrypto");
  return origin && origin !== location.origin ? new KeyFault("wrong_origin", { url }) : null;
}

async function start(root) {
  const page = new KeyPage(root);
  const fault = obstacle(page.data);
  if (fault) {
    page.part("work")?.remove();
    page.fail(fault);
    return;
  }
  if (!(await deviceKeeps())) page.show("private");
  await PAGES[page.kind]?.(page);
  root.dataset.ready = "true";
}

for (const root of document.querySelectorAll("[data-key-page]")) start(root);
