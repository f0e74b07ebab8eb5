/* SPDX-License-Identifier: Apache-2.0 */
/* The status page of both daemons. Everything comes from /api/v1 by server-sent events; nothing is ever sent. */
'use strict';

const $ = (id) => document.getElementById(id);
const isNarrow = matchMedia('(max-width: 860px)').matches;
const FIRST_ROWS = isNarrow ? 12 : 40; /* of endpoints; of other lists half as many */
const MORE_ROWS = 100;
const FILTER_FROM = 15;
const FIRST_ALERTS = 8;
const RATE_WINDOW_MS = 15000;
const STALE_MS = 6000;
const DRAW_MS = 250;
const SERIES_MS = 60000;

/* Lists that come as changes: by name. */
const seen = { endpoints: new Map(), health: new Map(), tunnels: new Map(), connectors: new Map(), series: new Map(), all: null };
const rates = new Map();
let status = null;
let lastEvent = 0;
let source = null;
let retry = 0;

/* ---- making elements; text is always text, never markup */

function el(tag, cls, ...children) {
  const e = document.createElement(tag);
  if (cls) e.className = cls;
  for (const c of children) if (c !== null && c !== undefined) e.append(c);
  return e;
}

/* Touch the document only where something has changed: focus and selection stay. */
function put(e, text) {
  const t = String(text);
  if (e.textContent !== t) e.textContent = t;
}

const number = new Intl.NumberFormat('en');
const plural = (n, one, many) => `${number.format(n)} ${n === 1 ? one : many || one + 's'}`;

function ms(v) {
  if (!v) return '–';
  if (v < 1) return v.toFixed(2) + ' ms';
  if (v < 100) return v.toFixed(v < 10 ? 1 : 0) + ' ms';
  return v < 10000 ? Math.round(v) + ' ms' : (v / 1000).toFixed(1) + ' s';
}

function bytes(v) {
  if (v < 1024) return v + ' B';
  const units = ['KiB', 'MiB', 'GiB', 'TiB'];
  let i = -1;
  do { v /= 1024; i++; } while (v >= 1024 && i < units.length - 1);
  return v.toFixed(v < 10 ? 1 : 0) + ' ' + units[i];
}

