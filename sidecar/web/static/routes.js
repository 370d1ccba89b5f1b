// The list of applications: found by name or kind, each with where its jobs go, and opened for what there is to know of it.
import { colour, el, find, swatch, table } from "./dom.js";
import { drawRamp } from "./plots.js";
import { said } from "./translate.js";
import { ask } from "./whatif.js";
import { moment, number, t } from "./messages.js";

// On a phone what follows the list is not to be far away.
const STEP = matchMedia("(max-width: 1000px)").matches ? 20 : 50;
// How many applications each datacenter serves, all or part of their jobs.
export const load = new Map();
// Those that nobody serves.
export let stranded = [];
let routes = null;
let drills = [];
let names = [];
let lower = [];
// The kinds that there are, each with the names of its applications.
let kinds = new Map();
let kind = "";
let limit = STEP;
let open = null;
let ramps = [];

export function show(told) {
  routes = told;
  names = Object.keys(told.apps);
  lower = new Map(names.map((name) => [name, name.toLowerCase()]));
  kinds = new Map([["troubled", []], ["ramps", []], ["splits", []]]);
  stranded = [];
  load.clear();
  for (const name of names) {
    const route = told.apps[name];
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
  draw();
}

const deserted = (route) => route.kind !== "none" && route.on_empty !== "any" && !Object.keys(route.shares).length;

// What the status tells of drills, for the words on each datacenter of a route.
export function know(status) {
  drills = status.drills.filter((drill) => drill.active);
}

// The line of "now" moves on.
export const tick = () => ramps.forEach((ramp) => ramp.redraw(false));

// Where what the document asks for first is not what serves.
function troubled(route) {
  return deserted(route) || Object.keys(route.left).length > 0 || Object.keys(route.unavailable).some((name) => route.weights[name] > 0);
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
  // What begins with what was typed comes first, and first of all what is just that.
  if (asked) found.sort((a, b) => rank(a, asked) - rank(b, asked));
  find("found").textContent = found.length || !asked ? t("shown", number(found.length), number(names.length)) : t("none", asked);
  const focused = document.activeElement?.closest?.(".route")?.dataset.app;
  for (const ramp of ramps.splice(0)) ramp.destroy();
  drawKinds();
  const items = found.slice(0, limit).map((name) => item(name, name, routes.apps[name]));
  find("routes").replaceChildren(...(kind ? [] : [item("", t("default"), routes.default)]), ...items);
  const rest = found.length - limit;
  const more = find("more");
  more.hidden = rest <= 0;
  more.textContent = t("more", number(Math.min(rest, STEP)));
  more.onclick = () => {
    limit += STEP;
    draw();
  };
  if (open !== null) fill(open);
  if (focused !== undefined) document.querySelector(`.route[data-app="${CSS.escape(focused)}"] > button`)?.focus();
}

function rank(name, asked) {
  const lowered = lower.get(name);
  return lowered === asked ? 0 : lowered.startsWith(asked) ? 1 : 2;
}

function drawKinds() {
  const group = find("kinds");
  const focused = group.contains(document.activeElement) ? document.activeElement.dataset.kind : undefined;
  const chip = (each, words, count, marks = {}) => el("button", {
    type: "button", "data-kind": each, "aria-pressed": String(kind === each), class: marks.class,
    onclick: () => {
      kind = kind === each ? "" : each;
      search();
    },
  }, marks.swatch ?? "", words, el("b", {}, number(count)));
  const chips = [chip("", t("all"), names.length)];
  for (const [each, members] of kinds) {
    if (!members.length && kind !== each) continue;
    const dc = each.startsWith("dc ") ? each.slice(3) : "";
    chips.push(dc ? chip(each, dc, members.length, { swatch: swatch(dc) }) : chip(each, t(each), members.length, { class: each === "troubled" ? "warn" : "" }));
  }
  group.hidden = names.length === 0;
  group.replaceChildren(...chips);
  if (focused !== undefined) group.querySelector(`[data-kind="${CSS.escape(focused)}"]`)?.focus();
}

function item(app, words, route) {
  const expanded = open === app;
  const toggle = () => {
    open = expanded ? null : app;
    draw();
  };
  const button = el("button", { type: "button", "aria-expanded": String(expanded), onclick: toggle },
    el("span", { class: "name" }, el("span", {}, words)), serving(route), el("span", { class: "notes" }, notes(route)));
  return el("li", { class: app ? "route" : "route default", "data-app": app }, button, expanded ? el("div", { class: "detail" }) : "");
}

const percent = (share) => `${+(100 * share).toPrecision(3)} %`;

// Who serves which part, as a bar and in words: a part of one per cent has no room for its name.
function serving(route) {
  const shares = Object.entries(route.shares);
  const bar = el("span", { class: "bar", "aria-hidden": "true" });
  for (const [name, share] of shares) {
    const part = el("span", { class: `dc${colour(name)}` });
    part.style.flex = `${share} 1 0`;
    bar.append(part);
  }
  const words = route.kind === "none" ? [el("span", {}, t("everywhere"))]
    : !shares.length ? [el("span", { class: "nobody" }, t(route.on_empty === "any" ? "anybody" : "nobody"))]
    : shares.map(([name, share]) => el("span", {}, el("b", {}, name), shares.length > 1 ? ` ${percent(share)}` : ""));
  return el("span", { class: "serving" }, bar, el("span", { class: "shares" }, words.flatMap((each) => [each, " "])));
}

function notes(route) {
  const parts = [];
  const pill = (style, words, title) => parts.push(el("span", { class: `pill ${style}`, title }, words), " ");
  // What probes found is long, and the same for many; the datacenter's card has it.
  const short = (why) => (why.startsWith("probes: ") ? t("unhealthy") : said(why));
  for (const [name, why] of Object.entries(route.left)) pill("warn", t("left", name, said(why)));
  for (const [name, why] of Object.entries(route.unavailable)) if (route.weights[name] > 0) pill("warn", t("outWords", name, short(why)), said(why));
  if (route.ramp) pill("", t("ramp", route.ramp.from, route.ramp.to, route.ramp.step, route.ramp.steps));
  if (route.jobs > 0) pill("", t("jobs", number(route.jobs)));
  const backups = route.backups.filter((name) => !(name in route.shares));
  // One that is out is crossed out, and said so to those who cannot see it.
  const backup = (name) => (name in route.unavailable ? el("s", { title: said(route.unavailable[name]) }, name, el("span", { class: "hidden" }, ` (${said(route.unavailable[name])})`)) : name);
  if (route.kind !== "none") parts.push(t(backups.length ? "backups" : route.backups.length ? "noMore" : "noBackups"), ...backups.flatMap((name, index) => [index ? ", " : " ", backup(name)]));
  return parts;
}

// Each datacenter of a route, in the order of preference: what it is for, what it gets now, and how it stands.
function datacenters(app, route) {
  const weights = Object.entries(route.weights).sort(([, a], [, b]) => b - a);
  const backups = route.backups.filter((name) => !(route.weights[name] > 0));
  const role = (weight) => (weights.length > 1 ? t("weighted", number(+weight.toPrecision(4))) : t("active"));
  const row = (name, words) => [el("span", { class: "together" }, swatch(name), name), words, route.shares[name] ? percent(route.shares[name]) : "–", standing(app, route, name)];
  return table([t("datacenter"), t("role"), t("share"), t("state")], [
    ...weights.filter(([, weight]) => weight > 0).map(([name, weight]) => row(name, role(weight))),
    ...backups.map((name, index) => row(name, t("backupNumber", index + 1))),
  ]);
}

function standing(app, route, name) {
  const why = route.unavailable[name] ?? "";
  const until = drills.filter((drill) => drill.datacenter === name && (!drill.apps || drill.apps.includes(app))).map((drill) => drill.until).sort().at(-1);
  const kind = !why ? (route.left[name] ? "warn" : "good") : why === "marked" || why.startsWith("probes: ") ? "bad" : "warn";
  const words = !why ? (route.left[name] ? said(route.left[name]) : t("inService"))
    : why === "marked" ? t("marked")
    : why.startsWith("drill") ? until ? t("drilledUntil", moment(until)) + why.slice("drill".length) : said(why)
    : t("down", said(why));
  return el("span", { class: `standing ${kind}` }, words);
}

async function fill(app) {
  const place = document.querySelector(`.route[data-app="${CSS.escape(app)}"] .detail`);
  if (!place) return;
  const route = app ? routes.apps[app] : routes.default;
  if (!route) return;
  place.append(el("p", { class: "quiet" }, [t("minWorkers", route.min_workers), t("onEmpty", route.on_empty), t("sticky", route.sticky)].join(" · ")));
  if (route.ramp) {
    const { ramp } = route;
    const title = t("rampTitle", ramp.to, +((100 * ramp.step) / ramp.steps).toPrecision(3));
    const plot = el("div", { class: "plot", role: "img", "aria-label": title });
    place.append(el("p", {}, title, el("span", { class: "quiet" }, ` (${moment(ramp.start)} – ${moment(ramp.end)})`)), plot);
    ramps.push(drawRamp(plot, ramp));
  }
  if (route.kind !== "none") place.append(datacenters(app, route));
  if (app) place.append(el("button", { type: "button", onclick: () => ask(app) }, t("whatif")));
  if (app && route.jobs) {
    const answer = await fetch(`/v1/routes/${encodeURIComponent(app)}`);
    if (!answer.ok || !place.isConnected) return;
    const { jobs } = await answer.json();
    place.append(table([t("job"), t("jobRoute"), ""], Object.entries(jobs).slice(0, 200).map(([job, own]) => [job, serving(own), el("span", { class: "notes" }, notes(own))])));
  }
}
