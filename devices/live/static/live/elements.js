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
  cut: "M5 5l14 14M19 5L5 19",
  ring: `${RING}M9.6 9.9a2.4 2.4 0 1 1 3.6 2.1c-.8.5-1.2 1-1.2 1.9M12 16.6v.4`,
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

/** Make the children of `list` the wanted elements in order, touching only what differs. */
export function arrange(list, wanted) {
  let next = list.firstElementChild;
  for (const element of wanted) {
    if (element === next) next = next.nextElementSibling;
    else list.insertBefore(element, next);
  }
  while (next) {
    const surplus = next;
    next = next.nextElementSibling;
    surplus.remove();
  }
}
