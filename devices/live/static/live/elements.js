// Elements and shapes. Text only ever becomes text nodes, so nothing that a PLC or a user writes can be markup.

const SVG = "http://www.w3.org/2000/svg";
const RING = "M12 2.5a9.5 9.5 0 1 0 0 19 9.5 9.5 0 0 0 0-19z";

// Drawn with a line on 24 by 24; those in SOLID are filled.
const PATHS = {
  hourglass: "M6.5 3h11M6.5 21h11M8 3v4l4 5 4-5V3M8 21v-4l4-5 4 5v4",
  play: `${RING}M10 8l6 4-6 4z`,
  check: `${RING}M7.5 12.4l3.2 3.2 6-6.6`,
  "no-entry": `${RING}M7 12h10`,
  cross: `${RING}M8.5 8.5l7 7M15.5 8.5l-7 7`,
  clock: `${RING}M12 6.5V12l3.6 2.4`,
  withdrawn: "M4 4h16v16H4zM8.5 12h7",
  octagon: "M8.1 2.5h7.8l5.6 5.6v7.8l-5.6 5.6H8.1l-5.6-5.6V8.1zM12.8 6.5l-4 6.2h6.4l-4 6.2",
  triangle: "M12 3L22 20.5H2zM12 9.5v5M12 17.3v.4",
  diamond: "M12 1.8L22.2 12 12 22.2 1.8 12zM9.6 9.9a2.4 2.4 0 1 1 3.6 2.1c-.8.5-1.2 1-1.2 1.9M12 16.6v.4",
  disc: "M12 4.5a7.5 7.5 0 1 0 0 15 7.5 7.5 0 0 0 0-15z",
  half: `${RING}M12 2.5v19M12 7h5M12 12h8M12 17h5`,
  cut: "M5 5l14 14M19 5L5 19",
  ring: `${RING}M9.6 9.9a2.4 2.4 0 1 1 3.6 2.1c-.8.5-1.2 1-1.2 1.9M12 16.6v.4`,
  curve: "M3 4v16h18M6.5 15.5l4-5 3.5 3 6-7.5",
  lock: "M5.5 11h13v9.5h-13zM8.5 11V7.2a3.5 3.5 0 0 1 7 0V11M12 14.5v2.5",
  barred: `${RING}M5.5 5.5l13 13`,
};
const SOLID = new Set(["disc"]);

/** An element; attributes that are null or false are left out, children may be texts. */
export function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(key, "");
    else if (value !== null && value !== false) element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== null && child !== ""));
  return element;
}

/** A shape for the eye; the word beside it is for everybody. */
export function shape(name) {
  const svg = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  const isSolid = SOLID.has(name);
  const looks = { fill: isSolid ? "currentColor" : "none", stroke: "currentColor", "stroke-width": "2.4" };
  for (const [key, value] of Object.entries({ viewBox: "0 0 24 24", "aria-hidden": "true", ...looks })) {
    svg.setAttribute(key, value);
  }
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  svg.classList.add("shape");
  return svg;
}

/** Shape and word of a state. */
export function pill({ word, shape: name, tone }) {
  return el("span", { class: "pill", "data-tone": tone }, shape(name), el("span", {}, word));
}

/** Make `text` what stands in an element; one that says so already is not touched. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Make the children of `list` the wanted elements in order, touching only what differs. */
export function arrange(list, wanted) {
  const kept = new Set(wanted);
  // First what goes: what stays then stays where it is, and keeps the focus.
  for (const child of [...list.children]) if (!kept.has(child)) child.remove();
  let next = list.firstElementChild;
  for (const element of wanted) {
    if (element === next) next = next.nextElementSibling;
    else list.insertBefore(element, next);
  }
}

/** Replace what is in `element`; the link or button that had the focus gives it to the one in its place. */
export function refill(element, ...children) {
  const reachable = () => [...element.querySelectorAll("a, button")];
  const focused = reachable().indexOf(document.activeElement);
  element.replaceChildren(...children);
  if (focused >= 0) (reachable()[focused] ?? reachable()[0])?.focus({ preventScroll: true });
}

/** A link to the page of a PLC. */
export function plcLink(name, text) {
  return el("a", { href: `/plcs/${encodeURIComponent(name)}` }, text);
}
