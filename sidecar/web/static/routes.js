// The list of applications: found by name, each with where its jobs go, and opened for what there is to know of it.
import { colour, el, find, table } from "./dom.js";
import { drawRamp } from "./plots.js";
import { moment, number, t } from "./words.js";

const STEP = 60;
let routes = null;
let names = [];
let lower = [];
let limit = STEP;
let open = null;
let ramps = [];

export function show(told) {
  routes = told;
  names = Object.keys(told.apps);
  lower = names.map((name) => name.toLowerCase());
  draw();
}

export function search() {
  limit = STEP;
  draw();
}

export function draw() {
  if (!routes) return;
  const asked = find("find").value.trim().toLowerCase();
  const found = asked ? names.filter((_, index) => lower[index].includes(asked)) : names;
  // What begins with what was typed comes first, and first of all what is just that.
  if (asked) found.sort((a, b) => rank(a, asked) - rank(b, asked));
  find("found").textContent = found.length || !asked ? t("shown", number(found.length), number(names.length)) : t("none", asked);
  const focused = document.activeElement?.closest?.(".route")?.dataset.app;
  for (const ramp of ramps.splice(0)) ramp.destroy();
  const items = found.slice(0, limit).map((name) => item(name, name, routes.apps[name]));
  find("routes").replaceChildren(item("", t("default"), routes.default), ...items);
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
  const lowered = name.toLowerCase();
  return lowered === asked ? 0 : lowered.startsWith(asked) ? 1 : 2;
}

function item(app, words, route) {
  const expanded = open === app;
  const toggle = () => {
    open = expanded ? null : app;
    draw();
  };
  const button = el("button", { type: "button", "aria-expanded": String(expanded), onclick: toggle },
    el("span", { class: "name" }, words), bar(route), el("span", { class: "notes" }, notes(route)));
  return el("li", { class: "route", "data-app": app }, button, expanded ? el("div", { class: "detail" }) : "");
}

function percent(share) {
  return `${+(100 * share).toPrecision(3)} %`;
}

export function bar(route) {
  const shares = Object.entries(route.shares);
  const node = el("span", { class: "bar" });
  if (route.kind === "none") return el("span", { class: "bar" }, el("span", { class: "dc7" }, t("everywhere")));
  if (!shares.length) node.append(el("span", { class: "nobody" }, t("nobody")));
  for (const [name, share] of shares) {
    const words = shares.length > 1 ? `${name} ${percent(share)}` : name;
    const part = el("span", { class: `dc${colour(name)}`, title: words }, words);
    part.style.flex = `${share} 1 0`;
    node.append(part);
  }
  return node;
}

function notes(route) {
  const backups = route.backups.filter((name) => !(name in route.shares));
  const parts = [el("span", {}, backups.length ? t("backups", backups.join(", ")) : t("noBackups"))];
  const strong = (words) => parts.push(" · ", el("b", {}, words));
  for (const [name, why] of Object.entries(route.unavailable)) strong(t("outWords", name, why));
  for (const [name, why] of Object.entries(route.left)) strong(t("left", name, why));
  if (route.ramp) parts.push(" · ", t("ramp", route.ramp.from, route.ramp.to, route.ramp.step, route.ramp.steps));
  if (route.jobs) parts.push(" · ", t("jobs", number(route.jobs)));
  return parts;
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
  if (route.jobs) {
    const answer = await fetch(`/v1/routes/${encodeURIComponent(app)}`);
    if (!answer.ok || !place.isConnected) return;
    const { jobs } = await answer.json();
    place.append(table([t("job"), t("jobRoute"), ""], Object.entries(jobs).slice(0, 200).map(([job, own]) => [job, bar(own), el("span", { class: "notes" }, notes(own))])));
  }
}
