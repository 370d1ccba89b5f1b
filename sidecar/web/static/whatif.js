// The what-if box: asks the sidecar what it would decide, and shows the steps.
import { el, find, table } from "./dom.js";
import { said } from "./translate.js";
import { t } from "./messages.js";

const PROPOSED = 6;
const KINDS = { ACTIVE: "good", SPLIT: "good", FAILOVER: "warn", DEGRADED: "warn", ANY: "warn", UNROUTED: "", NO_WORKERS: "bad" };
// The rules whose values are words, not names.
const WORDY = ["ramp", "backups", "failover"];
let asked = null;
let proposed = "";

// Two workers in each datacenter, until somebody types something else.
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
  const told = await answer.json();
  if (asked !== query.toString()) return;
  find("answer").replaceChildren(...(answer.ok ? steps(told) : [el("p", {}, told.error)]));
}

// Asks again under a new document: an old answer beside new routes would mislead.
export function again() {
  if (asked !== null) decide();
}

function steps(told) {
  const { decision } = told;
  const head = decision.datacenter
    ? t("serves", decision.datacenter, decision.selected, decision.candidates)
    : t("servesNobody", decision.selected, decision.candidates);
  const score = (choice) => (choice.score === null || choice.score === undefined ? "" : choice.score.toPrecision(4));
  return [
    el("p", { class: "verdict" }, el("span", { class: `pill ${KINDS[decision.reason] ?? ""}` }, decision.reason), head),
    el("p", {}, said(told.outcome)),
    told.order.length
      ? table([t("datacenter"), t("weight"), t("score"), t("workers"), t("verdict")],
          told.order.map((choice) => [choice.datacenter, choice.weight === null ? t("backup") : String(choice.weight), score(choice), String(choice.workers), said(choice.verdict)]),
          told.order.findIndex((choice) => choice.datacenter === decision.datacenter))
      : "",
    el("p", { class: "quiet" }, t("routeAt", told.route || t("builtIn"))),
    table([t("rule"), t("value"), t("origin")], told.keys.map((key) => [key.name, WORDY.includes(key.name) ? said(key.value) : key.value, said(key.origin)])),
  ];
}
