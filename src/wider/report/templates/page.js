for (const code of document.querySelectorAll("code.command")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = "Copied";
  });
  code.after(" ", button);
}

// What a link leads to may be folded.
function reveal() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  const folded = target.closest("details:not([open])");
  for (let each = target; each; each = each.parentElement) if (each.matches("details")) each.open = true;
  if (target.matches(".appendix")) target.querySelector("details").open = true;
  if (folded) target.scrollIntoView();
}

addEventListener("hashchange", reveal);
reveal();
// A second click on the same link changes no address.
document.addEventListener("click", (event) => {
  if (event.target.closest("a")?.hash === location.hash) reveal();
});

const menu = document.querySelector(".menu");
const wide = matchMedia("(min-width: 64rem)");
const fold = () => (menu.open = wide.matches);
wide.addEventListener("change", fold);
fold();
menu.addEventListener("click", (event) => {
  if (event.target.closest("a")) fold();
});

const printAll = document.getElementById("print-all");
printAll.hidden = false;
printAll.addEventListener("click", async () => {
  const closed = [...document.querySelectorAll("main details:not([open])")];
  for (const details of closed) details.open = true;
  await drawAll();
  window.print();
  for (const details of closed) details.open = false;
});
