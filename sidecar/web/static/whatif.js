// The what-if box: asks the sidecar for a decision, and shows its steps.
import { el, find, table } from "./dom.js";
import { t } from "./messages.js";
import * as wording from "./wording.js";

const PROPOSED = 6;
const STYLES = { ACTIVE: "good", SPLIT: "good", FAILOVER: "warn", DEGRADED: "warn", ANY: "warn", UNROUTED: "", NO_WORKERS: "bad" };
let asked = null;
let proposed = "";

// Two workers in each datacenter, until the reader types something else.
export function propose(datacenters) {
  const field = find("whatif").elements.candidates;
  if (field.value !== proposed || field === document.activeElement) return;
  field.value = proposed = datacenters.slice(0, PROPOSED).map((dc) => `${dc.name}=2`).join(",");
}

export function ask(app) {
  const { elements } = find("whatif");
  elements.app.value = app;
  elements.job.value = elements.instance.value = "";
  elements.job.focus();
  decide();
}

export async function decide() {
  const query = new URLSearchParams(new FormData(find("whatif")));
  asked = query.toString();
  const answer = await fetch(`/v1/explain?${query}`);
  const body = await answer.json();
  if (asked !== query.toString()) return;
  find("answer").replaceChildren(...(answer.ok ? steps(body) : [el("p", {}, body.error)]));
}

// Asks again under a new document: an old answer beside new routes would mislead.
export function again() {
  if (asked !== null) decide();
}

function steps({ decision, outcome_detail: outcome, order, app, route, keys, by_default_route: byDefault }) {
  const head = t(decision.datacenter ? "decision.serves" : "decision.none", decision);
  const score = (choice) => (choice.score === null || choice.score === undefined ? "" : choice.score.toPrecision(4));
  return [
    el("p", { class: "verdict" }, el("span", { class: `pill ${STYLES[decision.reason] ?? ""}` }, decision.reason), head),
    byDefault ? el("p", { class: "warn" }, t("by-default-route", { app })) : "",
    el("p", {}, wording.outcome(outcome)),
    order.length
      ? table([t("datacenter"), t("weight"), t("score"), t("workers"), t("verdict")],
          order.map((choice) => [choice.datacenter, choice.weight === null ? t("backup") : String(choice.weight), score(choice), String(choice.workers), wording.verdict(choice)]),
          order.findIndex((choice) => choice.datacenter === decision.datacenter))
      : "",
    el("p", { class: "quiet" }, t("route-at", { origin: route || t("origin.built-in") })),
    table([t("rule"), t("value"), t("origin")], keys.map((key) => [key.name, wording.value(key), wording.origin(key)])),
  ];
}
