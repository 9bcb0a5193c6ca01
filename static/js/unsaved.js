// Asks before leaving a form marked data-unsaved whose values differ from the ones it came with.
const files = (form) => [...form.querySelectorAll("input[type=file]")].some((input) => input.files.length > 0);
const typed = (form) => JSON.stringify([...new FormData(form)].filter(([, value]) => typeof value === "string"));

for (const form of document.querySelectorAll("form[data-unsaved]")) {
  // A form that came back, with errors or a row more, holds values that are nowhere saved.
  const first = form.dataset.unsaved === "changed" ? "" : typed(form);
  let leaving = false;
  form.addEventListener("submit", () => { leaving = true; });
  window.addEventListener("pageshow", () => { leaving = false; });
  window.addEventListener("beforeunload", (event) => {
    if (!leaving && (typed(form) !== first || files(form))) event.preventDefault();
  });
}
