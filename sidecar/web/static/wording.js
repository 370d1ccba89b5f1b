// What the API's kinds and parameters are in the reader's language.
import { list, moment, named, number, percent, t } from "./messages.js";

const time = (text) => (text ? moment(text) : "");
const subject = (name) => (name === "default" ? t("default") : name);
const withError = (error) => (error ? t("alert.error", { error }) : "");

export function fault({ kind, workers = 0, needed, probes = [], since, text }) {
  const failures = list(probes.map((probe) => t("fault.probe", probe)));
  return t(`fault.${kind}`, { workers, needed, probes: failures, since: time(since), text });
}

export function outage(found) {
  if (found.kind === "drill" && found.reason) return t("outage.drill.reason", found);
  return t(`outage.${found.kind}`, { fault: found.fault ? fault(found.fault) : "", since: time(found.since) });
}

export function shares({ destination, shares: parts = {} }) {
  const entries = Object.entries(parts);
  const texts = entries.map(([datacenter, share]) => t("destination.share", { datacenter, percent: percent(share) }));
  return t(`destination.${destination}`, { shares: entries.length === 1 ? entries[0][0] : list(texts) });
}

export function change({ kind, subjects, total, before, after }) {
  const names = named(subjects.map(subject), total);
  if (before === null) return t("change.first", { subjects: names, after: aspect(kind, after) });
  const again = kind === "preference" && !after.outage;
  return t("change", { subjects: names, before: aspect(kind, before), after: again ? t("aspect.preference.again", after) : aspect(kind, after) });
}

function aspect(kind, side) {
  const key = `aspect.${kind}`;
  switch (kind) {
    case "route":
      return side.backups.length ? t(key, { shares: shares(side), backups: list(side.backups) }) : shares(side);
    case "shares":
      return t(key, { shares: shares(side) });
    case "ramp":
      return side.ramp ? t(key, { ...side.ramp, start: moment(side.ramp.start) }) : t("aspect.ramp.none");
    case "backups":
      return side.backups.length ? t(key, { backups: list(side.backups) }) : t("aspect.backups.none");
    case "failover":
      return t(key, { rule: failover(side.failover) });
    case "service":
      if (!side.outage) return t("aspect.service.in");
      return side.apps ? t("aspect.service.some", { apps: named(side.apps, side.total), outage: outage(side.outage) }) : t(key, { outage: outage(side.outage) });
    case "preference":
      return side.outage ? t(key, { datacenter: side.datacenter, outage: outage(side.outage) }) : t("aspect.preference.none", side);
    case "worker":
      if (!side.drained) return t("aspect.worker.available");
      return side.reason ? t("aspect.worker.reason", { reason: side.reason }) : t(key);
    default:
      // `min-workers`, `on-empty`, `sticky`: one value, as the document has it.
      return t(key, { value: Object.values(side)[0] });
  }
}

export function failover(rule) {
  if (!rule) return t("failover.none");
  return t("failover", {
    leaves: rule.after ? t("failover.after", { duration: rule.after }) : t("failover.at-once"),
    returns: rule.back_after ? t("failover.back-after", { duration: rule.back_after }) : t(`failover.${rule.back}`),
    shown: rule.observations ? t("failover.observations", { count: number(rule.observations) }) : "",
    sent: rule.failed_back ? t("failover.sent", { time: moment(rule.failed_back) }) : "",
  });
}

// Whom a drill is for, and why, as the parameters of its messages.
export function drill({ datacenter, start, until, apps, total, reason }) {
  return {
    datacenter,
    start: time(start),
    until: time(until),
    apps: apps?.length ? t("drill.apps", { apps: named(apps, total ?? apps.length, 5) }) : t("drill.all"),
    reason: reason ? t("drill.reason", { reason }) : "",
  };
}

// An event of a change; one that an older version of the sidecar recorded has its English text only.
export function event({ kind, words = "", detail }) {
  if (!detail) return words;
  switch (kind) {
    case "switch":
    case "failover":
    case "return":
    case "ramp-step":
      return t("move", { before: shares(detail.before), after: shares(detail.after) });
    case "drill-started":
    case "drill-ended":
      return t("drill.event", drill(detail));
    case "override-started":
    case "override-ended":
      return detail.url;
    case "lost":
      return t(detail.cause === "removed" ? "lost.removed" : "lost", { count: number(detail.count) });
    case "broken":
      return t("broken", { found: number(detail.found), expected: number(detail.expected) });
    case "removed":
      return t("removed", { number: number(detail.number) });
    case "rescheduled":
      return t("rescheduled", { app: detail.app, results: detail.results.map(result).join(t("sentences")) });
    case "applied":
      return t("changes.same");
    default:
      // `refused`, `missing`: the error as it came.
      return detail.error;
  }
}

const result = ({ done, count, result: text }) => t(done ? "rescheduled.done" : "rescheduled.left", { count: number(count), result: text });

export function alert(found) {
  const parameters = { ...found, error: withError(found.error), since: time(found.since) };
  if (found.state) parameters.state = t(`state.${found.state}`);
  if (found.outages) parameters.outages = found.outages.map((each) => `${each.datacenter}${t("colon")}${outage(each)}`).join(t("sentences"));
  if (found.kind === "rescheduling") {
    for (const state of ["found", "retried", "stopped", "waiting"]) parameters[state] = number(found[state] ?? 0);
  }
  if (found.kind === "gray") parameters.clients = found.clients ? t("alert.gray-clients", { names: list(found.clients) }) : "";
  if (found.probes) {
    parameters.probes = found.probes.map((probe) => t(`skip.${probe.reason}`, probe)).join(t("sentences"));
    parameters.more = found.total > found.probes.length ? t("more", { count: number(found.total - found.probes.length) }) : "";
  }
  return t(`alert.${found.kind}`, parameters);
}

export const verdict = (choice) => t(`verdict.${choice.verdict_kind}`, { needed: choice.needed, outage: choice.outage ? outage(choice.outage) : "" });

export const outcome = (detail) => t(`outcome.${detail.kind}`, { ...detail, outage: detail.outage ? outage(detail.outage) : "" });

export const origin = (key) => t(`origin.${key.origin_kind}`, { path: key.origin });

// The value of a rule: names and words of the document stay as they are.
export function value({ name, value: text, value_detail: detail }) {
  if (name === "ramp") return t("key.ramp", { ...detail.ramp, start: moment(detail.ramp.start) });
  if (name === "failover") return failover(detail.failover);
  return name === "backups" && !detail.backups.length ? t("key.backups.none") : text;
}
