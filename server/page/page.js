"use strict";
// The page asks for status.json once a second, keeps ten minutes of points, and draws
// them. Every text goes in as textContent: names of accounts are data.

const span = 600_000; // ms that a chart shows
const group = n => Math.round(n).toLocaleString("en-US");
const digits = (x, unit) => (x >= 99.95 ? x.toFixed(0) : x >= 9.995 ? x.toFixed(1) : x.toFixed(2)) + unit;

// Formats take a number (of the unit in their comment) and return text with its unit.
const formats = {
  count: n => group(n),
  short: n => n < 1e5 ? group(n) : n < 1e6 ? digits(n / 1e3, " k") : n < 1e9 ? digits(n / 1e6, " M") : n < 1e12 ? digits(n / 1e9, " G") : digits(n / 1e12, " T"),
  rate: x => x === 0 ? "0" : x < 99.95 ? x.toFixed(1) : formats.short(x), // a second
  cores: x => x.toFixed(2),
  latency: ms => ms < 0.9995 ? (ms * 1000).toFixed(0) + " µs" : ms < 999.5 ? digits(ms, " ms") : digits(ms / 1000, " s"),
  bytes(n) {
    for (const unit of [" B", " KiB", " MiB", " GiB", " TiB"]) {
      if (n < 1000 || unit === " TiB") return unit === " B" ? n + unit : digits(n, unit);
      n /= 1024;
    }
  },
  duration(s) {
    const two = n => String(Math.floor(n)).padStart(2, "0");
    const clock = two(s / 3600 % 24) + ":" + two(s / 60 % 60) + ":" + two(s % 60);
    return s < 86400 ? clock : Math.floor(s / 86400) + " d " + clock;
  },
  span: s => s < 100 ? `in the last ${Math.round(s)} s` : `in the last ${(s / 60).toFixed(1)} min`,
  instant: t => t.slice(0, 10) + " " + t.slice(11, 19) + " UTC",
};

const charts = [
  { title: "Coins", unit: "coins/s", format: "rate", lines: [
    ["redeemed", "redeemed_coins_per_second"], ["issued", "issued_coins_per_second"],
    ["refunded", "refunded_coins_per_second"], ["returned", "returned_coins_per_second"]] },
  { title: "Redeem latency", unit: "of the calls of 10 s, log scale", format: "latency", log: true, highest: true, lines: [
    ["p50", "redeem_p50_ms"], ["p99", "redeem_p99_ms"], ["p99.9", "redeem_p999_ms"]] },
  { title: "Queues", unit: "coins, and headers", format: "short", highest: true, lines: [
    ["ledger", "ledger_queued_coins"], ["headers", "waiting_records"], ["under way", "coins_under_way"]] },
  { title: "Requests", unit: "requests/s", format: "rate", lines: [
    ["answered", "requests_per_second"], ["refused", "refused_requests_per_second"]] },
  { title: "Handshakes", unit: "handshakes/s", format: "rate", lines: [
    ["done", "handshakes_per_second"], ["failed", "failed_handshakes_per_second"]] },
  { title: "CPU", unit: "cores", format: "cores", lines: [["process", "cpu_cores"]] },
];

const points = {}; // arrays by name in series, as long as each other
let last = 0, started = "", answered = Date.now(), pointer = null; // pointer: time under the mouse, ms

const $ = id => document.getElementById(id);

function element(tag, className, ...children) {
  const e = document.createElement(tag);
  if (className) e.className = className;
  e.append(...children);
  return e;
}

function shape(tag, attributes, text) {
  const e = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const name in attributes) e.setAttribute(name, attributes[name]);
  if (text !== undefined) e.textContent = text;
  return e;
}

// nice rounds up to 1, 2, 2.5 or 5 times a power of ten.
function nice(x) {
  const p = 10 ** Math.floor(Math.log10(x));
  return [1, 2, 2.5, 5, 10].find(m => x <= m * p * 1.0000001) * p;
}

// bins makes the points of a line as coarse as pixels can show: [ms, value] of the mean,
// or the highest, of so many seconds. Bins are fixed in time, so that they do not flicker.
function bins(at, values, seconds, highest) {
  const out = [];
  let bin = null, sum = 0, n = 0, top = 0;
  for (let k = 0; k <= at.length; k++) {
    const of = k < at.length ? Math.floor(at[k] / 1000 / seconds) : null;
    if (of !== bin) {
      if (bin !== null) out.push([(bin + 0.5) * seconds * 1000, n ? highest ? top : sum / n : null]);
      [bin, sum, n, top] = [of, 0, 0, 0];
    }
    if (k < at.length && values[k] !== null) { sum += values[k]; n++; top = Math.max(top, values[k]); }
  }
  return out;
}

