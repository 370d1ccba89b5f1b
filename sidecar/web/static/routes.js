// The list of applications: found by name or kind, each with where its jobs go, and opened for its details.
import { ago } from "./ages.js";
import { read, write } from "./address.js";
import { colour, el, find, swatch, table } from "./dom.js";
import { drawRamp } from "./plots.js";
import { moment, number, percent, t } from "./messages.js";
import { ask } from "./whatif.js";
import { fault, outage } from "./wording.js";

// On a phone the sections after the list must not be far away.
const STEP = matchMedia("(max-width: 1000px)").matches ? 20 : 50;
// How many applications each datacenter serves, all or part of their jobs.
export const load = new Map();
// Those that nobody serves.
export let stranded = [];
let routes = null;
let names = [];
let lower = [];
// The filters that find something, each with the names of its applications.
let kinds = new Map();
let kind = read("show") ?? "";
let limit = STEP;
let open = read("app");
// An application that the address names is scrolled to once.
let followed = open === null;
let ramps = [];

export function show(answer) {
  routes = answer;
  names = Object.keys(routes.apps);
  lower = new Map(names.map((name) => [name, name.toLowerCase()]));
  kinds = new Map([["troubled", []], ["ramps", []], ["splits", []]]);
  stranded = [];
  load.clear();
  for (const name of names) {
    const route = routes.apps[name];
    const add = (each) => (kinds.has(each) ? kinds.get(each).push(name) : kinds.set(each, [name]));
    if (deserted(route)) stranded.push(name);
    if (troubled(route)) add("troubled");
    if (route.kind === "ramp") add("ramps");
    if (route.kind === "split") add("splits");
    for (const dc of Object.keys(route.shares)) {
      add(`dc ${dc}`);
      load.set(dc, (load.get(dc) ?? 0) + 1);
    }
  }
  // Trouble first: who reads a list of hundreds sees its top.
  const troubles = new Set([...stranded, ...kinds.get("troubled")]);
  kinds.set("troubled", [...troubles]);
  names = [...troubles, ...names.filter((name) => !troubles.has(name))];
  draw();
}

// Shows the applications of one kind, as a banner asks for.
export function only(asked) {
  kind = asked;
  find("find").value = "";
  search();
}

const deserted = (route) => route.kind !== "none" && route.on_empty !== "any" && !Object.keys(route.shares).length;

// The line of "now" moves.
export const tick = () => ramps.forEach((ramp) => ramp.redraw(false));

// The outages of datacenters that work has left after faults, and of those that are out of service.
const left = (route) => route.outages.filter((found) => found.kind === "failed-over");
const out = (route) => route.outages.filter((found) => found.kind !== "failed-over");

// Where a datacenter that the document prefers does not serve.
function troubled(route) {
  return deserted(route) || left(route).length > 0 || out(route).some((found) => route.weights[found.datacenter] > 0);
}

export function search() {
  limit = STEP;
  draw();
}

export function draw() {
  if (!routes) return;
  const asked = find("find").value.trim().toLowerCase();
  const those = kind ? kinds.get(kind) ?? [] : names;
  const found = asked ? those.filter((name) => lower.get(name).includes(asked)) : those;
  // Names that begin with the text come first, and an equal one before them.
  if (asked) found.sort((a, b) => rank(a, asked) - rank(b, asked));
  find("found").textContent = found.length || !asked ? t("shown", { count: number(found.length), total: number(names.length) }) : t("shown.none", { text: asked });
  const focused = document.activeElement?.closest?.(".route")?.dataset.app;
  for (const ramp of ramps.splice(0)) ramp.destroy();
  drawKinds();
  const shown = found.slice(0, limit);
  // One that is open stays in sight, also where a link opens one of thousands.
  if (open && open in routes.apps && !shown.includes(open)) shown.unshift(open);
  const items = shown.map((name) => item(name, name, routes.apps[name]));
  write({ find: asked || null, show: kind || null, app: open });
  find("routes").replaceChildren(...(kind ? [] : [item("", t("default"), routes.default)]), ...items);
  const rest = found.length - limit;
  const more = find("more");
  more.hidden = rest <= 0;
  more.textContent = t("show-more", { count: number(Math.min(rest, STEP)) });
  more.onclick = () => {
    limit += STEP;
    draw();
  };
  if (open !== null) fill(open);
  if (!followed) document.querySelector(`.route[data-app="${CSS.escape(open)}"]`)?.scrollIntoView({ block: "center" });
  followed = true;
  if (focused !== undefined) document.querySelector(`.route[data-app="${CSS.escape(focused)}"] > button`)?.focus();
}

