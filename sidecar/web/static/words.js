// The page's words in English and Chinese. `{0}` stands for the first value given.
const WORDS = {
  en: {
    skip: "Skip to the applications", revision: "revision", generation: "generation", language: "Language",
    datacenters: "Datacenters", source: "Document and source", rates: "Decisions per second, last 15 minutes",
    refused: "The newest document is refused; the one before stays in force", applications: "Applications",
    find: "Find an application", whatif: "What if?", application: "Application", job: "Job", instance: "Run (instance)",
    candidates: "Candidates", decide: "Decide", changes: "Last changes",
    ready: "Ready", notReady: "Not ready", stale: "Serving, config center out of reach", attention: "Serving, needs attention",
    lost: "No connection to the sidecar; trying again", inService: "in service", marked: "marked out of service",
    drilledUntil: "drilled until {0}", partly: "drilled for some until {0}", down: "down: {0}", nobody: "nobody serves",
    url: "Source", state: "State", since: "{0} for {1}", confirmed: "Last confirmed", ago: "{0} ago", never: "never",
    applied: "In force since", by: "Changed by", reason: "Reason", ticket: "Ticket", next: "Next change by the clock",
    snapshot: "From a snapshot that the source has not confirmed yet", override: "A local document decides instead: {0}",
    documentSize: "Size", sizeWords: "{0} bytes, {1} applications", default: "all others (default route)", backups: "then {0}", noBackups: "no backups",
    ramp: "ramp {0} → {1}, step {2} of {3}", left: "work left {0}: {1}", outWords: "{0} out: {1}", everywhere: "anywhere",
    shown: "{0} of {1} applications", none: "No application has “{0}” in its name; it would get the default route.",
    more: "Show {0} more", jobs: "jobs with a route of their own: {0}", minWorkers: "min_workers {0}", onEmpty: "on_empty: {0}", sticky: "sticky: {0}",
    rampTitle: "Share of {0} over time; now: {1} %", now: "now", jobRoute: "Route", weight: "Weight", score: "Score", workers: "Workers", verdict: "Verdict",
    datacenter: "Datacenter", rule: "Rule", value: "Value", origin: "Written at", backup: "backup", routeAt: "Route: {0}", builtIn: "built in",
    serves: "{0} serves: {1} of {2} candidates", servesNobody: "{0} of {1} candidates", difference: "Difference", line: "line {0}",
    drillWords: "Drill of {0} until {1}", drillLater: "Drill of {0} from {1} until {2}", forApps: "for {0}", forAll: "for all applications", unknownDc: "none",
    noRates: "No decisions yet.", rateWords: "Now: {0}", moreProblems: "and {0} more problems", kindRefused: "Refused", kindDocument: "New document", kindClock: "Clock, drill, health or source", bySource: "by {0}",
    s: "{0} s", min: "{0} min", h: "{0} h", d: "{0} d",
  },
  zh: {
    skip: "跳到应用列表", revision: "版本", generation: "代次", language: "语言",
    datacenters: "机房", source: "文档与来源", rates: "最近 15 分钟每秒决策数",
    refused: "最新文档被拒绝，之前的文档继续生效", applications: "应用",
    find: "查找应用", whatif: "如果……会怎样？", application: "应用", job: "任务", instance: "运行实例",
    candidates: "候选机器", decide: "计算", changes: "最近变更",
    ready: "就绪", notReady: "未就绪", stale: "服务中，配置中心无法访问", attention: "服务中，需要关注",
    lost: "与 sidecar 的连接断开，正在重试", inService: "服务中", marked: "已手工下线",
    drilledUntil: "演练至 {0}", partly: "部分应用演练至 {0}", down: "故障：{0}", nobody: "无机房服务",
    url: "来源", state: "状态", since: "{0}，已持续 {1}", confirmed: "最近确认", ago: "{0}前", never: "从未",
    applied: "生效时间", by: "变更人", reason: "原因", ticket: "工单", next: "下一次定时变化",
    snapshot: "来自快照，来源尚未确认", override: "由本地文档代替：{0}",
    documentSize: "大小", sizeWords: "{0} 字节，{1} 个应用", default: "其余应用（默认路由）", backups: "备用 {0}", noBackups: "无备用",
    ramp: "渐变 {0} → {1}，第 {2} / {3} 步", left: "已离开 {0}：{1}", outWords: "{0} 下线：{1}", everywhere: "任意机房",
    shown: "{1} 个应用中的 {0} 个", none: "没有名称包含“{0}”的应用；它会使用默认路由。",
    more: "再显示 {0} 个", jobs: "{0} 个任务有单独的路由", minWorkers: "min_workers {0}", onEmpty: "on_empty：{0}", sticky: "sticky：{0}",
    rampTitle: "{0} 的占比随时间变化；当前 {1} %", now: "现在", jobRoute: "路由", weight: "权重", score: "得分", workers: "机器数", verdict: "结论",
    datacenter: "机房", rule: "规则", value: "值", origin: "定义于", backup: "备用", routeAt: "路由：{0}", builtIn: "内置",
    serves: "{0} 服务：{2} 个候选中的 {1} 个", servesNobody: "{1} 个候选中的 {0} 个", difference: "差异", line: "第 {0} 行",
    drillWords: "演练 {0}，至 {1}", drillLater: "演练 {0}，{1} 至 {2}", forApps: "应用：{0}", forAll: "所有应用", unknownDc: "无",
    noRates: "尚无决策。", rateWords: "当前：{0}", moreProblems: "另有 {0} 个问题", kindRefused: "被拒绝", kindDocument: "新文档", kindClock: "时间、演练、健康或来源", bySource: "变更人 {0}",
    s: "{0} 秒", min: "{0} 分钟", h: "{0} 小时", d: "{0} 天",
  },
};

