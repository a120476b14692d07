"use strict";
const specs = JSON.parse(document.getElementById("charts").textContent);
// Colours as variables of the page's style: they follow light, dark and print without drawing anew.
const inks = JSON.parse(document.getElementById("inks").textContent);
const TEXT = { labelColor: "var(--text)", titleColor: "var(--text)" };
const LOOK = {
  axis: { ...TEXT, domainColor: "var(--grey)", tickColor: "var(--grey)", gridColor: "var(--grid)" },
  header: TEXT,
  legend: TEXT,
  rule: { color: "var(--text)" },
  text: { color: "var(--text)" },
  title: { color: "var(--text)", subtitleColor: "var(--muted)" },
  view: { stroke: "var(--grid)" },
};
const LEAST_WIDTH = 180; // of a panel that is made narrower, in pixels
const WIDE = { title: 0.56, subtitle: 0.5 }; // width of a letter, in heights

function partsOf(spec) {
  const parts = [spec.layer, spec.concat, spec.hconcat, spec.vconcat].flatMap((list) => list ?? []);
  return spec.spec ? [...parts, spec.spec] : parts;
}

function encodings(spec, channel) {
  const own = spec.encoding?.[channel];
  return [...(own ? [own] : []), ...partsOf(spec).flatMap((part) => encodings(part, channel))];
}

function wrapped(text, letters) {
  const lines = [""];
  for (const word of [].concat(text).join("\n").split(/(?<=\n)| /)) {
    const longer = (lines.at(-1) + " " + word).trim();
    if (longer.length > letters && lines.at(-1)) lines.push(word.trim());
    else lines[lines.length - 1] = longer;
    if (word.endsWith("\n")) lines.push("");
  }
  return lines.filter((line) => line);
}

function wrapTitle(title, width) {
  if (!title?.text) return;
  title.text = wrapped(title.text, width / (WIDE.title * (title.fontSize ?? 16)));
  if (title.subtitle) title.subtitle = wrapped(title.subtitle, width / (WIDE.subtitle * (title.subtitleFontSize ?? 12)));
}

// A panel without labels of its own needs the one to its left.
function hasLabels(panel) {
  return encodings(panel, "y").every((y) => y.axis !== null && y.axis?.labels !== false);
}

function stack(spec, columns) {
  if (columns === 1 && spec.hconcat?.every(hasLabels)) {
    spec.vconcat = spec.hconcat;
    delete spec.hconcat;
  }
  if (spec.columns) spec.columns = Math.min(spec.columns, columns);
  for (const legend of legends(spec)) legend.columns = Math.min(legend.columns ?? 1, columns);
  partsOf(spec).forEach((part) => stack(part, columns));
}

function legends(spec) {
  return ["color", "shape", "strokeDash", "strokeWidth"].flatMap((channel) => encodings(spec, channel)).flatMap((each) => each.legend ?? []);
}

function shrink(spec, pixels, width) {
  const xs = encodings(spec, "x");
  if (spec.width && xs.length && xs.every((x) => x.type === "quantitative" && x.axis !== null)) {
    spec.width = Math.max(Math.min(spec.width, LEAST_WIDTH), spec.width - pixels);
  }
  for (const { axis } of encodings(spec, "y")) if (axis?.labelLimit) axis.labelLimit = Math.min(axis.labelLimit, width / 3.5);
  partsOf(spec).forEach((part) => shrink(part, pixels, width));
}

function inked(spec) {
  let text = JSON.stringify(spec);
  for (const [colour, name] of Object.entries(inks)) text = text.replaceAll(`"${colour}"`, `"var(${name})"`);
  const found = JSON.parse(text);
  found.background = "transparent";
  found.config ??= {};
  for (const [part, look] of Object.entries(LOOK)) found.config[part] = { ...found.config[part], ...look };
  return found;
}

async function draw(place) {
  const spec = inked(specs[place.dataset.chart]);
  const width = place.parentElement.clientWidth - 2;
  wrapTitle(spec.title, Math.min(width, 900) - 30);
  for (const legend of legends(spec)) legend.labelLimit = width - 70;
  for (let attempt = 0; ; attempt++) {
    place.view?.finalize();
    place.view = (await vegaEmbed(place, structuredClone(spec), { renderer: "svg", actions: false })).view;
    const svg = place.querySelector("svg");
    const excess = svg.width.baseVal.value - width;
    if (excess <= 0 || attempt === 6) break;
    if (attempt < 2) stack(spec, 2 - attempt);
    else if (spec.hconcat) break; // panels that stay side by side scroll
    else shrink(spec, Math.ceil(excess), width);
  }
  const svg = place.querySelector("svg");
  svg.setAttribute("aria-hidden", "true"); // the place has the caption
  place.classList.toggle("tall", svg.height.baseVal.value > svg.width.baseVal.value);
  if (place.scrollWidth > place.clientWidth) place.tabIndex = 0;
  place.dataset.drawnAt = innerWidth;
}

async function save(place, kind) {
  const link = document.createElement("a");
  // Outside of the page its variables mean nothing.
  const { view } = await vegaEmbed(document.createElement("div"), structuredClone(specs[place.dataset.chart]));
  link.href = await view.toImageURL(kind, 2);
  view.finalize();
  link.download = `${place.dataset.chart}.${kind}`;
  link.click();
}

function addTools(place) {
  const tools = document.createElement("div");
  tools.className = "tools";
  for (const kind of ["svg", "png"]) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = `Save ${kind.toUpperCase()}`;
    button.setAttribute("aria-label", `Save ${place.dataset.chart} as ${kind.toUpperCase()}`);
    button.addEventListener("click", () => save(place, kind));
    tools.append(button);
  }
  place.parentElement.append(tools);
}

// Those that can be seen; a folded place has no width.
async function drawShown() {
  for (const place of document.querySelectorAll("[data-chart]")) {
    const isStale = place.dataset.drawnAt !== String(innerWidth);
    if (isStale && !place.closest("details:not([open])")) await draw(place);
  }
  document.documentElement.dataset.charts = "drawn";
}

let drawing = Promise.resolve();
function drawAll() {
  drawing = drawing.then(drawShown); // one after the other, or a place would be drawn twice
  return drawing;
}

document.querySelectorAll("[data-chart]").forEach(addTools);
drawAll();
document.addEventListener("toggle", drawAll, { capture: true });
let waiting;
addEventListener("resize", () => {
  clearTimeout(waiting);
  waiting = setTimeout(drawAll, 200);
});
