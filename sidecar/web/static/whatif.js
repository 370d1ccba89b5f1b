// The what-if box: asks the sidecar what it would decide, and shows the steps.
import { el, find, table } from "./dom.js";
import { t } from "./words.js";

let asked = null;

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
    el("p", { class: "verdict" }, `${decision.reason}: ${head}`),
    el("p", {}, told.outcome),
    el("p", { class: "quiet" }, t("routeAt", told.route || t("builtIn"))),
    table([t("rule"), t("value"), t("origin")], told.keys.map((key) => [key.name, key.value, key.origin])),
    told.order.length
      ? table([t("datacenter"), t("weight"), t("score"), t("workers"), t("verdict")],
          told.order.map((choice) => [choice.datacenter, choice.weight === null ? t("backup") : String(choice.weight), score(choice), String(choice.workers), choice.verdict]))
      : "",
  ];
}
