/*
 * The recovery sheet: a part of the page whose slots are filled from memory and that is then printed. It carries
 * the file code, so it must be kept apart from the file. Nothing is sent.
 */
import { grouped } from "./encoding.js";

/** Fill [data-sheet=…] under element; made is what makePair returned. */
export function fillSheet(element, made, { portal, login, name, language }) {
  const texts = {
    portal,
    login,
    name,
    created: made.created.toLocaleDateString(language || undefined, { dateStyle: "long" }),
    fingerprint: grouped(made.fingerprint),
    "fingerprint-full": made.fingerprint,
    file: made.name,
    code: made.code,
    command: `openssl pkey -in ${made.name} -passin stdin -check`,
  };
  for (const slot of element.querySelectorAll("[data-sheet]")) slot.textContent = texts[slot.dataset.sheet] ?? "";
  for (const part of element.querySelectorAll("[data-sheet-code]")) part.hidden = made.code === "";
}

/** Empty the slots again, so that the code does not stay in the page. */
export function clearSheet(element) {
  for (const slot of element.querySelectorAll("[data-sheet]")) slot.textContent = "";
}

/** Print while the document is marked data-print=sheet, which the print style looks at. */
export function printSheet() {
  const { documentElement } = document;
  documentElement.dataset.print = "sheet";
  addEventListener("afterprint", () => delete documentElement.dataset.print, { once: true });
  print();
}
