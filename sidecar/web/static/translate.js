// What the sidecar says in English, for the reader: times as the clock on the wall has them, and in Chinese where it is known.
import { language, moment } from "./messages.js";

const TIME = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g;

// A parenthesis is put in at `$1`, said in Chinese itself where it stands as `{1}`. The first pattern that fits counts.
const CHINESE = [
  // Why a datacenter is out of service, or work has left it.
  [/^marked$/, "手工下线"], [/^drill$/, "演练"], [/^drill: (.*)$/, "演练：$1"],
  [/^probes: (.*), since (\S+)$/, "探测失败：$1，自 $2 起"], [/^failed over: (.*), since (\S+)$/, "已切走：{1}，自 $2 起"],
  // Verdicts on datacenters.
  [/^serves$/, "提供服务"], [/^cannot serve$/, "没有机器，无法服务"], [/^not needed$/, "不需要"],
  [/^fewer than min_workers (\d+)$/, "机器数少于 min_workers $1"], [/^serves with (.*)$/, "提供服务，但{1}"],
  [/^out of service \((.*)\)$/, "停用（{1}）"], [/^out of service for (.*) \(drill\)$/, "对 $1 停用（演练）"],
  // How a decision came about.
  [/^(\S+) is the active datacenter and can serve\.$/, "$1 是当前机房，可以服务。"],
  [/^(\S+) has all the weight and can serve\.$/, "$1 占全部权重，可以服务。"],
  [/^(\S+) has the highest score and can serve\.$/, "$1 得分最高，可以服务。"],
  [/^(\S+) cannot serve; (\S+) is the next that can\.$/, "$1 无法服务；$2 是下一个可以服务的机房。"],
  [/^(\S+) (failed over: .*); (\S+) is the next that can\.$/, "$1 {2}；$3 是下一个可以服务的机房。"],
  [/^No datacenter has (\d+) workers; (\S+) is the first with any\.$/, "没有机房有 $1 台机器；$2 是第一个有机器的。"],
  [/^No datacenter of the route can serve; on_empty: any lets whoever is in service through\.$/, "该路由没有机房可以服务；on_empty: any 放行所有在用的机器。"],
  [/^No datacenter of the route can serve; nobody else is in service, so nobody may run the job\.$/, "该路由没有机房可以服务，也没有其他在用的机器，任务无处运行。"],
  [/^No datacenter of the route can serve; on_empty: reject, so nobody may run the job\.$/, "该路由没有机房可以服务；on_empty: reject，任务无处运行。"],
  [/^No active, split or ramp: every candidate passes\.$/, "没有 active、split 或 ramp：所有候选机器都放行。"],
  // Rules and where they are written.
  [/^built in$/, "内置"], [/^the document$/, "整个文档"], [/^none$/, "无"],
  [/^(\S+) to (\S+), step (\d+) of (\d+), from (\S+) over (\S+)$/, "$1 到 $2，第 $3 / $4 步，$5 开始，历时 $6"],
  // Changes: `search, billing and 3 more: dc1 → dc2`, and what stands on either side of the arrow.
  [/^(.+?): (.+) → (.+)$/, "{1}：{2} → {3}"], [/^(.+?): (.+, then .+)$/, "{1}：{2}"],
  [/^(.+) → (.+)$/, "{1} → {2}"], [/^(.+) and ([\d,]+) more$/, "{1} 等，另有 $2 个"], [/^default$/, "默认路由"], [/^default, (.+)$/, "默认路由, {1}"],
  [/^(.+), then (.+)$/, "{1}，备用 $2"], [/^then nobody$/, "无备用"], [/^then (.+)$/, "备用 $1"],
  [/^in service$/, "服务中"], [/^anywhere$/, "任意机房"], [/^anywhere in service$/, "任意在用机房"], [/^nowhere$/, "无处运行"],
  [/^no ramp$/, "无渐变"], [/^ramp to (\S+) from (\S+) over (\S+) in (\d+) steps$/, "渐变到 $1，$2 开始，历时 $3，共 $4 步"],
  [/^same routes$/, "路由不变"], [/^failover at once$/, "立即切换"], [/^(\S+) preferred$/, "优先 $1"], [/^(\S+) preferred again$/, "$1 恢复优先"], [/^(\S+) (failed over: .*)$/, "$1 {2}"],
  // Drills in the list of changes.
  [/^(\S+) for (.+) until (\S+): (.*)$/, "$1（$2）至 $3：$4"], [/^(\S+) for (.+) until (\S+)$/, "$1（$2）至 $3"],
  [/^(\S+) until (\S+): (.*)$/, "$1 至 $2：$3"], [/^(\S+) until (\S+)$/, "$1 至 $2"],
];

export function said(words) {
  return (language === "zh" ? chinese(words) : words).replace(TIME, (time) => moment(time));
}

function chinese(words) {
  for (const [pattern, form] of CHINESE) {
    const found = pattern.exec(words);
    if (found) return form.replace(/\{(\d)\}|\$(\d)/g, (_, again, plain) => (again ? chinese(found[again]) : found[plain]));
  }
  return words;
}