function span(seconds) {
  const s = Math.floor(seconds);
  if (s < 60) return s + ' s';
  if (s < 3600) return Math.floor(s / 60) + ' min';
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor(s % 3600 / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor(s % 86400 / 3600)} h`;
}

function rate(v) {
  return v === 0 ? '0' : v < 0.1 ? v.toFixed(2) : v < 10 ? v.toFixed(1) : number.format(Math.round(v));
}

const clock = (text) => new Date(text).toLocaleTimeString([], { hourCycle: 'h23' });

/* A state as sign and word: never by colour alone. */
const SIGNS = { good: '✓', warn: '!', bad: '✕', idle: '–' };
function pill(kind, word, title) {
  const p = el('span', 'pill ' + kind, el('span', 'sign', SIGNS[kind]), word);
  p.firstChild.setAttribute('aria-hidden', 'true');
  if (title) p.title = title;
  return p;
}

/* ---- tables: rows by key, changed in place; on narrow screens each row becomes a card */

function table(place, columns, caption) {
  const head = el('tr');
  for (const c of columns) {
    const th = el('th', c.cls || '', c.title);
    th.scope = 'col';
    th.setAttribute('role', 'columnheader');
    head.append(th);
  }
  head.setAttribute('role', 'row');
  const body = el('tbody');
  const t = el('table', '', el('caption', 'hidden', caption), el('thead', '', head), body);
  t.setAttribute('role', 'table');
  const none = el('p', 'note');
  place.replaceChildren(t, none);
  const rows = new Map();
  return (items, key, empty) => {
    const keys = new Set();
    t.hidden = items.length === 0;
    none.hidden = items.length > 0;
    put(none, empty);
    let before = null;
    for (const item of items) {
      const k = key(item);
      keys.add(k);
      let row = rows.get(k);
      if (!row) {
        row = { tr: el('tr'), cells: [], was: [] };
        row.tr.setAttribute('role', 'row');
        for (const c of columns) {
          const td = el(c.isHead ? 'th' : 'td', c.cls || '');
          if (c.isHead) td.scope = 'row';
          td.setAttribute('role', c.isHead ? 'rowheader' : 'cell');
          td.dataset.label = c.title;
          row.cells.push(td);
          row.tr.append(td);
        }
        rows.set(k, row);
      }
      columns.forEach((c, i) => {
        const now = c.show(item);
        const sign = now instanceof Node ? (c.sign ? c.sign(item) : now.textContent) : String(now ?? '');
        if (row.was[i] !== sign) {
          row.was[i] = sign;
          row.cells[i].replaceChildren(now instanceof Node ? now : String(now ?? ''));
        }
      });
      const place2 = before ? before.nextSibling : body.firstChild;
      if (place2 !== row.tr) body.insertBefore(row.tr, place2);
      before = row.tr;
    }
    for (const [k, row] of rows) {
      if (!keys.has(k)) {
        row.tr.remove();
        rows.delete(k);
      }
    }
  };
}

/* Thousands of rows may change at a time: the page is drawn a few times a second at most, and not while nobody sees it. */
const due = new Set();
let drawing = 0;
function draw() {
  drawing = 0;
  if (document.hidden) return;
  const fns = [...due];
  due.clear();
  for (const fn of fns) fn();
}
function soon(fn) {
  due.add(fn);
  if (!drawing) drawing = setTimeout(draw, DRAW_MS);
}
document.addEventListener('visibilitychange', () => { if (!document.hidden && due.size) draw(); });

const collator = new Intl.Collator('en', { numeric: true });
const byName = (a, b) => collator.compare(a, b);
const wordsOf = (text) => text.toLowerCase().split(/\s+/).filter((w) => w);

const made = new Map();
function show(id, columns, caption, items, key, empty) {
  $('s-' + id).hidden = false;
  if (!made.has(id)) made.set(id, table($(id), columns, caption));
  made.get(id)(items, key, empty);
}

/* A long list: a filter when there is something to filter, the first rows, and more of them on demand. */
const lists = new Map();
function listOf(id) {
  let l = lists.get(id);
  if (l) return l;
  const button = el('button');
  button.type = 'button';
  l = { words: [], limit: FIRST_ROWS / 2, button, more: el('p', 'more', button), again: () => {} };
  button.addEventListener('click', () => { l.limit += MORE_ROWS; l.again(); });
  const h2 = $('h-' + id);
  const input = el('input');
  input.type = 'search';
  input.placeholder = 'Filter …';
  input.autocomplete = 'off';
  input.spellcheck = false;
  input.setAttribute('aria-label', 'Filter ' + id);
  input.addEventListener('input', () => { l.words = wordsOf(input.value); l.limit = FIRST_ROWS / 2; l.again(); });
  input.addEventListener('keydown', (ev) => { if (ev.key === 'Escape') { input.value = ''; l.words = []; l.again(); } });
  l.tools = el('div', 'tools small', input);
  const head = el('div', 'head');
  h2.before(head);
  head.append(h2, l.tools);
  $(id).after(l.more);
  lists.set(id, l);
  return l;
}

/* o: { columns, caption, key, text: what the filter looks at, empty, count } */
function showList(id, items, o) {
  const l = listOf(id);
  l.again = () => showList(id, items, o);
  const fit = l.words.length ? items.filter((x) => fits(o.text(x), l.words)) : items;
  const some = fit.slice(0, l.limit);
  show(id, o.columns, o.caption, some, o.key, items.length ? 'Nothing fits the filter.' : o.empty);
  l.tools.hidden = items.length <= FILTER_FROM && !l.words.length;
  moreOf(l.more, l.button, fit.length - some.length);
  if ($('n-' + id)) put($('n-' + id), l.words.length ? `${fit.length} of ${items.length}` : o.count || number.format(items.length));
}

const fits = (text, words) => { const t = text.toLowerCase(); return words.every((w) => t.includes(w)); };

function moreOf(place, button, rest) {
  place.hidden = rest === 0;
  put(button, rest > MORE_ROWS ? `Show ${MORE_ROWS} more of ${number.format(rest)}` : `Show ${number.format(rest)} more`);
}

/* ---- rates: how fast counters grow */

function grow(name, requests, errors, now) {
  let r = rates.get(name);
  if (!r) rates.set(name, r = []);
  if (r.length && requests < r[r.length - 1].requests) r.length = 0; /* the daemon was started anew */
  r.push({ t: now, requests, errors });
  while (r.length > 2 && now - r[1].t > RATE_WINDOW_MS) r.shift();
}

function rateOf(name) {
  const r = rates.get(name), now = performance.now();
  if (!r || r.length < 2 || now - r[r.length - 1].t > RATE_WINDOW_MS) return 0; /* what does not change is not told again */
  const a = r[0], b = r[r.length - 1];
  return (b.requests - a.requests) * 1000 / Math.max(1000, Math.min(now - a.t, RATE_WINDOW_MS));
}

/* ---- the top: who it is, and how it is */

const tiles = new Map();
function tile(name, value, more, kind) {
  let t = tiles.get(name);
  if (!t) {
    t = { value: el('dd', 'value'), more: el('dd', 'more-text') };
    t.box = el('div', 'tile', el('dt', '', name), t.value, t.more);
    tiles.set(name, t);
    $('tiles').append(t.box);
  }
  t.box.className = 'tile ' + (kind || '');
  put(t.value, value);
  put(t.more, more || '');
}

function troubleCount() {
  let n = 0;
  for (const h of seen.health.values()) n += h.health === 'down' || h.health === 'parked';
  return n;
}

/* Where things are: the page is long. */
const JUMPS = [['alerts', 'Alerts'], ['endpoints', 'Endpoints'], ['systems', 'Systems'], ['subaccounts', 'Subaccounts'],
  ['tunnels', 'Tunnels'], ['requests', 'Requests'], ['certificates', 'Certificates']];
function showJumps() {
  const some = JUMPS.filter(([id]) => !$('s-' + id).hidden);
  const text = ([id]) => ($('n-' + id) ? $('n-' + id).textContent : '');
  const sign = some.map((x) => x[0] + text(x)).join();
  if ($('jump').dataset.sign === sign) return;
  $('jump').dataset.sign = sign;
  $('jump').replaceChildren(...some.map((x) => {
    const a = el('a', '', x[1], text(x) ? el('span', 'dim', ' ' + text(x)) : null);
    a.href = '#h-' + x[0];
    return a;
  }));
}

function showTop() {
  showJumps();
  if (!status) return;
  const isGateway = status.daemon === 'frunproxyd';
  put($('daemon'), status.daemon + (status.name ? ' · ' + status.name : ''));
  put($('about'), `version ${status.version} · up ${span(status.uptime_seconds)} · ` +
    (isGateway ? plural(status.workers, 'worker') : 'instance ' + status.instance.slice(0, 8)));
  const isGood = status.healthy && status.state === 'running';
  tile('Daemon', isGood ? 'Healthy' : status.state === 'running' ? 'Not ready' : status.state,
    isGood ? 'serving' : isGateway ? 'no way to Focused Run' : 'no tunnel stands', isGood ? 'good' : 'bad');
  const down = troubleCount();
  if (isGateway) {
    tile('Endpoints', number.format(status.endpoints),
      down ? plural(down, 'is', 'are') + ' down' : plural(status.pushers, 'pusher'), down ? 'bad' : '');
    let away = 0;
    for (const c of seen.connectors.values()) away += c.state === 'away';
    tile('Tunnels', number.format(status.tunnels), away ? plural(away, 'connector') + ' away'
      : status.waiting ? plural(status.waiting, 'request') + ' waiting' : 'nobody waits', status.waiting || away ? 'warn' : '');
  } else {
    const isShort = status.tunnels < status.tunnels_wanted;
    tile('Tunnels', `${status.tunnels} of ${status.tunnels_wanted}`, plural(status.subaccounts, 'subaccount'),
      status.tunnels === 0 ? 'bad' : isShort ? 'warn' : '');
    tile('In flight', number.format(status.in_flight), plural(status.systems, 'system'));
  }
  tile('Requests', rate(rateOf('')) + ' /s', isGateway ? plural(status.connections, 'connection') : 'through the tunnels');
  document.title = `${isGood && !down ? '' : '⚠ '}${status.name || status.daemon} – status`;
  put($('foot'), `${status.daemon} ${status.version}`);
}

function showAll() {
  const a = seen.all;
  if (!a) return;
  const sum = (l) => l.reduce((x, y) => x + y, 0);
  const endMs = (a.minute_began + 60) * 1000;
  const ok = a.requests.map((v, i) => v - a.errors[i] - a.refused[i]);
  const total = sum(a.requests), bad = sum(a.errors), refused = sum(a.refused);
  const share = (n) => total ? (n * 100 / total).toFixed(n * 100 / total < 1 && n ? 2 : 1) + ' %' : '0 %';
  tile('Errors, 6 h', number.format(bad), total ? share(bad) + ' of ' + Charts.short(total) : 'no requests yet', bad ? 'warn' : '');
  Charts.chart($('chart-requests'), {
    title: 'Requests per minute', kind: 'bars', values: ok, cls: 'c-ok', endMs, stepMs: 60000, least: 5,
    over: [{ values: a.refused, cls: 'c-refused' }, { values: a.errors, cls: 'c-bad' }],
    summary: `${number.format(total)} in all · ${number.format(refused)} refused · ${number.format(bad)} failed`,
    keys: [['c-ok', 'answered'], ['c-refused', 'refused (4xx)'], ['c-bad', 'failed (5xx, none)']],
    says: `Requests per minute of the last 6 hours: ${total} in all, ${refused} refused, ${bad} failed`,
    reads: (i) => `${plural(a.requests[i], 'request')}, ${a.refused[i]} refused, ${a.errors[i]} failed`,
  });
  const last = a.p95_ms.filter((v) => v).pop() || 0;
  Charts.chart($('chart-latency'), {
    title: 'Latency, ms', kind: 'line', values: a.p95_ms, cls: 'c-p95', endMs, stepMs: 60000, least: 10,
    over: [{ values: a.mean_ms, cls: 'c-mean' }],
    summary: last ? `95 % within ${ms(last)}` : 'nothing measured yet',
    keys: [['c-p95', '95 %'], ['c-mean', 'average']],
    says: `Latency of the last 6 hours; now 95 percent are answered within ${ms(last)}`,
    reads: (i) => a.p95_ms[i] ? `95 % within ${ms(a.p95_ms[i])}, average ${ms(a.mean_ms[i])}` : 'no requests',
  });
}

/* ---- endpoints */

const HEALTH = {
  up: ['good', 'Up'], down: ['bad', 'Down'], parked: ['bad', 'Parked'], unverified: ['warn', 'Unverified'],
  unknown: ['idle', 'Not checked'],
};

function latencyOf(e) {
  const s = seen.series.get(e.name);
  return (s && s.p95_ms.filter((v) => v).pop()) || e.p95_ms;
}

function trouble(e) {
  const h = seen.health.get(e.name);
  const byHealth = { down: 1000, parked: 900, unverified: 50 }[h ? h.health : ''] || 0;
  return byHealth + (e.errors_15min ? 200 + Math.min(e.errors_15min, 99) : 0) + (e.errors_6h ? 10 : 0);
}

/* By what rows are ordered: the larger comes first, then the name. */
const ORDERS = { trouble, name: () => 0, rate: (e) => rateOf(e.name) * 1e9 + e.requests, slow: (e) => e.p95_ms };

/* Small charts for the rows that are shown, as they are shown. */
const asked = new Map();
async function wantSeries(names, again) {
  const now = performance.now();
  const missing = names.filter((n) => !(now - asked.get(n) < SERIES_MS)).slice(0, 60);
  if (!missing.length) return;
  for (const n of missing) asked.set(n, now);
  try {
    const answer = await fetch('api/v1/series?' + missing.map((n) => 'name=' + encodeURIComponent(n)).join('&'));
    if (!answer.ok) return;
    for (const s of (await answer.json()).series) seen.series.set(s.name, s);
    soon(again);
  } catch {
    for (const n of missing) asked.delete(n); /* the next drawing tries again */
  }
}

function say(text) {
  const s = $('said');
  s.textContent = '';
  setTimeout(() => { s.textContent = text; }, 50);
}

async function copy(text, what, button) {
  let isDone = false;
  try {
    await navigator.clipboard.writeText(text);
    isDone = true;
  } catch {
    /* Only TLS and loopback may use the clipboard; the old way works everywhere. */
    const area = el('textarea', 'hidden');
    area.value = text;
    document.body.append(area);
    area.select();
    isDone = document.execCommand('copy');
    area.remove();
    button.focus();
  }
  button.dataset.done = isDone ? 'yes' : 'no';
  button.textContent = isDone ? 'Copied' : 'Failed';
  say(isDone ? `Root URL of ${what} copied` : 'Copying failed');
  setTimeout(() => { button.textContent = 'Copy'; delete button.dataset.done; }, 1600);
}

function endpointCell(e) {
  const url = el('code', 'url', e.root_url);
  const button = el('button', 'copy', 'Copy');
  button.type = 'button';
  button.setAttribute('aria-label', `Copy root URL of ${e.name}`);
  button.title = 'Copy the root URL, for the managed cloud service';
  button.addEventListener('click', () => copy(e.root_url, e.name, button));
  const about = [e.customer_network !== e.name ? e.customer_network : '', e.description].filter((t) => t).join(' · ');
  return el('div', 'who', el('strong', '', e.name), about ? el('span', 'dim about', about) : null,
    el('span', 'root', url, button));
}

function healthCell(e) {
  const h = seen.health.get(e.name) || { health: 'unknown' };
  const [kind, word] = HEALTH[h.health] || ['idle', h.health];
  const box = el('div', '', pill(kind, word, h.seconds !== undefined ? `for ${span(h.seconds)}` : ''));
  if (h.found && kind !== 'good') {
    box.append(el('p', 'why', h.found + (h.remedy ? ' – ' + h.remedy : '')));
  }
  return box;
}

const endpointColumns = [
  { title: 'Health', cls: 'c-health', show: healthCell,
    sign: (e) => { const h = seen.health.get(e.name) || {}; return `${h.health}|${h.found}|${h.remedy}`; } },
  { title: 'Endpoint', cls: 'c-who', isHead: true, show: endpointCell,
    sign: (e) => `${e.root_url}|${e.customer_network}|${e.description}` },
  { title: 'System', cls: 'c-road', show: (e) => {
    const h = seen.health.get(e.name);
    return el('div', '', e.system, el('span', 'dim block', (h && h.road) || e.route));
  }, sign: (e) => `${e.system}|${(seen.health.get(e.name) || {}).road || e.route}` },
  { title: 'Last 6 hours', cls: 'c-spark', show: (e) => {
    const s = seen.series.get(e.name);
    return s ? Charts.spark(s.requests, s.errors, `${plural(s.requests.reduce((x, y) => x + y, 0), 'request')} in the last 6 hours`)
      : el('span', 'dim none', e.requests ? '…' : 'no requests');
  }, sign: (e) => { const s = seen.series.get(e.name); return s ? s.requests.join() + '|' + s.errors.join() : e.requests > 0; } },
  { title: 'Rate', cls: 'num', show: (e) => rate(rateOf(e.name)) + ' /s' },
  { title: 'Requests', cls: 'num c-requests', show: (e) => number.format(e.requests) },
  { title: 'Errors, 6 h', cls: 'num', show: (e) => el('span', e.errors_6h ? 'bad-text' : 'dim', number.format(e.errors_6h)) },
  { title: 'Latency (p95)', cls: 'num', show: (e) => ms(latencyOf(e)) },
];

let shown = FIRST_ROWS;
let words = [];
function matches(e) {
  const h = seen.health.get(e.name);
  return fits([e.name, e.customer_network, e.system, e.description, e.route, e.root_url, e.location_id, h ? h.health : ''].join(' '), words);
}

/* How many are in each state; a click filters for it. */
function showStates() {
  const count = new Map();
  for (const e of seen.endpoints.values()) {
    const h = (seen.health.get(e.name) || { health: 'unknown' }).health;
    count.set(h, (count.get(h) || 0) + 1);
  }
  const sign = [...count].join();
  if ($('states').dataset.sign === sign) return;
  $('states').dataset.sign = sign;
  $('states').hidden = count.size < 2;
  $('states').replaceChildren(...Object.keys(HEALTH).filter((k) => count.get(k)).map((k) => {
    const button = el('button', 'state', pill(HEALTH[k][0], `${number.format(count.get(k))} ${HEALTH[k][1].toLowerCase()}`));
    button.type = 'button';
    button.addEventListener('click', () => filterFor($('filter').value === k ? '' : k));
    return button;
  }));
}

function showEndpoints() {
  if (!status || status.daemon !== 'frunproxyd') return;
  const order = ORDERS[$('sort').value];
  const fit = [];
  for (const e of seen.endpoints.values()) if (!words.length || matches(e)) fit.push([order(e), e]);
  fit.sort((a, b) => b[0] - a[0] || byName(a[1].name, b[1].name));
  const some = fit.slice(0, shown).map((x) => x[1]);
  const all = seen.endpoints.size;
  show('endpoints', endpointColumns, 'Endpoints with health, root URL, rate, errors and latency', some, (e) => e.name,
    all ? 'No endpoint fits the filter.' : 'There are no endpoints yet: an [endpoint NAME] section makes one.');
  put($('n-endpoints'), words.length ? `${fit.length} of ${all}` : number.format(all));
  moreOf($('more'), $('show-all'), fit.length - some.length);
  showStates();
  wantSeries(some.filter((e) => e.requests).map((e) => e.name), showEndpoints);
}

/* ---- the other tables */

const TUNNEL = { open: ['good', 'Open'], draining: ['warn', 'Draining'], suspect: ['warn', 'Suspect'] };
function tunnelPill(t) {
  const [kind, word] = TUNNEL[t.state] || ['bad', t.state.charAt(0).toUpperCase() + t.state.slice(1)];
  return pill(kind, word);
}

const since = (text) => (Date.now() - new Date(text).getTime()) / 1000;
const when = (text) => new Date(text).toLocaleString([], { hourCycle: 'h23' });

/* What became of the last one, and when. */
function lastError(t) {
  if (!t.last_error) return el('span', 'dim', '–');
  return el('div', '', t.last_error, t.last_error_time ? el('span', 'dim block', when(t.last_error_time)) : null);
}

const gatewayTunnels = [
  { title: 'State', show: tunnelPill, sign: (t) => t.state },
  { title: 'Connector', cls: 'c-who', isHead: true, show: (t) => t.connector },
  { title: 'Location ID', show: (t) => t.location_id || '(empty)' },
  { title: 'From', show: (t) => t.address },
  { title: 'Age', cls: 'num', show: (t) => t.away_since ? 'away ' + span(since(t.away_since)) : span(since(t.since)) },
  { title: 'Round trip', cls: 'num', show: (t) => ms(t.rtt_ms) },
  { title: 'In flight', cls: 'num', show: (t) => t.in_flight },
  { title: 'Last error', cls: 'c-error', show: lastError, sign: (t) => t.last_error + t.last_error_time },
  { title: 'Version', show: (t) => t.version || '–' },
];

const connectorTunnels = [
  { title: 'State', show: tunnelPill, sign: (t) => t.state },
  { title: 'Gateway', cls: 'c-who', isHead: true, show: (t) => t.gateway },
  { title: 'Subaccount', show: (t) => t.subaccount },
  { title: 'Location ID', show: (t) => t.location_id || '(empty)' },
  { title: 'Age', cls: 'num', show: (t) => t.since ? span(since(t.since)) : '–' },
  { title: 'Round trip', cls: 'num', show: (t) => ms(t.rtt_ms) },
  { title: 'In flight', cls: 'num', show: (t) => t.in_flight },
  { title: 'Last error', cls: 'c-error', show: lastError, sign: (t) => t.last_error + t.last_error_time },
];

/* A connector that is away has no tunnel, and is what one looks for here. */
function awayRow(c) {
  return { key: 'away ' + c.name, connector: c.name, state: 'away', location_id: c.location_ids.join(', '), address: '–', in_flight: 0,
    away_since: c.away_since, last_error: c.away_because, last_error_time: c.last_error_time };
}

const TUNNEL_ORDER = { away: 0, suspect: 1, draining: 2 };
function showTunnels() {
  if (!status) return;
  const isGateway = status.daemon === 'frunproxyd';
  const list = [];
  const count = new Map();
  for (const t of seen.tunnels.values()) {
    const base = isGateway ? t.address : `${t.subaccount}|${t.gateway}`;
    count.set(base, (count.get(base) || 0) + 1);
    list.push({ ...t, key: base + '#' + count.get(base) });
  }
  const order = (t) => TUNNEL_ORDER[t.state] ?? (t.state === 'open' ? 9 : 1);
  let away = 0;
  for (const c of seen.connectors.values()) if (c.state === 'away') away = list.push(awayRow(c)) && away + 1;
  list.sort((a, b) => order(a) - order(b) || byName(a.connector || a.gateway, b.connector || b.gateway) || byName(a.key, b.key));
  showList('tunnels', list, {
    columns: isGateway ? gatewayTunnels : connectorTunnels, caption: 'Tunnels with age, round-trip time and last error', key: (t) => t.key,
    text: (t) => [t.state, t.connector, t.gateway, t.subaccount, t.location_id, t.address, t.version, t.last_error].join(' '),
    count: number.format(seen.tunnels.size) + (away ? `, ${plural(away, 'connector')} away` : ''),
    empty: isGateway ? 'No connector is set up, and none is needed for direct roads.' : 'No tunnel yet.',
  });
}

function showSystems(list) {
  if (status && status.daemon === 'frunproxyd') {
    showList('systems', list, { columns: [
      { title: 'System', cls: 'c-who', isHead: true, show: (s) => s.name },
      { title: 'System ID', show: (s) => `${s.system_id} / ${s.client}` },
      { title: 'Role', show: (s) => s.role },
      { title: 'Virtual host', show: (s) => s.virtual_host || '–' },
      { title: 'Road', show: (s) => s.route + (s.location_id ? ` (${s.location_id})` : '') },
      { title: 'Logon URL', cls: 'c-wide', show: (s) => s.logon_url || '–' },
      { title: 'Endpoints', cls: 'num', show: (s) => s.endpoints },
    ], caption: 'Focused Run systems', key: (s) => s.name, text: (s) => Object.values(s).join(' '), empty: 'There are no systems.' });
    return;
  }
  for (const s of list) grow(s.name, s.requests, s.server_errors, performance.now());
  showList('systems', list, { columns: [
    { title: 'Virtual host', cls: 'c-who', isHead: true, show: (s) => el('div', 'who', el('strong', '', s.name),
      s.sid ? el('span', 'dim', s.sid) : null), sign: (s) => s.name + s.sid },
    { title: 'Internal host', show: (s) => `${s.internal_host}:${s.internal_port} (${s.protocol})` },
    { title: 'Last 6 hours', cls: 'c-spark', show: (s) => {
      const x = seen.series.get(s.name);
      return x ? Charts.spark(x.requests, x.errors, 'requests in the last 6 hours') : el('span', 'dim', 'no requests');
    }, sign: (s) => { const x = seen.series.get(s.name); return x ? x.requests.join() + '|' + x.errors.join() : ''; } },
    { title: 'Rate', cls: 'num', show: (s) => rate(rateOf(s.name)) + ' /s' },
    { title: 'Requests', cls: 'num', show: (s) => number.format(s.requests) },
    { title: 'Errors', cls: 'num', show: (s) => el('span', s.server_errors ? 'bad-text' : 'dim', number.format(s.server_errors)) },
    { title: 'Denied', cls: 'num', show: (s) => s.denied === undefined ? '–'
      : el('span', s.denied ? 'warn-text' : 'dim', number.format(s.denied)) },
    { title: 'Latency (p95)', cls: 'num', show: (s) => ms(s.p95_ms) },
    { title: 'Resources', cls: 'c-wide', show: (s) => el('ul', 'plain', ...s.resources.map((r) =>
      el('li', '', el('code', '', r.path), el('span', 'dim',
        ` ${r.policy === 'path-only' ? 'path only' : 'and all sub-paths'}${r.active ? '' : ' · suspended'}` +
        (r.requests === undefined ? '' : ` · ${plural(r.requests, 'request')}`))))),
    sign: (s) => JSON.stringify(s.resources) },
  ], caption: 'Systems with their resources', key: (s) => s.name, text: (s) => `${s.name} ${s.internal_host} ${s.sid}`,
  empty: 'There are no system mappings.' });
  wantSeries(list.filter((s) => s.requests).slice(0, 60).map((s) => s.name), () => showSystems(list));
}

function showSubaccounts(list) {
  show('subaccounts', [
    { title: 'State', show: (s) => s.state === 'connected' ? pill('good', 'Connected') : pill('bad', 'Away') },
    { title: 'Subaccount', isHead: true, show: (s) => s.name },
    { title: 'Location ID', show: (s) => s.location_id || '(empty)' },
    { title: 'Gateways', cls: 'c-wide', show: (s) => s.gateways.join(', ') },
    { title: 'Tunnels', cls: 'num', show: (s) => `${s.tunnels} of ${s.tunnels_wanted}` },
    { title: 'Opened', cls: 'num', show: (s) => number.format(s.opened) },
    { title: 'Failed', cls: 'num', show: (s) => number.format(s.failed) },
  ], 'Subaccounts', list, (s) => s.name, 'There are no subaccounts.');
}

const BY = { 'focused-run': 'Focused Run', connector: 'connector', gateway: 'gateway' };
function statusCell(r) {
  const kind = !r.status || r.status >= 500 ? 'bad' : r.status >= 400 ? 'warn' : 'good';
  const by = BY[r.by] || r.by || 'nobody';
  return el('div', '', pill(kind, r.status || 'none'), el('span', 'dim by', ' by ' + by),
    r.error ? el('span', 'dim block', r.error) : null);
}

/* Where the time went: waiting, on the way and at Focused Run, and the rest (bodies, our own work). */
const PARTS = [['p-wait', 'queue'], ['p-tunnel', 'tunnel'], ['p-up', 'back end'], ['p-rest', 'transfer and own work']];
function splitCell(r) {
  const up = Math.min(r.upstream_ms, r.ms), wait = Math.min(r.wait_ms, r.ms - up);
  /* The connector tells its part; without its word both are one. */
  const back = r.backend_ms === undefined ? up : Math.min(r.backend_ms, up);
  const name = (i) => (i === 2 && r.backend_ms === undefined && r.connector ? 'tunnel and back end' : PARTS[i][1]);
  const parts = [wait, up - back, back, Math.max(r.ms - up - wait, 0)];
  const bar = el('span', 'split');
  parts.forEach((v, i) => {
    if (v <= 0) return;
    const p = el('span', PARTS[i][0]);
    p.style.flexGrow = String(Math.max(v / (r.ms || 1), 0.02));
    bar.append(p);
  });
  const words = parts.map((v, i) => (i === 1 && !v ? '' : `${name(i)} ${ms(v)}`)).filter(Boolean).join(', ');
  const box = el('div', 'took', el('span', 'num-text', ms(r.ms)), bar, el('span', 'hidden', words));
  box.title = words;
  return box;
}

function showRequests(list) {
  const isGateway = status && status.daemon === 'frunproxyd';
  let n = 0;
  for (const r of list) r.key = (r.request_id || '') + r.time + (r.request_id ? '' : n++);
  show('requests', [
    { title: 'Time', cls: 'c-time', show: (r) => clock(r.time) },
    { title: 'Status', show: statusCell, sign: (r) => `${r.status}${r.by}${r.error}` },
    { title: 'Request', cls: 'c-wide', isHead: true, show: (r) => el('div', '', el('span', 'method', r.method || '?'), ' ',
      el('span', 'path', r.path || '(not read)')), sign: (r) => `${r.method}${r.path}` },
    { title: isGateway ? 'Endpoint' : 'System', show: (r) => r.endpoint || '–' },
    { title: isGateway ? 'Pusher' : 'Request ID', cls: isGateway ? '' : 'c-id',
      show: (r) => isGateway ? r.pusher || '–' : (r.request_id || '–').slice(0, 12) },
    { title: 'Body', cls: 'num', show: (r) => bytes(r.bytes_in) },
    { title: 'Time spent', cls: 'c-took', show: splitCell, sign: (r) => String(r.ms) },
  ], 'Recent requests', list, (r) => r.key, 'No request yet.');
}

const CERTIFICATE = {
  front: 'shown to managed services', tunnel: 'shown to connectors', 'client-ca': 'CA of pushers',
  'client-crl': 'revocation list of a CA',
  'backend-ca': 'CA of Focused Run', admin: 'shown by this page', connector: 'shown to the gateway',
  'gateway-ca': 'CA of the gateway', gateway: 'shown by the gateway', system: 'shown to Focused Run',
  'principal-ca': 'CA of principals',
};

/* The other end's, as it was shown to us. */
const useOf = (c) => c.what === 'connector' && status && status.daemon === 'frunproxyd' ? 'shown by the connector'
  : c.what === 'client-ca' && c.name === 'tunnel' ? 'CA of connectors' : CERTIFICATE[c.what] || c.what;

/* A revocation list lives for days, and its alert goes by its own life. */
const lifeOf = (c) => c.what === 'client-crl' ? (c.days_left < 1 ? 'warn' : 'good')
  : c.days_left < 7 ? 'bad' : c.days_left < 30 ? 'warn' : 'good';

function showCertificates(list) {
  const sorted = [...list].sort((a, b) => a.days_left - b.days_left);
  showList('certificates', sorted.map((c, i) => ({ ...c, key: `${c.what}|${c.name}|${i}` })), { columns: [
    { title: 'Days left', cls: 'c-days', show: (c) => c.state === 'expired' ? pill('bad', 'Expired')
      : pill(lifeOf(c), plural(c.days_left, 'day')) },
    { title: 'Certificate', cls: 'c-who', isHead: true, show: (c) => c.name },
    { title: 'Use', show: useOf },
    { title: 'Valid until', show: (c) => c.until.slice(0, 10) },
  ], caption: 'Certificates with days left', key: (c) => c.key, text: (c) => `${c.name} ${useOf(c)} ${c.until} ${c.state}`,
  empty: 'No certificate is in use.' });
}

let alertsShown = FIRST_ALERTS;
function showAlerts(list) {
  const box = $('alerts');
  $('s-alerts').hidden = list.length === 0;
  const some = list.slice(0, alertsShown);
  const firing = list.filter((a) => a.state === 'firing').length;
  const sign = JSON.stringify([some, list.length, firing]);
  if (box.dataset.sign === sign) return;
  box.dataset.sign = sign;
  put($('n-alerts'), `${number.format(firing)} firing` + (list.length > firing ? `, ${number.format(list.length - firing)} over` : ''));
  moreOf($('more-alerts'), $('show-alerts'), list.length - some.length);
  $('show-alerts').onclick = () => { alertsShown += MORE_ROWS; showAlerts(list); };
  box.replaceChildren(...some.map((a) => {
    const isFiring = a.state ? a.state === 'firing' : true;
    return el('li', isFiring ? 'firing' : 'over',
      pill(isFiring ? 'bad' : 'good', isFiring ? 'Firing' : 'Over'),
      el('div', '', el('strong', '', [a.alert, a.name].filter((t) => t).join(' · ')),
        el('p', '', a.text || a.message || ''), a.remedy ? el('p', 'dim', a.remedy) : null),
      el('span', 'dim', a.since ? new Date(a.since).toLocaleString([], { hourCycle: 'h23' }) : ''));
  }));
}

/* ---- what comes */

/* Changes of a list into what is known of it. */
function take(map, key, d, onSet) {
  if (d.first) map.clear();
  for (const x of d.set) {
    map.set(x[key], x);
    if (onSet) onSet(x);
  }
  for (const k of d.gone) map.delete(k);
}

const HANDLERS = {
  status: (d) => { status = d; showTop(); },
  endpoints: (d) => {
    const now = performance.now();
    take(seen.endpoints, 'name', d, (e) => grow(e.name, e.requests, e.server_errors + e.unanswered, now));
    for (const k of d.gone) rates.delete(k);
    if (!d.last) return;
    let total = 0;
    for (const e of seen.endpoints.values()) total += e.requests;
    grow('', total, 0, now);
    soon(showEndpoints);
  },
  health: (d) => {
    take(seen.health, 'endpoint', d);
    if (!d.last) return;
    soon(showTop);
    soon(showEndpoints);
  },
  tunnels: (d) => {
    if (d.set) take(seen.tunnels, 'address', d);
    else seen.tunnels = new Map(d.tunnels.map((t, i) => [i, t]));
    soon(showTunnels);
  },
  connectors: (d) => {
    take(seen.connectors, 'name', d);
    soon(showTop);
    soon(showTunnels);
  },
  systems: (d) => {
    showSystems(d.systems);
    if (status && status.daemon !== 'frunproxyd') {
      grow('', d.systems.reduce((n, s) => n + s.requests, 0), 0, performance.now());
    }
  },
  subaccounts: (d) => showSubaccounts(d.subaccounts),
  requests: (d) => showRequests(d.requests),
  certificates: (d) => showCertificates(d.certificates),
  alerts: (d) => showAlerts(d.alerts || []),
  series: (d) => {
    seen.all = { ...d.all, minute_began: d.minute_began };
    soon(showAll);
  },
};

function live(state, text) {
  $('live').dataset.state = state;
  document.body.classList.toggle('stale', state === 'gone');
  put($('live-text'), text);
}

function listen() {
  source = new EventSource('api/v1/events');
  const early = []; /* what comes before it is known whose page this is */
  for (const [name, fn] of Object.entries(HANDLERS)) {
    source.addEventListener(name, (ev) => {
      lastEvent = performance.now();
      retry = 0;
      const data = JSON.parse(ev.data);
      if (!status && name !== 'status') {
        early.push(() => fn(data));
        return;
      }
      fn(data);
      for (const later of early.splice(0)) later();
      live('on', 'live');
    });
  }
  source.addEventListener('error', () => {
    live('gone', 'connection lost, trying again');
    /* A browser gives up when the answer is an error; we do not. */
    if (source.readyState === EventSource.CLOSED) {
      setTimeout(listen, Math.min(30000, 1000 * 2 ** retry++));
    }
  });
}

setInterval(() => {
  if (lastEvent && performance.now() - lastEvent > STALE_MS) live('gone', 'nothing heard for a while');
}, 2000);

$('legend').replaceChildren(...PARTS.map(([cls, word]) => el('span', 'key', el('i', cls), word)));
function filterFor(text) {
  if ($('filter').value !== text) $('filter').value = text;
  words = wordsOf(text);
  shown = FIRST_ROWS;
  showEndpoints();
}
$('filter').addEventListener('input', () => filterFor($('filter').value));
$('filter').addEventListener('keydown', (ev) => { if (ev.key === 'Escape') filterFor(''); });
$('sort').addEventListener('change', showEndpoints);
$('show-all').addEventListener('click', () => { shown += MORE_ROWS; showEndpoints(); });
/* Ages and rates go on, also when nothing comes. */
setInterval(() => { soon(showEndpoints); soon(showTunnels); soon(showTop); }, 5000);
listen();
