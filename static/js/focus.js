// After a refused or saved form, reading starts at the summary or the banner.
const target = document.querySelector(".error-summary[data-focus]") ?? document.querySelector("[data-focus]");
target?.focus();
// After the skip link the address still ends in #main, and the browser goes there once more at the end of loading.
if (target && location.hash) window.addEventListener("load", () => window.setTimeout(() => target.focus()), { once: true });
