// The two plots: decisions per second by datacenter, and a ramp with "now" on it.
import { colour, el, find, ink, shade, swatch } from "./dom.js";
import { moment, number, t, ticks } from "./messages.js";

const WINDOW_S = 15 * 60;
let samples = [];
let plot = null;
let drawn = "";

const axes = (extra = {}) => [
  { stroke: ink("quiet"), grid: { stroke: ink("line"), width: 1 }, ticks: { stroke: ink("line") }, space: 70, values: (_, at, _axis, _space, apart) => ticks(at, apart) },
  { stroke: ink("quiet"), grid: { stroke: ink("line"), width: 1 }, ticks: { stroke: ink("line") }, size: 56, ...extra },
];
const width = (node) => Math.max(240, node.clientWidth);
// As high as the card beside it leaves room for.
const height = (node) => (matchMedia("(min-width: 1001px)").matches ? Math.max(200, Math.min(320, find("s-source").clientHeight - 90)) : 190);
const label = (name) => name || t("rates.nobody");

export function keep(newSamples) {
  samples = newSamples;
  drawRates();
}

export function add(sample) {
  if (samples.length && samples.at(-1).at >= sample.at) return;
  samples.push(sample);
  while (samples.length && samples[0].at < sample.at - WINDOW_S) samples.shift();
  drawRates();
}

export function redraw() {
  drawn = "";
  drawRates();
}

export const newest = () => samples.at(-1)?.rates ?? {};

function drawRates() {
  const node = find("rates");
  const names = [...new Set(samples.flatMap((sample) => Object.keys(sample.rates)))].sort();
  legend(names, samples.length - 1);
  const data = [samples.map((s) => s.at), ...names.map((name) => samples.map((s) => s.rates[name] ?? 0))];
  const key = JSON.stringify([names, width(node), height(node), matchMedia("(prefers-color-scheme: dark)").matches, document.documentElement.lang]);
  if (plot && key === drawn) {
    plot.setData(data);
    return;
  }
  plot?.destroy();
  drawn = key;
  const end = () => samples.at(-1)?.at ?? Date.now() / 1000;
  plot = new uPlot({
    width: width(node), height: height(node), legend: { show: false },
    scales: { x: { time: true, range: () => [end() - WINDOW_S, end()] }, y: { range: (_, __, max) => [0, Math.max(1, max * 1.1)] } },
    axes: axes({ values: (_, at) => at.map(number) }),
    cursor: { y: false, drag: { x: false } },
    series: [{}, ...names.map((name) => ({ label: label(name), stroke: name ? shade(colour(name)) : ink("quiet"), width: 2, points: { show: (u) => u.data[0].length < 4 } }))],
    hooks: { setCursor: [(u) => legend(names, u.cursor.idx ?? samples.length - 1)] },
  }, data, node);
}

// The rates at a sample: the newest, or where the pointer is.
function legend(names, index) {
  const sample = samples[index];
  const now = index === samples.length - 1;
  const parts = names.map((name) => el("span", {}, name ? swatch(name) : el("span", { class: "swatch", "aria-hidden": "true" }), `${label(name)} `, el("b", {}, number(+(sample?.rates[name] ?? 0).toPrecision(3)))));
  const when = sample && !now ? moment(sample.at * 1000) : t("rates.now");
  find("rates-text").replaceChildren(...(names.length ? [el("span", {}, when), ...parts.flatMap((part) => [" ", part])] : [t("rates.none")]));
}

export function drawRamp(node, ramp) {
  const start = Date.parse(ramp.start) / 1000;
  const step = ramp.duration_s / ramp.steps;
  const margin = ramp.duration_s * 0.08;
  const xs = [start - margin];
  const ys = [0];
  for (let taken = 0; taken <= ramp.steps; taken += Math.max(1, Math.floor(ramp.steps / 500))) {
    xs.push(start + taken * step);
    ys.push((100 * taken) / ramp.steps);
  }
  xs.push(start + ramp.duration_s + margin);
  ys.push(100);
  const now = (u) => {
    const at = Math.min(Math.max(Date.now() / 1000, u.scales.x.min), u.scales.x.max);
    const x = u.valToPos(at, "x", true);
    const { ctx } = u;
    ctx.save();
    ctx.strokeStyle = ctx.fillStyle = ink("bad");
    ctx.lineWidth = 2 * devicePixelRatio;
    ctx.beginPath();
    ctx.moveTo(x, u.bbox.top);
    ctx.lineTo(x, u.bbox.top + u.bbox.height);
    ctx.stroke();
    ctx.font = `${12 * devicePixelRatio}px system-ui, sans-serif`;
    const right = x > u.bbox.left + u.bbox.width * 0.8;
    ctx.textAlign = right ? "right" : "left";
    ctx.fillText(t("rates.now"), x + (right ? -6 : 6) * devicePixelRatio, u.bbox.top + 14 * devicePixelRatio);
    ctx.restore();
  };
  return new uPlot({
    width: Math.min(700, width(node)), height: 170, legend: { show: false }, cursor: { show: false },
    scales: { x: { time: true }, y: { range: [0, 105] } },
    axes: axes({ values: (_, ticks) => ticks.map((tick) => `${tick} %`) }),
    series: [{}, { label: ramp.to, stroke: shade(colour(ramp.to)), width: 2, points: { show: false }, paths: uPlot.paths.stepped({ align: 1 }) }],
    hooks: { draw: [now] },
  }, [xs, ys], node);
}
