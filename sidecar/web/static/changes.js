// The last changes: when, what kind, who and why, which applications moved, and the difference of the texts.
import { ago } from "./ages.js";
import { read, write } from "./address.js";
import { el, find } from "./dom.js";
import { list, moment, named, number, t } from "./messages.js";
import * as wording from "./wording.js";

const FEW = 4;
const MAX_LINES = 3;
const MOVES = ["switch", "failover", "return", "ramp-step"];
const LABELLED = ["drill-started", "drill-ended", "override-started", "override-ended"];
let known = [];
let newest = "";
let all = false;
// A link to a change is followed once: after that the reader's place is the reader's.
let followed = false;

export function show(changes) {
  // Nothing is drawn anew, and no reader's place lost, where nothing is new.
  if (JSON.stringify(changes) === JSON.stringify(known)) return;
  known = changes;
  draw();
}

// Who published a revision: by the document itself, or as the config center knows it.
export const publisher = (revision) => {
  const change = known.find((each) => revision && (each.changed ?? each.revision) === revision);
  return change ? author(change) : "";
};

// The change that was in force at the time in the address: the newest of those that are not later.
function linked() {
  const at = Date.parse(read("at") ?? "");
  return Number.isNaN(at) ? -1 : known.findIndex((change) => Date.parse(change.at) <= at);
}

export function draw() {
  const asked = linked();
  if (asked >= FEW) all = true;
  const older = read("at") !== null && asked < 0 && known.length > 0;
  find("changes-older").hidden = !older;
  find("changes-older").textContent = older ? t("changes.older", { time: moment(read("at")) }) : "";
  const shown = all ? known : known.slice(0, FEW);
  const fresh = newest && known[0]?.at !== newest ? known[0] : null;
  newest = known[0]?.at ?? "";
  // Details that are open stay open when another change comes.
  const opened = new Set([...find("changes").querySelectorAll("details[open]")].map((node) => node.dataset.at));
  if (asked >= 0 && !followed) opened.add(known[asked].at);
  find("changes").replaceChildren(...shown.map((change, index) => item(change, change === fresh, opened.has(change.at), index === asked)));
  if (asked >= 0 && !followed) find("changes").children[asked].scrollIntoView({ block: "center" });
  followed ||= known.length > 0;
  const more = find("more-changes");
  more.hidden = known.length <= FEW;
  more.textContent = all ? t("changes.fewer") : t("changes.all", { count: number(known.length) });
  more.onclick = () => {
    all = !all;
    draw();
  };
}

function author({ meta, origin }) {
  const { user, address } = origin ?? {};
  const center = [user, address].filter(Boolean).join(" @ ");
  return [meta.by ?? center, meta.by && user && center !== meta.by ? t("changes.center", { who: center }) : ""].filter(Boolean).join(" · ");
}

function item(change, fresh, open, marked) {
  const [style, label] = heading(change);
  const { reason, ticket } = change.meta;
  const who = author(change);
  const follow = (event) => {
    event.preventDefault();
    write({ at: change.at });
    draw();
  };
  const reasons = [reason, ticket].filter(Boolean).join(" · ");
  return el("li", { class: [fresh ? "fresh" : "", marked ? "linked" : ""].join(" ").trim() },
    el("p", { class: "when" }, el("span", { class: `pill ${style}` }, label),
      el("span", {}, el("a", { href: `?at=${encodeURIComponent(change.at)}`, onclick: follow }, el("time", { datetime: change.at }, moment(change.at))), el("span", { class: "quiet" }, " · ", ago(change.at))),
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
