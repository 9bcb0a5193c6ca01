// Shows BIC and bank as soon as an account number is complete; the server decides again when the form is sent.
// Field: <input data-bic-url="…">. Place: the element with data-bic-for="<id of the field>" (components/bic.html).
const WAIT = 250;
const LENGTHS = { BE: 16, NL: 18, LU: 20, DE: 22, FR: 27 };
const compact = (text) => text.replace(/[\s.\-]/g, "").toUpperCase();

function complete(iban) {
  if (!/^[A-Z]{2}\d{2}[A-Z0-9]+$/.test(iban)) return false;
  const wanted = LENGTHS[iban.slice(0, 2)];
  return wanted ? iban.length === wanted : iban.length >= 15 && iban.length <= 34;
}

function show(place, state, bic, note) {
  place.dataset.state = state;
  place.querySelector("[data-bic]").textContent = bic || "–";
  place.querySelector("[data-bank]").textContent = note;
}

async function ask(input, iban, signal) {
  const url = new URL(input.dataset.bicUrl, window.location.href);
  url.searchParams.set("iban", iban);
  const response = await fetch(url, { signal, credentials: "same-origin", headers: { Accept: "application/json" } });
  if (!response.ok) throw new Error(String(response.status));
  return response.json();
}

function watch(input, place) {
  let timer = 0;
  let request = new AbortController();
  let last = compact(input.value);
  const look = async (iban) => {
    request = new AbortController();
    try {
      const { bic, bank, error, missing } = await ask(input, iban, request.signal);
      const state = missing ? "missing" : error ? "error" : "found";
      show(place, state, bic, error || bank || "");
    } catch (problem) {
      if (problem.name !== "AbortError") show(place, "", "", place.dataset.unavailable);
    }
  };
  const changed = () => {
    const iban = compact(input.value);
    if (iban === last) return;
    last = iban;
    window.clearTimeout(timer);
    request.abort();
    show(place, "", "", place.dataset.empty);
    if (complete(iban)) timer = window.setTimeout(look, WAIT, iban);
  };
  input.addEventListener("input", changed);
  if (last && complete(last)) look(last);
}

for (const input of document.querySelectorAll("input[data-bic-url]")) {
  const place = document.querySelector(`[data-bic-for="${CSS.escape(input.id)}"]`);
  if (place) watch(input, place);
}
