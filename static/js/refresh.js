// Keeps a piece of page current: fetches data-refresh-url every data-refresh-seconds and puts the answer in its place.
// Ends when the answer has status 286 or no longer carries data-refresh-url; waits while the page is hidden.
// What stands around the fragment is out of date then: the page is read again, unless somebody is typing in it.
// An answer in another shape (signed out, error page) ends it too: the plain link in the fragment still works.
const DONE = 286;
const SLOWEST = 60;

function adopt(region, text) {
  const parsed = new DOMParser().parseFromString(text, "text/html");
  const fresh = region.id ? parsed.getElementById(region.id) : parsed.querySelector("[data-refresh]");
  if (!fresh) return false;
  const focused = region.contains(document.activeElement) ? document.activeElement.id : "";
  if (fresh.innerHTML.trim() !== region.innerHTML.trim()) region.replaceChildren(...fresh.childNodes);
  if (focused) (document.getElementById(focused) ?? region).focus();
  if (fresh.dataset.refreshUrl) region.dataset.refreshUrl = fresh.dataset.refreshUrl;
  else delete region.dataset.refreshUrl;
  return true;
}

async function load(region) {
  const response = await fetch(region.dataset.refreshUrl, {
    headers: { "X-Requested-With": "fetch", Accept: "text/html" },
    credentials: "same-origin",
    cache: "no-store",
  });
  if (response.status >= 500) throw new Error(String(response.status));
  const usable = response.ok && !response.redirected && adopt(region, await response.text());
  return usable && response.status !== DONE && Boolean(region.dataset.refreshUrl);
}

// A password half typed or a file chosen is worth more than a fresh heading.
function busy() {
  return [...document.querySelectorAll("main input, main textarea")].some((field) =>
    field.type === "checkbox" || field.type === "radio" ? field.checked !== field.defaultChecked
      : field.type !== "hidden" && field.value !== field.defaultValue);
}

function finish(region) {
  region.removeAttribute("aria-busy");
  region.dispatchEvent(new CustomEvent("refresh:done", { bubbles: true }));
  if (!busy()) window.location.reload();
}

function schedule(region, seconds) {
  window.setTimeout(async () => {
    if (document.hidden) {
      document.addEventListener("visibilitychange", () => schedule(region, 0), { once: true });
      return;
    }
    try {
      if (await load(region)) schedule(region, Number(region.dataset.refreshSeconds) || 3);
      else finish(region);
    } catch {
      schedule(region, Math.min(SLOWEST, Math.max(seconds, 1) * 2));
    }
  }, seconds * 1000);
}

for (const region of document.querySelectorAll("[data-refresh-url]")) {
  schedule(region, Number(region.dataset.refreshSeconds) || 3);
}
