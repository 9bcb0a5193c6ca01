// After a refused or saved form, reading starts at the summary or the banner.
const target = document.querySelector(".error-summary[data-focus]") ?? document.querySelector("[data-focus]");
target?.focus();