const margin = { left: 46, right: 2, top: 6, bottom: 15 };

function build(chart) {
  chart.values = chart.lines.map(() => element("b"));
  const legend = element("div", "legend", ...chart.lines.map(([label], i) => {
    const swatch = element("span", "s" + i, element("i"));
    return element("span", "", swatch, label, chart.values[i]);
  }));
  chart.svg = shape("svg", { role: "img", "aria-label": chart.title });
  $("charts").append(element("div", "", element("h2", "", chart.title, element("span", "quiet", chart.unit)), legend, chart.svg));
  chart.svg.addEventListener("pointermove", e => {
    const box = chart.svg.getBoundingClientRect();
    const share = (e.clientX - box.left - margin.left) / (box.width - margin.left - margin.right);
    pointer = share >= 0 && share <= 1 ? share : null;
    drawAll();
  });
  chart.svg.addEventListener("pointerleave", () => { pointer = null; drawAll(); });
}

function draw(chart) {
  const at = points.at_unix_ms || [], format = formats[chart.format];
  const width = chart.svg.clientWidth, height = chart.svg.clientHeight;
  const x0 = margin.left, x1 = width - margin.right, y0 = height - margin.bottom, y1 = margin.top;
  const end = at.length ? at[at.length - 1] : Date.now(), begin = end - span;
  const x = t => x0 + (t - begin) / span * (x1 - x0);
  const data = chart.lines.map(([, name]) => points[name] || []);
  const coarse = Math.max(1, Math.ceil(span / 1000 / ((x1 - x0) / 2))); // seconds
  const drawn = data.map(values => bins(at, values, coarse, chart.highest));

  let low = 0, high = 0, least = Infinity;
  for (const line of drawn) for (const [, v] of line) if (v !== null) { high = Math.max(high, v); least = Math.min(least, v); }
  let y, ticks;
  if (chart.log) {
    low = 10 ** Math.floor(Math.log10(Math.min(least, 1)));
    high = Math.max(10 ** Math.ceil(Math.log10(high || 1)), low * 100);
    y = v => y0 - Math.log10(Math.max(v, low) / low) / Math.log10(high / low) * (y0 - y1);
    ticks = [];
    for (let v = low; v <= high * 1.001; v *= 10) ticks.push(v);
  } else {
    high = nice(Math.max(high, 1));
    y = v => y0 - v / high * (y0 - y1);
    ticks = [0, high / 2, high];
  }

  const parts = ticks.flatMap(v => [
    shape("line", { x1: x0, x2: x1, y1: y(v), y2: y(v), class: v === low ? "axis" : "grid" }),
    shape("text", { x: x0 - 6, y: y(v) + 3.5, "text-anchor": "end" }, format(v).replace(/(\.\d*?)0+(?!\d)/, "$1").replace(/\.(?!\d)/, "")),
  ]);
  for (const [minutes, anchor] of [[10, "start"], [5, "middle"], [0, "end"]]) {
    parts.push(shape("text", { x: x(end - minutes * 60_000), y: height - 3, "text-anchor": anchor }, minutes ? `−${minutes} min` : "now"));
  }
  for (let i = data.length - 1; i >= 0; i--) { // the first line on top
    let d = "", pen = "M", before = 0;
    for (const [t, v] of drawn[i]) {
      if (v === null || t - before > 5000 + coarse * 1000) pen = "M"; // a gap
      before = t;
      if (v === null || t < begin) continue;
      d += pen + x(Math.min(t, end)).toFixed(1) + " " + y(v).toFixed(1);
      pen = "L";
    }
    if (d) parts.push(shape("path", { d, class: "s" + i }));
  }
  let shown = at.length - 1;
  if (pointer !== null && at.length) {
    const t = begin + pointer * span;
    shown = at.findIndex(a => a >= t);
    if (shown < 0) shown = at.length - 1;
    const cross = x(Math.max(at[shown], begin));
    const right = cross > (x0 + x1) / 2;
    parts.push(shape("line", { x1: cross, x2: cross, y1: y1, y2: y0, class: "cross" }));
    parts.push(shape("text", { x: cross + (right ? -4 : 4), y: y1 + 6, "text-anchor": right ? "end" : "start" },
      new Date(at[shown]).toISOString().slice(11, 19)));
  }
  chart.values.forEach((e, i) => {
    const v = shown >= 0 ? data[i][shown] : null;
    e.textContent = v === null || v === undefined ? "–" : format(v);
  });
  chart.svg.replaceChildren(...parts);
}