function rank(name, asked) {
  const lowered = lower.get(name);
  return lowered === asked ? 0 : lowered.startsWith(asked) ? 1 : 2;
}

function drawKinds() {
  const group = find("kinds");
  const focused = group.contains(document.activeElement) ? document.activeElement.dataset.kind : undefined;
  const chip = (each, label, count, marks = {}) => el("button", {
    type: "button", "data-kind": each, "aria-pressed": String(kind === each), class: marks.class,
    onclick: () => {
      kind = kind === each ? "" : each;
      search();
    },
  }, marks.swatch ?? "", label, el("b", {}, number(count)));
  const chips = [chip("", t("filter.all"), names.length)];
  for (const [each, members] of kinds) {
    if (!members.length && kind !== each) continue;
    const dc = each.startsWith("dc ") ? each.slice(3) : "";
    chips.push(dc ? chip(each, dc, members.length, { swatch: swatch(dc) }) : chip(each, t(`filter.${each}`), members.length, { class: each === "troubled" ? "warn" : "" }));
  }
  group.hidden = names.length === 0;
  group.replaceChildren(...chips);
  if (focused !== undefined) group.querySelector(`[data-kind="${CSS.escape(focused)}"]`)?.focus();
}

function item(app, label, route) {
  const expanded = open === app;
  const toggle = () => {
    open = expanded ? null : app;
    draw();
  };
  const button = el("button", { type: "button", "aria-expanded": String(expanded), onclick: toggle },
    el("span", { class: "name" }, el("span", {}, label)), serving(route), el("span", { class: "notes" }, notes(route)));
  return el("li", { class: app ? "route" : "route default", "data-app": app }, button, expanded ? el("div", { class: "detail" }) : "");
}

// Which datacenter serves which share, as a bar and as text: a share of one per cent has no room for its name.
function serving(route) {
  const shares = Object.entries(route.shares);
  const bar = el("span", { class: "bar", "aria-hidden": "true" });
  for (const [name, share] of shares) {
    const part = el("span", { class: `dc${colour(name)}` });
    part.style.flex = `${share} 1 0`;
    bar.append(part);
  }
  const texts = route.kind === "none" ? [el("span", {}, t("serving.anywhere"))]
    : !shares.length ? [el("span", { class: "nobody" }, t(route.on_empty === "any" ? "serving.any" : "serving.nobody"))]
    : shares.map(([name, share]) => el("span", {}, el("b", {}, name), shares.length > 1 ? ` ${percent(share)}` : ""));
  return el("span", { class: "serving" }, bar, el("span", { class: "shares" }, texts.flatMap((each) => [each, " "])));
}

function notes(route) {
  const parts = [];
  const pill = (style, text, title) => parts.push(el("span", { class: `pill ${style}`, title }, text), " ");
  // The errors of probes are long, and the same for many routes; the datacenter's card has them.
  const short = (found) => (found.kind === "unhealthy" ? t("note.unhealthy") : outage(found));
  for (const found of left(route)) pill("warn", t("note.left", { datacenter: found.datacenter, outage: outage(found) }));
  for (const found of out(route)) if (route.weights[found.datacenter] > 0) pill("warn", t("note.out", { datacenter: found.datacenter, outage: short(found) }), outage(found));
  if (route.ramp) pill("", t("note.ramp", route.ramp));
  if (route.jobs > 0) pill("", t("note.jobs", { count: number(route.jobs) }));
  const backups = route.backups.filter((name) => !(name in route.shares));
  const outages = new Map(out(route).map((found) => [found.datacenter, outage(found)]));
  // One that is out is crossed out, which a screen reader must hear too.
  const backup = (name) => (outages.has(name) ? el("s", { title: outages.get(name) }, name, el("span", { class: "hidden" }, ` (${outages.get(name)})`)) : name);
  if (route.kind !== "none") parts.push(t(backups.length ? "backups" : route.backups.length ? "backups.no-more" : "backups.none"), ...backups.flatMap((name, index) => [index ? t("list") : " ", backup(name)]));
  return parts;
}

