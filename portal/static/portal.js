// Offers to copy what is meant to be copied. Everything works without it, by selecting the text.
"use strict";
for (const box of document.querySelectorAll("[data-copy]")) {
  const of = document.getElementById(box.dataset.copy);
  if (!of || !navigator.clipboard) continue;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "plain";
  button.textContent = box.dataset.label;
  box.append(button);
  const said = document.createElement("span");
  said.setAttribute("role", "status");
  said.className = "soft";
  box.append(said);
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(of.textContent);
      said.textContent = " " + box.dataset.done;
      setTimeout(() => { said.textContent = ""; }, 3000);
    } catch {
      getSelection().selectAllChildren(of); // the person copies it
    }
  });
}
