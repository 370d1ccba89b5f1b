// The last changes: when, what kind, who and why, which applications moved, and the difference of the texts.
import { el, find } from "./dom.js";
import { ago } from "./panels.js";
import { said } from "./translate.js";
import { moment, number, t } from "./messages.js";

const FEW = 4;
const NAMED = 3;
const MOVES = ["switch", "failover", "return", "ramp-step"];
let known = [];
let newest = "";
let all = false;

export function show(changes) {
  // A reader's place is not lost for nothing.
  if (JSON.stringify(changes) === JSON.stringify(known)) return;
  known = changes;
  draw();
}

export function draw() {
  const shown = all ? known : known.slice(0, FEW);
  const fresh = newest && known[0]?.at !== newest ? known[0] : null;
  newest = known[0]?.at ?? "";
  // What is opened stays open when another change comes.
  const opened = new Set([...find("changes").querySelectorAll("details[open]")].map((node) => node.dataset.at));
  find("changes").replaceChildren(...shown.map((change) => item(change, change === fresh, opened.has(change.at))));
  const more = find("more-changes");
  more.hidden = known.length <= FEW;
  more.textContent = all ? t("fewer") : t("allChanges", number(known.length));
  more.onclick = () => {
    all = !all;
    draw();
  };
}

function item(change, fresh, open) {
  const [kind, words] = heading(change);
  const { by, reason, ticket } = change.meta;
  const { user, address } = change.origin ?? {};
  const center = [user, address].filter(Boolean).join(" @ ");
  const who = [by ?? user, by && user && center !== by ? t("center", center) : ""].filter(Boolean).join(" · ");
  const why = [reason, ticket].filter(Boolean).join(" · ");
  return el("li", { class: fresh ? "fresh" : "" },
    el("p", { class: "when" }, el("span", { class: `pill ${kind}` }, words),
      el("span", {}, el("time", { datetime: change.at }, moment(change.at)), el("span", { class: "quiet" }, " · ", ago(change.at))),
      el("code", { title: t("revision") }, change.changed ?? change.revision ?? "")),
    who || why ? el("p", {}, who ? el("span", { class: "who" }, t("bySource", who)) : "", who && why ? ": " : "", why) : "",
    lines(change).map((line) => el("p", {}, line)),
    details(change, open));
}

function heading({ cause, events }) {
  const kinds = events.map((event) => event.kind);
  if (kinds[0] === "refused") return ["bad", t("kindRefused")];
  if (kinds[0] === "missing") return ["bad", t("kindMissing")];
  if (cause === "override") return ["warn", t(kinds.includes("override-started") ? "kindOverride" : "kindOverrideEnded")];
  if (cause === "document") return ["", t("kindDocument")];
  if (cause === "clock") return ["", t("kindClock")];
  if (cause === "health") return ["warn", t("kindHealth")];
  if (cause === "reaction") return ["", t("kindReaction")];
  return ["", t("kindAudit")];
}

// What moved; where nothing did, what the document says otherwise.
function lines({ events, words }) {
  const found = events.filter((event) => event.kind !== "applied").map((event) => (MOVES.includes(event.kind) ? move(event) : other(event)));
  return found.length ? found : words.length ? words.slice(0, NAMED).map(said) : events.map((event) => said(event.words ?? ""));
}

function move(event) {
  const names = event.subjects.slice(0, NAMED).map((name) => (name === "default" ? t("default") : name)).join(", ");
  const more = event.total - Math.min(event.total, NAMED);
  return [`${t(event.kind)} `, el("b", {}, names), more ? ` ${t("others", number(more))}` : "", `: ${said(event.words)}`];
}

const LABELLED = ["drill-started", "drill-ended", "override-started", "override-ended"];
const other = (event) => [LABELLED.includes(event.kind) ? `${t(event.kind)}: ` : "", said(event.words ?? "")];

function details(change, open) {
  const names = change.events.filter((event) => MOVES.includes(event.kind) && event.total > NAMED);
  // What a line above has said already.
  const told = new Set(change.events.map((event) => `${event.subjects.join(", ")}: ${event.words}`));
  if (!change.difference.length && !change.words.length && !names.length) return "";
  return el("details", { open, "data-at": change.at }, el("summary", {}, t("details")),
    change.words.filter((words) => !told.has(words)).map((words) => el("p", { class: "quiet" }, said(words))),
    names.map((event) => el("p", { class: "quiet" }, `${t(event.kind)} ${said(event.words)}: ${event.subjects.join(", ")}${event.total > event.subjects.length ? ` ${t("others", number(event.total - event.subjects.length))}` : ""}`)),
    change.difference.length ? el("div", { class: "difference mono", tabindex: "0", role: "group", "aria-label": t("difference") }, change.difference.map(differenceLine)) : "");
}

function differenceLine(line) {
  const kind = { "+": "plus", "-": "minus", "@": "at" }[line[0]] ?? "";
  return el("div", { class: kind }, line || " ");
}
