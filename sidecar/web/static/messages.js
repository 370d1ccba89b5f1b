// Messages in the reader's language: a catalog for each, `{name}` in a message stands for a parameter.
import en from "./catalog/en.js";
import zh from "./catalog/zh.js";

const CATALOGS = { en, zh };
const LOCALES = { en: "en-GB", zh: "zh-CN" };

const kept = localStorage.getItem("language");
export let language = kept in CATALOGS ? kept : navigator.language.startsWith("zh") ? "zh" : "en";

export function t(key, parameters = {}) {
  return CATALOGS[language][key].replace(/\{(\w+)\}/g, (_, name) => parameters[name] ?? "");
}

export function speak(chosen) {
  language = chosen;
  localStorage.setItem("language", chosen);
  document.documentElement.lang = chosen === "zh" ? "zh-CN" : "en";
  for (const node of document.querySelectorAll("[data-t]")) node.textContent = t(node.dataset.t);
  for (const node of document.querySelectorAll("[data-t-label]")) node.setAttribute("aria-label", t(node.dataset.tLabel));
  for (const node of document.querySelectorAll("[data-t-placeholder]")) node.placeholder = t(node.dataset.tPlaceholder);
}

export function span(seconds) {
  const [unit, size] = seconds < 100 ? ["s", 1] : seconds < 6000 ? ["min", 60] : seconds < 172800 ? ["h", 3600] : ["d", 86400];
  return t(unit, { count: Math.max(0, Math.floor(seconds / size)) });
}

// A time on the clock of the reader's zone, with the day where that is not today; a text that is not a time stays.
export function moment(text) {
  const when = new Date(text);
  if (Number.isNaN(when.valueOf())) return text;
  const today = when.toDateString() === new Date().toDateString();
  const form = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", ...(today ? {} : { year: "numeric", month: "short", day: "numeric" }) };
  return when.toLocaleString(LOCALES[language], form);
}

// For the axes of plots: `18:05`, with the day where the ticks are further apart than one.
export function ticks(seconds, apart) {
  const form = apart >= 86400 ? { month: "short", day: "numeric" } : { hour: "2-digit", minute: "2-digit", hourCycle: "h23", ...(apart < 60 ? { second: "2-digit" } : {}) };
  const format = new Intl.DateTimeFormat(LOCALES[language], form);
  return seconds.map((second) => format.format(second * 1000));
}

export const number = (value) => value.toLocaleString(LOCALES[language]);
export const percent = (share) => `${+(100 * share).toPrecision(3)} %`;
export const list = (texts) => texts.join(t("list"));

// The first names of a list, and how many more there are; `total` counts those that were left out before, too.
export function named(names, total = names.length, most = 3) {
  const rest = total - Math.min(names.length, most);
  return list(names.slice(0, most)) + (rest > 0 ? t("more", { count: number(rest) }) : "");
}
