// How long ago things were, kept current.
import { el } from "./dom.js";
import { span, t } from "./messages.js";

// How long ago something was, kept current by `tick`.
export const ago = (text, key = "ago") => el("span", { "data-since": text, "data-key": key }, since(text, key));
const since = (text, key) => t(key, { span: span((Date.now() - Date.parse(text)) / 1000) });

export function tick() {
  for (const node of document.querySelectorAll("[data-since]")) {
    const text = since(node.dataset.since, node.dataset.key);
    if (node.textContent !== text) node.textContent = text;
  }
}