const drawAll = () => charts.forEach(draw);

// rows fills a table; a row is a list of [text, class].
function rows(table, list, columns, empty) {
  const body = table.tBodies[0];
  if (!list.length) {
    const cell = element("td", "none", empty);
    cell.colSpan = columns;
    body.replaceChildren(element("tr", "", cell));
    return;
  }
  body.replaceChildren(...list.map(row => element("tr", "", ...row.map(([text, className]) => {
    const cell = element("td", className, String(text));
    if (className === "name") cell.title = text;
    return cell;
  }))));
}

function accounts(table, list) {
  rows(table, list.accounts.map(a => [
    [a.name, "name"],
    [(a.coins_at_most > a.coins_at_least ? "≥ " : "") + group(a.coins_at_least)],
    [formats.rate(a.coins_at_least / Math.max(list.over_seconds, 1))],
  ]), 3, "none yet");
}

function show(s) {
  if (s.started !== started) { // another process: its points begin anew
    for (const name in points) delete points[name];
    if (started) s.series = { last: 0 };
    started = s.started;
  }
  last = s.series.last;
  for (const name in s.series) {
    if (name !== "last" && s.series[name]) points[name] = (points[name] || []).concat(s.series[name]).slice(-span / 1000);
  }
  s.uptime = (Date.parse(s.time) - Date.parse(s.started)) / 1000;
  s.build = s.version + ", " + s.go;

  const held = !getSelection().isCollapsed; // new text would undo the selection before it is copied
  $("state").textContent = s.state + (held ? ", held while text is selected" : "");
  $("state").className = "state " + s.state;
  document.body.classList.remove("stale");
  if (held) return;
  document.title = `${formats.rate(s.rates.redeemed_coins)} coins/s · ecoin bank`;

  for (const e of document.querySelectorAll("[data-v]")) {
    const v = e.dataset.v.split(".").reduce((o, name) => o[name], s);
    e.textContent = v === null ? "–" : e.dataset.f ? formats[e.dataset.f](v) : v;
    if ("zero" in e.dataset) e.classList.toggle("bad", v !== 0);
  }

  const damaged = s.shards.filter(h => h.damaged).length, indexed = s.shards.filter(h => h.indexed).length;
  $("shard-sum").textContent = `${s.shards.length}, ${indexed} indexed, ${damaged} damaged`;
  $("shard-sum").classList.toggle("bad", damaged > 0);
  const sum = name => group(s.shards.reduce((n, h) => n + h[name], 0));
  rows($("shards"), s.shards
    .map((h, i) => [[i], [group(h.live)], [group(h.waiting)], [group(h.damaged), h.damaged ? "bad" : ""], [h.indexed ? "yes" : "no"]])
    .sort((a, b) => (b[3][1] === "bad") - (a[3][1] === "bad")), 5, "none");
  if (s.shards.length > 1) {
    const all = element("tr", "sum", ...["all", sum("live"), sum("waiting"), sum("damaged"), ""].map(text => element("td", "", text)));
    $("shards").tBodies[0].prepend(all);
  }
  accounts($("redeemers"), s.top_redeemed);
  accounts($("withdrawers"), s.top_withdrawn);
  const day = s.time.slice(0, 10);
  rows($("refusals"), s.refusals.map(r => [
    [(r.time.startsWith(day) ? "" : r.time.slice(0, 10) + " ") + r.time.slice(11, 19), "name"],
    [group(r.count)], [r.what, "name"], [r.status || ""], [r.reason, "name"], [r.account || "", "name"], [r.peer || "", "name"],
  ]), 7, "none since the start");
  drawAll();
}

async function poll() {
  try {
    const answer = await fetch("status.json?after=" + last, { cache: "no-store", signal: AbortSignal.timeout(5000) });
    if (!answer.ok) throw new Error("status " + answer.status);
    show(await answer.json());
    answered = Date.now();
  } catch {
    $("state").textContent = `the bank is away: no answer for ${Math.round((Date.now() - answered) / 1000)} s`;
    $("state").className = "state lost";
    document.title = "away · ecoin bank";
    document.body.classList.add("stale");
  }
  setTimeout(poll, 1000);
}

charts.forEach(build);
drawAll();
addEventListener("resize", drawAll);
poll();
