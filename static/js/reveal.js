// Shows or hides what was typed in a password field; hidden again before the form leaves.
function apply(button, input, shown) {
  input.type = shown ? "text" : "password";
  button.querySelector("[data-word]").textContent = shown ? button.dataset.hide : button.dataset.show;
}

for (const button of document.querySelectorAll("[data-reveal]")) {
  const input = document.getElementById(button.dataset.reveal);
  if (!input) continue;
  button.hidden = false;
  button.addEventListener("click", () => apply(button, input, input.type === "password"));
  input.form?.addEventListener("submit", () => apply(button, input, false));
}
