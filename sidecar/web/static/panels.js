// The panels around the list: badge, alerts, datacenters, source, refusal.
import { ago } from "./ages.js";
import { colour, el, find, table } from "./dom.js";
import { only } from "./routes.js";
import { list, moment, number, t } from "./messages.js";
import * as wording from "./wording.js";

const SHOWN_DRILLS = 8;
const SHOWN_FOLLOWERS = 20;
const BAD = ["stopping", "no-process", "no-document", "overdue", "checks-ignored", "probes-skipped"];
// The section that shows more about an alert.
const SECTIONS = { "checks-ignored": "s-datacenters", "probes-skipped": "s-datacenters", rescheduling: "s-changes", stopping: "", "no-process": "" };
const STATES = { SYNCED: "good", REJECTED: "warn", CONNECTING: "bad", DISCONNECTED: "bad", MISSING: "bad" };

// `stranded` are the applications that nobody serves.
export function badge(status, connected, stranded) {
  const attention = status && (status.refusal || status.alerts.length || stranded.length || status.datacenters.some((dc) => dc.cause === "health"));
  const [kind, text] = !connected ? ["bad", t("badge.lost")]
    : !status ? ["", "…"]
    : !status.ready ? ["bad", t("badge.not-ready")]
    : status.stale ? ["warn", t("badge.stale")]
    : attention ? ["warn", t("badge.attention")]
    : ["good", t("badge.ready")];
  find("badge").className = `badge ${kind}`;
  // Set only where it changes: a screen reader would say it again and again.
  if (find("badge-text").textContent !== text) find("badge-text").textContent = text;
  document.title = `${kind === "good" || !kind ? "" : "⚠ "}${status?.environment ? `${status.environment} · ` : ""}dc-sidecar`;
}

export function status(now) {
  find("revision").textContent = now.revision ?? "–";
  find("generation").textContent = number(now.generation);
  find("version").textContent = `dc-sidecar ${now.version}`;
  const more = now.drills.length - SHOWN_DRILLS;
  find("drills").replaceChildren(...now.drills.slice(0, SHOWN_DRILLS).map(drill), more > 0 ? el("p", { class: "drill quiet" }, t("drill.more", { count: number(more) })) : "");
  source(now);
  const parts = [now.environment ? el("b", { class: "pill" }, now.environment) : "", now.host, el("code", {}, now.source.url)];
  find("identity").replaceChildren(...parts.filter(Boolean).flatMap((part, index) => (index ? [" · ", part] : [part])));
  find("docs").hidden = !now.docs;
  const docs = now.docs.replace(/\/$/, "");
  find("docs-en").href = `${docs}/`;
  find("docs-zh").href = `${docs}/zh/`;
}

// `heard` is when the sidecar was last heard of, null while it is there.
export function alerts(now, stranded, heard) {
  const lines = (now?.alerts ?? []).map((found) => [BAD.includes(found.kind) ? "bad" : "", wording.alert(found), SECTIONS[found.kind] ?? "s-source"]);
  if (stranded.length) lines.unshift(["bad", t("alert.nowhere", { count: number(stranded.length), names: list(stranded.slice(0, 5)) + (stranded.length > 5 ? " …" : "") }), "applications"]);
  if (heard !== null) lines.unshift(["bad", t("alert.lost", { time: moment(new Date(heard).toISOString()) }), ""]);
  const section = find("alerts");
  const content = JSON.stringify(lines);
  if (section.dataset.content === content) return;
  section.dataset.content = content;
  section.hidden = !lines.length;
  section.replaceChildren(...lines.map(([style, line, place]) => el("p", { class: style }, line, place ? [" ", lead(place)] : "")));
}

// A link to where an alert is explained; that of the applications shows those in trouble.
const lead = (place) => el("a", { href: `#${place}`, onclick: place === "applications" ? () => only("troubled") : null }, t("alert.show"));

