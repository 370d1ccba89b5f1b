// What stands around the list: badge, alerts, datacenters, source, refusal, changes.
import { colour, el, find } from "./dom.js";
import { moment, number, span, t } from "./words.js";

const age = (text) => (Date.now() - Date.parse(text)) / 1000;

export function badge(status, connected) {
  const attention = status && (status.refusal || status.error || status.from_snapshot);
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
  alerts(told);
  find("datacenters").replaceChildren(...told.datacenters.map(datacenter));
  find("drills").replaceChildren(...told.drills.map(drill));
  refusal(told.refusal);
  source(told);
}

function alerts(told) {
  const lines = [];
  for (const why of Object.values(told.failing)) lines.push(["bad", why]);
  if (told.error && !Object.keys(told.failing).length) lines.push(["", told.error]);
  if (told.from_snapshot) lines.push(["", t("snapshot")]);
  const section = find("alerts");
  const words = JSON.stringify(lines);
  if (section.dataset.words === words) return;
  section.dataset.words = words;
  section.hidden = !lines.length;
  section.replaceChildren(...lines.map(([kind, line]) => el("p", { class: kind }, line)));
}

function datacenter(dc) {
  const kind = !dc.in_service ? "out" : dc.cause ? "partly" : "";
  const words = dc.cause === "mark" ? t("marked")
    : dc.cause === "health" ? t("down", dc.why)
    : dc.cause === "drill" ? t(dc.in_service ? "partly" : "drilledUntil", dc.until ? moment(dc.until) : "")
    : t("inService");
  return el("li", { class: `dc${colour(dc.name)} ${kind}` }, el("strong", {}, dc.name), el("span", { class: "state" }, words));
}

function drill(told) {
  const whom = told.apps ? t("forApps", told.apps.slice(0, 5).join(", ") + (told.apps.length > 5 ? " …" : "")) : t("forAll");
  const when = told.active ? t("drillWords", told.datacenter, moment(told.until)) : t("drillLater", told.datacenter, moment(told.start), moment(told.until));
  return el("p", { class: "drill" }, `${when}, ${whom}${told.reason ? `: ${told.reason}` : ""}`);
}

export function source(told) {
  const pairs = [
    [t("url"), el("code", {}, told.source.url)],
    [t("state"), t("since", told.source.state, span(age(told.source.since)))],
    [t("confirmed"), told.source.confirmed_at ? t("ago", span(age(told.source.confirmed_at))) : t("never")],
  ];
  if (told.revision) {
    pairs.push([t("applied"), `${moment(told.applied_at)} (${t("ago", span(age(told.applied_at)))})`]);
    for (const key of ["by", "reason", "ticket"]) if (told.meta[key]) pairs.push([t(key), told.meta[key]]);
    if (told.next_change) pairs.push([t("next"), moment(told.next_change)]);
    pairs.push([t("documentSize"), t("sizeWords", number(told.bytes), number(told.apps))]);
  }
  if (told.override) pairs.push(["", t("override", told.override)]);
  find("source").replaceChildren(...pairs.flatMap(([key, value]) => [el("dt", {}, key), el("dd", {}, value)]));
}

function refusal(told) {
  find("refusal").hidden = !told;
  if (!told) return;
  const problems = told.problems.map((problem) => el("div", {},
    el("p", {}, el("code", {}, problem.path || "–"), problem.line ? ` (${t("line", problem.line)}): ` : ": ", problem.message),
    problem.excerpt.length ? el("div", { class: "excerpt mono", tabindex: "0", role: "group", "aria-label": t("line", problem.line) }, problem.excerpt.map(excerptLine)) : ""));
  const more = told.total - told.problems.length;
  find("refusal-body").replaceChildren(el("p", { class: "quiet" }, el("code", {}, told.revision), ` · ${moment(told.at)}`), ...problems, more > 0 ? el("p", {}, t("moreProblems", more)) : "");
}

function excerptLine({ number: line, text, marked }) {
  const content = [el("span", { class: "number" }, String(line)), text];
  return marked ? el("mark", {}, el("div", {}, content)) : el("div", {}, content);
}

export function changes(told) {
  const kinds = { refused: "kindRefused", document: "kindDocument" };
  find("changes").replaceChildren(...told.map((change, index) => {
    const { by, reason, ticket } = change.meta;
    const who = [by && t("bySource", by), reason, ticket].filter(Boolean).join(" · ");
    return el("li", { class: `${change.kind === "refused" ? "refused" : ""}${index === 0 ? " fresh" : ""}` },
      el("p", {}, el("time", { datetime: change.at }, moment(change.at)), " · ", t(kinds[change.kind] ?? "kindClock"), " ", el("code", {}, change.revision)),
      who ? el("p", { class: "quiet" }, who) : "",
      change.words.map((words) => el("p", {}, words)),
      change.difference.length ? el("details", {}, el("summary", {}, t("difference")), el("div", { class: "difference mono", tabindex: "0", role: "group", "aria-label": t("difference") }, change.difference.map(differenceLine))) : "");
  }));
}

function differenceLine(line) {
  const kind = { "+": "plus", "-": "minus", "@": "at" }[line[0]] ?? "";
  return el("div", { class: kind }, line || " ");
}