// Each datacenter of a route, in the order of preference: its role, its share now, and its state.
// `workers` are the live workers of each datacenter, null where nothing is known.
function datacenters(route, workers) {
  const weights = Object.entries(route.weights).sort(([, a], [, b]) => b - a);
  const backups = route.backups.filter((name) => !(route.weights[name] > 0));
  const role = (weight) => (weights.length > 1 ? t("role.weight", { weight: number(+weight.toPrecision(4)) }) : t("role.active"));
  const live = (name) => (workers ? [number(workers[name] ?? 0)] : []);
  const row = (name, text) => [el("span", { class: "together" }, swatch(name), name), text, route.shares[name] ? percent(route.shares[name]) : "–", ...live(name), state(route, name)];
  return table([t("datacenter"), t("role"), t("share"), ...(workers ? [t("workers")] : []), t("source.state")], [
    ...weights.filter(([, weight]) => weight > 0).map(([name, weight]) => row(name, role(weight))),
    ...backups.map((name, index) => row(name, t("role.backup", { number: index + 1 }))),
  ]);
}

const STYLES = { marked: "bad", unhealthy: "bad", drill: "warn", "failed-over": "warn" };

function state(route, name) {
  const found = out(route).find((each) => each.datacenter === name) ?? left(route).find((each) => each.datacenter === name);
  return el("span", { class: `dc-state ${found ? STYLES[found.kind] : "good"}` }, found ? stateText(found) : t("datacenter.in-service"));
}

function stateText(found) {
  if (found.kind === "marked") return t("datacenter.marked");
  if (found.kind === "drill") return t(found.reason ? "datacenter.drill.reason" : "datacenter.drill", { until: moment(found.until), reason: found.reason });
  if (found.kind === "unhealthy") return t("datacenter.unhealthy", { fault: fault(found.fault) });
  return outage(found);
}

async function fill(app) {
  const place = document.querySelector(`.route[data-app="${CSS.escape(app)}"] .detail`);
  if (!place) return;
  const route = app ? routes.apps[app] : routes.default;
  if (!route) return;
  place.append(el("p", { class: "quiet" }, ["min_workers", "on_empty", "sticky"].map((key) => t(`setting.${key}`, { value: route[key] })).join(" · ")));
  if (route.ramp) {
    const { ramp } = route;
    const title = t("ramp.title", { datacenter: ramp.to, share: +((100 * ramp.step) / ramp.steps).toPrecision(3) });
    const plot = el("div", { class: "plot", role: "img", "aria-label": title });
    place.append(el("p", {}, title, el("span", { class: "quiet" }, ` (${moment(ramp.start)} – ${moment(ramp.end)})`)), plot);
    ramps.push(drawRamp(plot, ramp));
  }
  const listed = el("div", {}, datacenters(route, null));
  if (route.kind !== "none") place.append(listed);
  if (app) place.append(el("button", { type: "button", onclick: () => ask(app) }, t("whatif")));
  if (!app) return;
  // Not from the browser's cache: the workers change without a new generation, which the ETag stands for.
  const answer = await fetch(`/v1/routes/${encodeURIComponent(app)}`, { cache: "no-store" }).catch(() => null);
  if (!answer?.ok || !place.isConnected) return;
  const { jobs, workers, workers_seen_at: seen } = await answer.json();
  listed.replaceChildren(datacenters(route, workers), el("p", { class: "quiet workers" }, workers ? [t("workers.seen"), " ", ago(seen)] : t("workers.unknown")));
  if (route.jobs) {
    place.append(table([t("job"), t("job.route"), ""], Object.entries(jobs).slice(0, 200).map(([job, own]) => [job, serving(own), el("span", { class: "notes" }, notes(own))])));
  }
}
