// Follows the sidecar: events bring status and rates, a new generation brings the routes.
import { read } from "./address.js";
import * as changes from "./changes.js";
import { find } from "./dom.js";
import * as ages from "./ages.js";
import * as panels from "./panels.js";
import * as plots from "./plots.js";
import * as routes from "./routes.js";
import * as whatif from "./whatif.js";
import { language, speak, t } from "./messages.js";

let status = null;
let connected = true;
// When the sidecar was last heard of: it sends a sample of the rates every 5 s.
let heard = Date.now();
const SILENCE_MS = 20_000;
let generation = -1;
let instance = "";
let current = null;
let followers = [];

// Fetches again if it is called while a fetch is under way: the newest answer is the one shown.
function latest(path, take) {
  let busy = false;
  let once = false;
  return async function load() {
    if (busy) {
      once = true;
      return;
    }
    busy = true;
    do {
      once = false;
      try {
        const answer = await fetch(path);
        if (answer.ok) take(await answer.json());
      } catch {
        // The event stream opens again when the sidecar is back, and then everything is loaded.
      }
    } while (once);
    busy = false;
  };
}

const loadRoutes = latest("/v1/routes", (answer) => {
  routes.show(answer);
  drawDatacenters();
  drawBadge();
  whatif.again();
});
const loadRates = latest("/v1/rates", (answer) => {
  plots.keep(answer.samples);
  drawDatacenters();
});
const loadChanges = latest("/v1/changes", (answer) => {
  changes.show(answer.changes);
  if (status) panels.refusal(status.refusal, changes.publisher);
});

function drawBadge() {
  document.body.classList.toggle("lost", !connected);
  panels.alerts(status, routes.stranded, connected ? null : heard);
  panels.badge(status, connected, routes.stranded);
}

function drawDatacenters() {
  if (status) panels.datacenters(status, routes.load, plots.newest());
}

function follow() {
  const events = new EventSource("/v1/events");
  current = events;
  events.onopen = () => {
    connected = true;
    heard = Date.now();
    generation = -1;
    drawBadge();
    loadRates();
    loadChanges();
  };
  events.onerror = () => {
    connected = false;
    drawBadge();
    if (current === events && events.readyState === EventSource.CLOSED) setTimeout(follow, 2000);
  };
  events.addEventListener("status", (event) => {
    heard = Date.now();
    status = JSON.parse(event.data);
    drawStatus();
    whatif.propose(status.datacenters);
    if (status.revision && (status.generation !== generation || status.revision !== instance)) {
      generation = status.generation;
      instance = status.revision;
      loadRoutes();
    }
  });
  events.addEventListener("changes", loadChanges);
  events.addEventListener("followers", (event) => {
    followers = JSON.parse(event.data);
    panels.followers(followers);
  });
  events.addEventListener("rates", (event) => {
    heard = Date.now();
    plots.add(JSON.parse(event.data));
    drawDatacenters();
  });
}

// A connection may be dead without an error, as when the network drops its packets.
function watch() {
  if (!connected || Date.now() - heard < SILENCE_MS) return;
  connected = false;
  drawBadge();
  current.close();
  follow();
}

function drawStatus() {
  if (status) {
    // First, in the document's order: each datacenter keeps the colour that it gets here.
    drawDatacenters();
    panels.status(status);
    panels.refusal(status.refusal, changes.publisher);
  }
  drawBadge();
}

function redraw() {
  find("zone").textContent = t("zone", { zone: Intl.DateTimeFormat().resolvedOptions().timeZone });
  drawStatus();
  panels.followers(followers);
  changes.draw();
  routes.draw();
  plots.redraw();
}

find("language").value = language;
find("language").addEventListener("change", (event) => {
  speak(event.target.value);
  find("alerts").dataset.content = "";
  redraw();
  whatif.again();
});
find("find").value = read("find") ?? "";
find("find").addEventListener("input", routes.search);
find("whatif").addEventListener("submit", (event) => {
  event.preventDefault();
  whatif.decide();
});
document.addEventListener("keydown", (event) => {
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement?.tagName ?? "");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    find("find").focus();
  }
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
addEventListener("resize", () => plots.redraw());
setInterval(ages.tick, 1000);
setInterval(watch, 1000);
setInterval(routes.tick, 5000);
speak(language);
redraw();
follow();