const kept = localStorage.getItem("language");
export let language = kept in WORDS ? kept : navigator.language.startsWith("zh") ? "zh" : "en";

export function t(key, ...values) {
  return WORDS[language][key].replace(/\{(\d)\}/g, (_, index) => values[index] ?? "");
}

export function speak(chosen) {
  language = chosen;
  localStorage.setItem("language", chosen);
  document.documentElement.lang = chosen === "zh" ? "zh-CN" : "en";
  for (const node of document.querySelectorAll("[data-t]")) node.textContent = t(node.dataset.t);
  for (const node of document.querySelectorAll("[data-t-label]")) node.setAttribute("aria-label", t(node.dataset.tLabel));
  for (const node of document.querySelectorAll("[data-t-placeholder]")) node.placeholder = t(node.dataset.tPlaceholder);
}

export function span(seconds) {
  const unit = seconds < 100 ? ["s", 1] : seconds < 6000 ? ["min", 60] : seconds < 172800 ? ["h", 3600] : ["d", 86400];
  return t(unit[0], Math.max(0, Math.floor(seconds / unit[1])));
}

export function moment(text) {
  const when = new Date(text);
  const today = when.toDateString() === new Date().toDateString();
  const form = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", ...(today ? {} : { year: "numeric", month: "short", day: "numeric" }) };
  return when.toLocaleString(language === "zh" ? "zh-CN" : "en-GB", form);
}

// For the axes of plots: `18:05`, with the day where the ticks are further apart than one.
export function ticks(seconds, apart) {
  const form = apart >= 86400 ? { month: "short", day: "numeric" } : { hour: "2-digit", minute: "2-digit", hourCycle: "h23", ...(apart < 60 ? { second: "2-digit" } : {}) };
  const format = new Intl.DateTimeFormat(language === "zh" ? "zh-CN" : "en-GB", form);
  return seconds.map((second) => format.format(second * 1000));
}

export const number = (value) => value.toLocaleString(language === "zh" ? "zh-CN" : "en-GB");
