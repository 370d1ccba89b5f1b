// The last changes: when, what kind, who and why, which applications moved, and the difference of the texts.
import { el, find } from "./dom.js";
import { list, moment, named, number, t } from "./messages.js";
import { ago } from "./panels.js";
import * as wording from "./wording.js";

const FEW = 4;
const MAX_LINES = 3;
const MOVES = ["switch", "failover", "return", "ramp-step"];
const LABELLED = ["drill-started", "drill-ended", "override-started", "override-ended"];
let known = [];
let newest = "";
let all = false;

export function show(changes) {
  // Nothing is drawn anew, and no reader's place lost, where nothing is new.
  if (JSON.stringify(changes) === JSON.stringify(known)) return;
  known = changes;
  draw();
}

export function draw() {
  const shown = all ? known : known.slice(0, FEW);
  const fresh = newest && known[0]?.at !== newest ? known[0] : null;
  newest = known[0]?.at ?? "";
  // Details that are open stay open when another change comes.
  const opened = new Set([...find("changes").querySelectorAll("details[open]")].map((node) => node.dataset.at));
  find("changes").replaceChildren(...shown.map((change) => item(change, change === fresh, opened.has(change.at))));
  const more = find("more-changes");
  more.hidden = known.length <= FEW;
  more.textContent = all ? t("changes.fewer") : t("changes.all", { count: number(known.length) });
  more.onclick = () => {
    all = !all;
    draw();
  };
}

function item(change, fresh, open) {
  const [style, label] = heading(change);
  const { by, reason, ticket } = change.meta;
  const { user, address } = change.origin ?? {};
  const center = [user, address].filter(Boolean).join(" @ ");
  const who = [by ?? user, by && user && center !== by ? t("changes.center", { who: center }) : ""].filter(Boolean).join(" · ");
  const reasons = [reason, ticket].filter(Boolean).join(" · ");
  return el("li", { class: fresh ? "fresh" : "" },
    el("p", { class: "when" }, el("span", { class: `pill ${style}` }, label),
      el("span", {}, el("time", { datetime: change.at }, moment(change.at)), el("span", { class: "quiet" }, " · ", ago(change.at))),
      el("code", { title: t("revision") }, change.changed ?? change.revision ?? "")),
    who || reasons ? el("p", {}, who ? el("span", { class: "who" }, t("changes.by", { who })) : "", who && reasons ? t("colon") : "", reasons) : "",
    lines(change).map((line) => el("p", {}, line)),
    details(change, open));
}

function heading({ cause, events }) {
  const kinds = events.map((event) => event.kind);
  if (["refused", "missing"].includes(kinds[0])) return ["bad", t(`heading.${kinds[0]}`)];
  if (cause === "override" && !kinds.includes("override-started")) return ["warn", t("heading.override-ended")];
  return [["override", "health"].includes(cause) ? "warn" : "", t(`heading.${cause}`)];
}

// What moved; where nothing did, what else the document changes.
function lines(change) {
  const found = change.events.filter((event) => event.kind !== "applied").map((event) => (MOVES.includes(event.kind) ? move(event) : other(event)));
  if (found.length) return found;
  const changes = changed(change);
  return changes.length ? changes.slice(0, MAX_LINES) : change.events.map(wording.event);
}

// What the document changes; a record of an older version of the sidecar has the English texts only.
const changed = ({ changes, words }) => (changes.length ? changes.map(wording.change) : words);

function move(event) {
  const names = named(event.subjects.map((name) => (name === "default" ? t("default") : name)), event.total);
  return [`${t(`event.${event.kind}`)} `, el("b", {}, names), t("colon"), wording.event(event)];
}

const other = (event) => [LABELLED.includes(event.kind) ? t(`event.${event.kind}`) + t("colon") : "", wording.event(event)];

function details(change, open) {
  const many = change.events.filter((event) => MOVES.includes(event.kind) && event.total > MAX_LINES);
  // Shares that a line above has already: the same subjects, from and to the same.
  const identity = (names, total, before, after) => JSON.stringify([names.slice(0, MAX_LINES), total, before, after]);
  const moved = new Set(change.events.filter((event) => event.detail?.before).map((event) => identity(event.subjects, event.total, event.detail.before, event.detail.after)));
  const rest = change.changes.filter((each) => !moved.has(identity(each.subjects, each.total, each.before, each.after)));
  const texts = change.changes.length ? rest.map(wording.change) : change.words;
  if (!change.difference.length && !texts.length && !many.length) return "";
  return el("details", { open, "data-at": change.at }, el("summary", {}, t("changes.details")),
    texts.map((text) => el("p", { class: "quiet" }, text)),
    many.map((event) => el("p", { class: "quiet" }, `${t(`event.${event.kind}`)} ${wording.event(event)}${t("colon")}${names(event)}`)),
    change.difference.length ? el("div", { class: "difference mono", tabindex: "0", role: "group", "aria-label": t("changes.difference") }, change.difference.map(differenceLine)) : "");
}

const names = (event) => list(event.subjects) + (event.total > event.subjects.length ? t("more", { count: number(event.total - event.subjects.length) }) : "");

function differenceLine(line) {
  const style = { "+": "plus", "-": "minus", "@": "at" }[line[0]] ?? "";
  return el("div", { class: style }, line || " ");
}
