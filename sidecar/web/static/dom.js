// Makes elements; texts are always set as texts: nothing in a document can become markup.
export const find = (id) => document.getElementById(id);

// Characters that are not seen, or change the direction of what is, by their code: one name must not look like another.
const HIDDEN = /[\0-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\ufff0-\ufffb]/g;
const visible = (child) => (typeof child === "string" ? child.replace(HIDDEN, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`) : child);

export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(2).filter((child) => child !== null && child !== undefined && child !== "").map(visible));
  return node;
}

// Which of the eight colours a datacenter has: by its place among those known, which does not change.
const known = [];
export function colour(name) {
  if (!known.includes(name)) known.push(name);
  return known.indexOf(name) % 8;
}

export const swatch = (name) => el("span", { class: `swatch dc${colour(name)}`, "aria-hidden": "true" });

export const shade = (index) => getComputedStyle(document.documentElement).getPropertyValue(`--c${index}`).trim();
export const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

// The row at `chosen` stands out.
export function table(headings, rows, chosen = -1) {
  const head = el("thead", {}, el("tr", {}, headings.map((heading) => el("th", { scope: "col" }, heading))));
  const body = el("tbody", {}, rows.map((cells, index) => el("tr", { class: index === chosen ? "chosen" : null }, cells.map((cell) => el("td", {}, cell)))));
  // It may be wider than a phone; then it is scrolled, by keyboard too.
  return el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": headings[0] }, el("table", {}, head, body));
}
