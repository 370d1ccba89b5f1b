// The page's words in English and Chinese. `{0}` stands for the first value given.
const WORDS = {
  en: {
    skip: "Skip to the applications", revision: "revision", generation: "generation", language: "Language", zone: "times in {0}",
    ready: "Ready", notReady: "Not ready", stale: "Serving, config center out of reach", attention: "Serving, needs attention",
    lost: "No connection to the sidecar; trying again", snapshot: "From a snapshot that the source has not confirmed yet", override: "A local document decides instead of the config center: {0}. Remove the file to end it.",
    refused: "The newest document is refused; the one before stays in force", line: "line {0}", moreProblems: "and {0} more problems",
    datacenters: "Datacenters", inService: "in service", marked: "marked out of service", drilledUntil: "drilled until {0}", partly: "drilled for some until {0}", down: "down: {0}",
    load: "{0} of {1} applications · {2} decisions/s", drillOn: "Drill", drillPlanned: "Planned", drillWords: "{0} until {1}", drillLater: "{0} from {1} until {2}",
    forApps: "for {0}", forAll: "for all applications", moreDrills: "and {0} more drills",
    source: "Document and source", url: "Source", state: "State", lasting: "for {0}", ago: "{0} ago", never: "never", confirmed: "Last confirmed", applied: "In force since",
    by: "Changed by", reason: "Reason", ticket: "Ticket", next: "Next by the clock", documentSize: "Size", sizeWords: "{0} bytes, applications: {1}",
    SYNCED: "up to date", REJECTED: "newest text refused", CONNECTING: "not reached yet", DISCONNECTED: "out of reach", MISSING: "no document there",
    rates: "Decisions per second, last 15 minutes", noRates: "No decisions yet.", now: "now", unknownDc: "nobody",
    applications: "Applications", find: "Find an application", findHint: "Find an application ( / )", kinds: "Show only", all: "All", troubled: "Needs attention", ramps: "Ramps", splits: "Splits",
    shown: "{0} of {1} applications", none: "No application has “{0}” in its name; it would get the default route.", more: "Show {0} more",
    default: "default route", everywhere: "anywhere", nobody: "nobody serves", anybody: "whoever is in service", backups: "then", noBackups: "no backups", noMore: "no further backups", unhealthy: "unhealthy", nowhere: "Applications with nowhere to run: {0} ({1})",
    ramp: "ramp {0} → {1}, step {2} of {3}", left: "work left {0}: {1}", outWords: "{0} out: {1}", jobs: "jobs of their own: {0}",
    minWorkers: "min_workers {0}", onEmpty: "on_empty: {0}", sticky: "sticky: {0}", rampTitle: "Share of {0} over time; now: {1} %", jobRoute: "Route",
    role: "Role", active: "active", weighted: "weight {0}", backupNumber: "backup {0}", share: "Gets now",
    changes: "Last changes", kindRefused: "Refused", kindMissing: "Document missing", kindDocument: "New document", kindClock: "By the clock", kindHealth: "Health", kindOverride: "Local override",
    kindOverrideEnded: "Override ended", kindReaction: "Work brought back", kindAudit: "Audit", bySource: "by {0}", center: "config center: {0}", details: "Details", difference: "Difference", others: "and {0} more",
    allChanges: "Show all {0}", fewer: "Show fewer", switch: "Moved", failover: "Failed over", return: "Returned", "ramp-step": "Ramp step", "drill-started": "Drill started", "drill-ended": "Drill ended",
    "override-started": "Local document", "override-ended": "Local document gone",
    whatif: "What if?", application: "Application", job: "Job", instance: "Run (instance)", candidates: "Live workers", decide: "Decide",
    serves: "{0} serves: {1} of {2} candidates", servesNobody: "{0} of {1} candidates", routeAt: "Route: {0}", builtIn: "built in",
    rule: "Rule", value: "Value", origin: "Written at", datacenter: "Datacenter", weight: "Weight", score: "Score", workers: "Workers", verdict: "Verdict", backup: "backup",
    s: "{0} s", min: "{0} min", h: "{0} h", d: "{0} d",
  },
  zh: {
    skip: "跳到应用列表", revision: "版本", generation: "代次", language: "语言", zone: "时间为 {0} 时区",
    ready: "就绪", notReady: "未就绪", stale: "服务中，配置中心无法访问", attention: "服务中，需要关注",
    lost: "与 sidecar 的连接断开，正在重试", snapshot: "来自快照，来源尚未确认", override: "由本地文档代替配置中心：{0}。删除该文件即可结束。",
    refused: "最新文档被拒绝，之前的文档继续生效", line: "第 {0} 行", moreProblems: "另有 {0} 个问题",
    datacenters: "机房", inService: "服务中", marked: "已手工下线", drilledUntil: "演练至 {0}", partly: "部分应用演练至 {0}", down: "故障：{0}",
    load: "{1} 个应用中的 {0} 个 · 每秒 {2} 次决策", drillOn: "演练", drillPlanned: "计划演练", drillWords: "{0}，至 {1}", drillLater: "{0}，{1} 至 {2}",
    forApps: "应用：{0}", forAll: "所有应用", moreDrills: "另有 {0} 次演练",
    source: "文档与来源", url: "来源", state: "状态", lasting: "持续 {0}", ago: "{0}前", never: "从未", confirmed: "最近确认", applied: "生效时间",
    by: "变更人", reason: "原因", ticket: "工单", next: "下一次定时变化", documentSize: "大小", sizeWords: "{0} 字节，{1} 个应用",
    SYNCED: "已是最新", REJECTED: "最新文本被拒绝", CONNECTING: "尚未连上", DISCONNECTED: "无法访问", MISSING: "没有文档",
    rates: "最近 15 分钟每秒决策数", noRates: "尚无决策。", now: "现在", unknownDc: "无机房",
    applications: "应用", find: "查找应用", findHint: "查找应用（ / ）", kinds: "只看", all: "全部", troubled: "需要关注", ramps: "渐变", splits: "分流",
    shown: "{1} 个应用中的 {0} 个", none: "没有名称包含“{0}”的应用；它会使用默认路由。", more: "再显示 {0} 个",
    default: "默认路由", everywhere: "任意机房", nobody: "无机房服务", anybody: "任意在用机器", backups: "备用", noBackups: "无备用", noMore: "再无备用", unhealthy: "不健康", nowhere: "{0} 个应用无处运行：{1}",
    ramp: "渐变 {0} → {1}，第 {2} / {3} 步", left: "已离开 {0}：{1}", outWords: "{0} 停用：{1}", jobs: "{0} 个任务有单独路由",
    minWorkers: "min_workers {0}", onEmpty: "on_empty：{0}", sticky: "sticky：{0}", rampTitle: "{0} 的占比随时间变化；当前 {1} %", jobRoute: "路由",
    role: "角色", active: "当前机房", weighted: "权重 {0}", backupNumber: "备用 {0}", share: "当前占比",
    changes: "最近变更", kindRefused: "被拒绝", kindMissing: "文档不存在", kindDocument: "新文档", kindClock: "定时变化", kindHealth: "健康检查", kindOverride: "本地覆盖",
    kindOverrideEnded: "本地覆盖结束", kindReaction: "任务重新调度", kindAudit: "审计", bySource: "{0}", center: "配置中心：{0}", details: "详情", difference: "差异", others: "等，另有 {0} 个",
    allChanges: "显示全部 {0} 条", fewer: "收起", switch: "切换", failover: "故障切换", return: "恢复", "ramp-step": "渐变", "drill-started": "演练开始", "drill-ended": "演练结束",
    "override-started": "本地文档", "override-ended": "本地文档已移除",
    whatif: "如果……会怎样？", application: "应用", job: "任务", instance: "运行实例", candidates: "在线机器", decide: "计算",
    serves: "{0} 服务：{2} 个候选中的 {1} 个", servesNobody: "{1} 个候选中的 {0} 个", routeAt: "路由：{0}", builtIn: "内置",
    rule: "规则", value: "值", origin: "定义于", datacenter: "机房", weight: "权重", score: "得分", workers: "机器数", verdict: "结论", backup: "备用",
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
