"use strict";
// The numbers behind a point or bar, under the pointer or finger at once.
const tip = document.createElement("div");
tip.id = "tip";
tip.hidden = true;
tip.setAttribute("role", "status");
document.body.append(tip);
for (const title of document.querySelectorAll("svg rect > title")) {
  const place = title.parentNode;
  place.setAttribute("aria-label", title.textContent);
  title.remove(); // or the browser would show it again, later
}
const show = (event) => {
  const words = event.target.closest?.("svg rect[aria-label]")?.getAttribute("aria-label");
  tip.hidden = !words;
  if (!words) return;
  tip.textContent = words;
  const { width, height } = tip.getBoundingClientRect();
  const left = Math.min(event.clientX + 12, innerWidth - width - 8);
  const above = event.clientY - height - 12;
  tip.style.left = `${Math.max(left, 8)}px`;
  tip.style.top = `${above > 8 ? above : event.clientY + 20}px`;
};
addEventListener("pointermove", show);
addEventListener("pointerdown", show);
addEventListener("scroll", () => { tip.hidden = true; }, true);
// Paper cannot be clicked: what is folded is printed, and folded again afterwards.
let opened = [];
addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll("details:not([open])")];
  for (const details of opened) details.open = true;
});
addEventListener("afterprint", () => { for (const details of opened) details.open = false; });