// `load` has the number of applications that each datacenter serves; `rates` its decisions per second.
export function datacenters(now, load, rates) {
  find("datacenters").replaceChildren(...now.datacenters.map((dc) => {
    const style = !dc.in_service ? "out" : dc.cause ? "partly" : "";
    const rate = number(+(rates[dc.name] ?? 0).toPrecision(3));
    return el("li", { class: `dc${colour(dc.name)} ${style}` }, el("strong", {}, dc.name), el("span", { class: "state" }, stateText(dc)),
      el("span", { class: "load" }, t("datacenter.load", { serving: number(load.get(dc.name) ?? 0), total: number(now.apps ?? 0), rate })));
  }));
}

function stateText(dc) {
  const until = dc.until ? moment(dc.until) : "";
  if (dc.in_service) return dc.cause === "drill" ? t("datacenter.partly", { until }) : t("datacenter.in-service");
  if (dc.outage.kind === "drill") return t("datacenter.drill", { until });
  return dc.outage.kind === "marked" ? t("datacenter.marked") : t("datacenter.unhealthy", { fault: wording.fault(dc.outage.fault) });
}

function drill(found) {
  return el("p", { class: "drill" }, el("span", { class: `pill ${found.active ? "warn" : ""}` }, t(found.active ? "drill.on" : "drill.planned")),
    ` ${t(found.active ? "drill.active" : "drill.later", wording.drill(found))}`);
}

function source(now) {
  const { state, since: from } = now.source;
  const pairs = [
    [t("source.url"), [el("code", {}, now.source.url)]],
    [t("source.state"), [el("span", { class: `pill ${STATES[state]}` }, state), ` ${t(`state.${state}`)} `, ago(from, "source.lasting")]],
    [t("source.confirmed"), [now.source.confirmed_at ? ago(now.source.confirmed_at) : t("never")]],
  ];
  if (now.revision) {
    pairs.push([t("source.applied"), [`${moment(now.applied_at)} · `, ago(now.applied_at)]]);
    for (const key of ["by", "reason", "ticket"]) if (now.meta[key]) pairs.push([t(`source.${key}`), [now.meta[key]]]);
    if (now.next_change) pairs.push([t("source.next"), [moment(now.next_change)]]);
    pairs.push([t("source.size"), [t("source.size.value", { bytes: number(now.bytes), apps: number(now.apps) })]]);
  }
  find("source").replaceChildren(...pairs.flatMap(([key, values]) => [el("dt", {}, key), el("dd", {}, values)]));
}

// Who follows the shares: balancers, with their newest answers.
export function followers(found) {
  find("s-followers").hidden = !found.length;
  const rows = found.slice(0, SHOWN_FOLLOWERS).map((each) => [t(`follower.${each.kind}`), each.peer, each.subject, el("code", {}, each.answer), ago(each.seen_at)]);
  const more = found.length - SHOWN_FOLLOWERS;
  find("followers").replaceChildren(
    table([t("follower"), t("follower.peer"), t("follower.subject"), t("follower.answer"), t("follower.seen")], rows),
    more > 0 ? el("p", { class: "quiet" }, t("follower.more", { count: number(more) })) : "",
  );
}

// `publisher` returns who wrote the document with a revision, "" where nobody knows.
export function refusal(found, publisher) {
  find("refusal").hidden = !found;
  if (!found) return;
  const who = publisher(found.revision);
  const line = (problem) => t("refused.line", problem);
  const problems = found.problems.map((problem) => el("div", {},
    el("p", { class: "problem" }, el("code", {}, problem.path || "–"), problem.line ? ` (${line(problem)}): ` : ": ", problem.message),
    problem.excerpt.length ? el("div", { class: "excerpt mono", tabindex: "0", role: "group", "aria-label": line(problem) }, problem.excerpt.map(excerptLine)) : ""));
  const more = found.total - found.problems.length;
  find("refusal-body").replaceChildren(el("p", { class: "quiet" }, who ? [el("b", { class: "publisher" }, t("refused.by", { who })), " · "] : "", el("code", {}, found.revision), ` · ${moment(found.at)} · `, ago(found.at)), ...problems, more > 0 ? el("p", { class: "problem" }, t("refused.more", { count: number(more) })) : "");
}

function excerptLine({ number: line, text, marked }) {
  const content = [el("span", { class: "number" }, String(line)), text];
  return marked ? el("mark", {}, el("div", {}, content)) : el("div", {}, content);
}
