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
const tell = (place, x, y) => {
  const words = place?.getAttribute("aria-label");
  tip.hidden = !words;
  if (!words) return;
  tip.textContent = words;
  const { width, height } = tip.getBoundingClientRect();
  const above = y - height - 12;
  tip.style.left = `${Math.max(Math.min(x + 12, innerWidth - width - 8), 8)}px`;
  tip.style.top = `${above > 8 ? above : y + 20}px`;
};
const show = (event) => tell(event.target.closest?.("svg rect[aria-label]"), event.clientX, event.clientY);
// The same with the keyboard: in a figure that has the focus, arrows go from point to point.
addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  const places = [...(event.target.querySelectorAll?.("svg rect[aria-label]") ?? [])];
  if (event.key === "Escape") tip.hidden = true;
  if (!step || !places.length) return;
  event.preventDefault();
  const old = places.findIndex((place) => "at" in place.dataset);
  if (old >= 0) delete places[old].dataset.at;
  const next = places[(old + step + places.length + (old < 0 && step < 0 ? 1 : 0)) % places.length];
  next.dataset.at = "";
  next.scrollIntoView({ block: "nearest", inline: "nearest" });
  const { left, top, width } = next.getBoundingClientRect();
  tell(next, left + width / 2, top);
});
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
