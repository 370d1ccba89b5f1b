// What stands around the list: badge, alerts, datacenters, source, refusal.
import { colour, el, find } from "./dom.js";
import { said } from "./translate.js";
import { moment, number, span, t } from "./messages.js";

const SHOWN_DRILLS = 8;
const STATES = { SYNCED: "good", REJECTED: "warn", CONNECTING: "bad", DISCONNECTED: "bad", MISSING: "bad" };

// How long ago something was, kept current by `tick`.
export const ago = (text, words = "ago") => el("span", { "data-since": text, "data-words": words }, since(text, words));
const since = (text, words) => t(words, span((Date.now() - Date.parse(text)) / 1000));

export function tick() {
  for (const node of document.querySelectorAll("[data-since]")) {
    const words = since(node.dataset.since, node.dataset.words);
    if (node.textContent !== words) node.textContent = words;
  }
}

// `stranded` are the applications that nobody serves.
export function badge(status, connected, stranded) {
  const attention = status && (status.refusal || status.error || status.from_snapshot || stranded.length || status.datacenters.some((dc) => dc.cause === "health"));
  const [kind, words] = !connected ? ["bad", t("lost")]
    : !status ? ["", "…"]
    : !status.ready ? ["bad", t("notReady")]
    : status.stale ? ["warn", t("stale")]
    : attention ? ["warn", t("attention")]
    : ["good", t("ready")];
  find("badge").className = `badge ${kind}`;
  // Set only where it changes: a screen reader would say it again and again.
  if (find("badge-words").textContent !== words) find("badge-words").textContent = words;
  document.title = `${kind === "good" || !kind ? "" : "⚠ "}dc-sidecar`;
}

export function status(told) {
  find("revision").textContent = told.revision ?? "–";
  find("generation").textContent = number(told.generation);
  find("version").textContent = `dc-sidecar ${told.version}`;
  find("drills").replaceChildren(...told.drills.slice(0, SHOWN_DRILLS).map(drill), told.drills.length > SHOWN_DRILLS ? el("p", { class: "drill quiet" }, t("moreDrills", number(told.drills.length - SHOWN_DRILLS))) : "");
  refusal(told.refusal);
  source(told);
}

export function alerts(told, stranded) {
  const lines = Object.entries(told.failing).map(([what, why]) => ["bad", `${what}: ${why}`]);
  const few = stranded.slice(0, 5).join(", ");
  if (stranded.length) lines.push(["bad", t("nowhere", number(stranded.length), stranded.length > 5 ? `${few} …` : few)]);
  if (told.override) lines.push(["", t("override", told.override)]);
  // A refusal has a card of its own.
  if (told.source.error && !told.refusal && !lines.some(([, line]) => line.includes(told.source.error))) lines.push(["", `${t(told.source.state)}: ${told.source.error}`]);
  if (told.health) lines.push(["bad", told.health]);
  if (told.error && !told.refusal && !lines.length) lines.push(["", told.error]);
  if (told.from_snapshot) lines.push(["", t("snapshot")]);
  const section = find("alerts");
  const words = JSON.stringify(lines);
  if (section.dataset.words === words) return;
  section.dataset.words = words;
  section.hidden = !lines.length;
  section.replaceChildren(...lines.map(([kind, line]) => el("p", { class: kind }, line)));
}

// `load` tells of a datacenter how many applications it serves; `rates` how many decisions a second.
export function datacenters(told, load, rates) {
  find("datacenters").replaceChildren(...told.datacenters.map((dc) => {
    const kind = !dc.in_service ? "out" : dc.cause ? "partly" : "";
    const words = dc.cause === "mark" ? t("marked")
      : dc.cause === "health" ? t("down", said(dc.why))
      : dc.cause === "drill" ? t(dc.in_service ? "partly" : "drilledUntil", dc.until ? moment(dc.until) : "")
      : t("inService");
    return el("li", { class: `dc${colour(dc.name)} ${kind}` }, el("strong", {}, dc.name), el("span", { class: "state" }, words),
      el("span", { class: "load" }, t("load", number(load.get(dc.name) ?? 0), number(told.apps ?? 0), number(+(rates[dc.name] ?? 0).toPrecision(3)))));
  }));
}

function drill(told) {
  const whom = told.apps ? t("forApps", told.apps.slice(0, 5).join(", ") + (told.apps.length > 5 ? " …" : "")) : t("forAll");
  const when = told.active ? t("drillWords", told.datacenter, moment(told.until)) : t("drillLater", told.datacenter, moment(told.start), moment(told.until));
  return el("p", { class: "drill" }, el("span", { class: `pill ${told.active ? "warn" : ""}` }, t(told.active ? "drillOn" : "drillPlanned")), ` ${when}, ${whom}${told.reason ? `: ${told.reason}` : ""}`);
}

function source(told) {
  const { state, since: from } = told.source;
  const pairs = [
    [t("url"), [el("code", {}, told.source.url)]],
    [t("state"), [el("span", { class: `pill ${STATES[state]}` }, state), ` ${t(state)} `, ago(from, "lasting")]],
    [t("confirmed"), [told.source.confirmed_at ? ago(told.source.confirmed_at) : t("never")]],
  ];
  if (told.revision) {
    pairs.push([t("applied"), [`${moment(told.applied_at)} · `, ago(told.applied_at)]]);
    for (const key of ["by", "reason", "ticket"]) if (told.meta[key]) pairs.push([t(key), [told.meta[key]]]);
    if (told.next_change) pairs.push([t("next"), [moment(told.next_change)]]);
    pairs.push([t("documentSize"), [t("sizeWords", number(told.bytes), number(told.apps))]]);
  }
  find("source").replaceChildren(...pairs.flatMap(([key, values]) => [el("dt", {}, key), el("dd", {}, values)]));
}

function refusal(told) {
  find("refusal").hidden = !told;
  if (!told) return;
  const problems = told.problems.map((problem) => el("div", {},
    el("p", { class: "problem" }, el("code", {}, problem.path || "–"), problem.line ? ` (${t("line", problem.line)}): ` : ": ", problem.message),
    problem.excerpt.length ? el("div", { class: "excerpt mono", tabindex: "0", role: "group", "aria-label": t("line", problem.line) }, problem.excerpt.map(excerptLine)) : ""));
  const more = told.total - told.problems.length;
  find("refusal-body").replaceChildren(el("p", { class: "quiet" }, el("code", {}, told.revision), ` · ${moment(told.at)} · `, ago(told.at)), ...problems, more > 0 ? el("p", { class: "problem" }, t("moreProblems", number(more))) : "");
}

function excerptLine({ number: line, text, marked }) {
  const content = [el("span", { class: "number" }, String(line)), text];
  return marked ? el("mark", {}, el("div", {}, content)) : el("div", {}, content);
}
