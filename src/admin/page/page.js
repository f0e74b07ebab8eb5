/* SPDX-License-Identifier: Apache-2.0 */
/* The status page of both daemons. Everything comes from /api/v1 by server-sent events; nothing is ever sent. */
'use strict';

const $ = (id) => document.getElementById(id);
const FIRST_ROWS = 40;
const RATE_WINDOW_MS = 15000;
const STALE_MS = 6000;

const seen = { endpoints: [], health: new Map(), series: new Map(), all: null };
const rates = new Map();
let status = null;
let isAll = false;
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

const made = new Map();
function show(id, columns, caption, items, key, empty) {
  $('s-' + id).hidden = false;
  if (!made.has(id)) made.set(id, table($(id), columns, caption));
  made.get(id)(items, key, empty);
}

/* ---- rates: how fast counters grow */

function grow(name, requests, errors, now) {
  let r = rates.get(name);
  if (!r) rates.set(name, r = []);
  if (r.length && requests < r[r.length - 1].requests) r.length = 0; /* the daemon was started anew */
  r.push({ t: now, requests, errors });
  while (r.length > 2 && now - r[0].t > RATE_WINDOW_MS) r.shift();
}

function rateOf(name) {
  const r = rates.get(name);
  if (!r || r.length < 2) return 0;
  const a = r[0], b = r[r.length - 1];
  return b.t > a.t ? (b.requests - a.requests) * 1000 / (b.t - a.t) : 0;
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

function showTop() {
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
    tile('Tunnels', number.format(status.tunnels), status.waiting ? plural(status.waiting, 'request') + ' waiting' : 'none waiting',
      status.waiting ? 'warn' : '');
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

function errorsOf(name) {
  const s = seen.series.get(name);
  return s ? s.errors.reduce((x, y) => x + y, 0) : 0;
}

function latencyOf(e) {
  const s = seen.series.get(e.name);
  return (s && s.p95_ms.filter((v) => v).pop()) || e.p95_ms;
}

function trouble(e) {
  const h = seen.health.get(e.name);
  const s = seen.series.get(e.name);
  const late = s ? s.errors.slice(-2).reduce((x, y) => x + y, 0) : 0;
  const byHealth = { down: 1000, parked: 900, unverified: 50 }[h ? h.health : ''] || 0;
  return byHealth + (late ? 200 + Math.min(late, 99) : 0) + (errorsOf(e.name) ? 10 : 0);
}

const ORDERS = {
  trouble: (a, b) => trouble(b) - trouble(a) || a.name.localeCompare(b.name),
  name: (a, b) => a.name.localeCompare(b.name),
  rate: (a, b) => rateOf(b.name) - rateOf(a.name) || b.requests - a.requests || a.name.localeCompare(b.name),
  slow: (a, b) => latencyOf(b) - latencyOf(a) || a.name.localeCompare(b.name),
};

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
      : el('span', 'dim', 'no requests');
  }, sign: (e) => { const s = seen.series.get(e.name); return s ? s.requests.join() + '|' + s.errors.join() : ''; } },
  { title: 'Rate', cls: 'num', show: (e) => rate(rateOf(e.name)) + ' /s' },
  { title: 'Requests', cls: 'num c-requests', show: (e) => number.format(e.requests) },
  { title: 'Errors, 6 h', cls: 'num', show: (e) => {
    const n = errorsOf(e.name);
    return el('span', n ? 'bad-text' : 'dim', number.format(n));
  } },
  { title: 'Latency (p95)', cls: 'num', show: (e) => ms(latencyOf(e)) },
];

function matches(e, words) {
  const h = seen.health.get(e.name);
  const text = [e.name, e.customer_network, e.system, e.description, e.route, e.root_url, e.location_id,
    h ? h.health : ''].join(' ').toLowerCase();
  return words.every((w) => text.includes(w));
}

function showEndpoints() {
  if (!status || status.daemon !== 'frunproxyd') return;
  const words = $('filter').value.toLowerCase().split(/\s+/).filter((w) => w);
  const fit = seen.endpoints.filter((e) => matches(e, words)).sort(ORDERS[$('sort').value]);
  const some = isAll ? fit : fit.slice(0, FIRST_ROWS);
  show('endpoints', endpointColumns, 'Endpoints with health, root URL, rate, errors and latency', some, (e) => e.name,
    seen.endpoints.length ? 'No endpoint fits the filter.' : 'There are no endpoints yet: an [endpoint NAME] section makes one.');
  put($('n-endpoints'), words.length ? `${fit.length} of ${seen.endpoints.length}` : number.format(seen.endpoints.length));
  $('more').hidden = some.length === fit.length;
  put($('show-all'), `Show all ${number.format(fit.length)}`);
}

/* ---- the other tables */

const TUNNEL = { open: ['good', 'Open'], draining: ['warn', 'Draining'], suspect: ['warn', 'Suspect'] };
function tunnelPill(t) {
  const [kind, word] = TUNNEL[t.state] || ['bad', t.state.charAt(0).toUpperCase() + t.state.slice(1)];
  return pill(kind, word);
}

const gatewayTunnels = [
  { title: 'State', show: tunnelPill },
  { title: 'Connector', isHead: true, show: (t) => t.connector },
  { title: 'Location ID', show: (t) => t.location_id || '(empty)' },
  { title: 'From', show: (t) => t.address },
  { title: 'Age', cls: 'num', show: (t) => t.tunnels === 0 ? '–' : span(t.age_seconds) },
  { title: 'Round trip', cls: 'num', show: (t) => ms(t.rtt_ms) },
  { title: 'In flight', cls: 'num', show: (t) => t.in_flight },
  { title: 'Last error', cls: 'c-error', show: (t) => t.last_error || '–' },
  { title: 'Version', show: (t) => t.version || '–' },
];

const connectorTunnels = [
  { title: 'State', show: tunnelPill },
  { title: 'Gateway', isHead: true, show: (t) => t.gateway },
  { title: 'Subaccount', show: (t) => t.subaccount },
  { title: 'Location ID', show: (t) => t.location_id || '(empty)' },
  { title: 'Age', cls: 'num', show: (t) => t.age_seconds ? span(t.age_seconds) : '–' },
  { title: 'Round trip', cls: 'num', show: (t) => ms(t.rtt_ms) },
  { title: 'In flight', cls: 'num', show: (t) => t.in_flight },
  { title: 'Last error', cls: 'c-error', show: (t) => t.last_error || '–' },
];

let tunnels = null;
let connectors = null;
function showTunnels() {
  if (!status || !tunnels) return;
  const isGateway = status.daemon === 'frunproxyd';
  const count = new Map();
  const list = tunnels.map((t) => {
    const base = isGateway ? `${t.connector}|${t.instance}|${t.address}` : `${t.subaccount}|${t.gateway}`;
    count.set(base, (count.get(base) || 0) + 1);
    return { ...t, key: base + '#' + count.get(base) };
  });
  /* A connector that is away has no tunnel, and is what one looks for here. */
  for (const c of (isGateway && connectors) || []) {
    if (c.state !== 'away') continue;
    list.unshift({ key: 'away ' + c.name, connector: c.name, state: 'away', location_id: c.location_ids.join(', '),
      address: '–', in_flight: 0, tunnels: 0, last_error: c.last_error || 'it has not dialled in' });
  }
  put($('n-tunnels'), number.format(tunnels.length));
  show('tunnels', isGateway ? gatewayTunnels : connectorTunnels, 'Tunnels with age, round-trip time and last error', list,
    (t) => t.key, isGateway ? 'No connector is set up, and none is needed for direct roads.' : 'No tunnel yet.');
}

function showSystems(list) {
  if (status && status.daemon === 'frunproxyd') {
    show('systems', [
      { title: 'System', isHead: true, show: (s) => s.name },
      { title: 'System ID', show: (s) => `${s.system_id} / ${s.client}` },
      { title: 'Role', show: (s) => s.role },
      { title: 'Virtual host', show: (s) => s.virtual_host || '–' },
      { title: 'Road', show: (s) => s.route + (s.location_id ? ` (${s.location_id})` : '') },
      { title: 'Logon URL', cls: 'c-wide', show: (s) => s.logon_url || '–' },
      { title: 'Endpoints', cls: 'num', show: (s) => s.endpoints },
    ], 'Focused Run systems', list, (s) => s.name, 'There are no systems.');
    return;
  }
  for (const s of list) grow(s.name, s.requests, s.server_errors, performance.now());
  show('systems', [
    { title: 'Virtual host', isHead: true, show: (s) => el('div', 'who', el('strong', '', s.name),
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
  ], 'Systems with their resources', list, (s) => s.name, 'There are no system mappings.');
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
  front: 'shown to managed services', tunnel: 'shown to connectors', 'client-ca': 'CA of connectors',
  'backend-ca': 'CA of Focused Run', admin: 'shown by this page', connector: 'shown to the gateway',
  'gateway-ca': 'CA of the gateway', system: 'system certificate',
};

function showCertificates(list) {
  const sorted = [...list].sort((a, b) => a.days_left - b.days_left);
  show('certificates', [
    { title: 'Days left', cls: 'c-days', show: (c) => c.state === 'expired' ? pill('bad', 'Expired')
      : pill(c.days_left < 7 ? 'bad' : c.days_left < 30 ? 'warn' : 'good', plural(c.days_left, 'day')) },
    { title: 'Certificate', isHead: true, show: (c) => c.name },
    { title: 'Use', show: (c) => CERTIFICATE[c.what] || c.what },
    { title: 'Valid until', show: (c) => c.until.slice(0, 10) },
  ], 'Certificates with days left', sorted.map((c, i) => ({ ...c, key: `${c.what}|${c.name}|${i}` })), (c) => c.key,
  'No certificate is in use.');
}

function showAlerts(list) {
  const box = $('alerts');
  $('s-alerts').hidden = list.length === 0;
  const sign = JSON.stringify(list);
  if (box.dataset.sign === sign) return;
  box.dataset.sign = sign;
  box.replaceChildren(...list.slice(0, 50).map((a) => {
    const isFiring = a.state ? a.state === 'firing' : true;
    return el('li', isFiring ? 'firing' : 'over',
      pill(isFiring ? 'bad' : 'good', isFiring ? 'Firing' : 'Over'),
      el('div', '', el('strong', '', [a.alert, a.name].filter((t) => t).join(' · ')),
        el('p', '', a.text || a.message || ''), a.remedy ? el('p', 'dim', a.remedy) : null),
      el('span', 'dim', a.since ? new Date(a.since).toLocaleString([], { hourCycle: 'h23' }) : ''));
  }));
}

/* ---- what comes */

const HANDLERS = {
  status: (d) => { status = d; showTop(); },
  endpoints: (d) => {
    const now = performance.now();
    seen.endpoints = d.endpoints;
    for (const e of d.endpoints) grow(e.name, e.requests, e.server_errors + e.unanswered, now);
    grow('', d.endpoints.reduce((n, e) => n + e.requests, 0), 0, now);
    showEndpoints();
  },
  health: (d) => {
    seen.health = new Map(d.map((h) => [h.endpoint, h]));
    showTop();
    showEndpoints();
  },
  tunnels: (d) => { tunnels = d.tunnels; showTunnels(); },
  connectors: (d) => { connectors = d.connectors; showTunnels(); },
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
    seen.series = new Map(d.series.map((s) => [s.name, s]));
    showAll();
    showEndpoints();
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
$('filter').addEventListener('input', () => { isAll = false; showEndpoints(); });
$('filter').addEventListener('keydown', (ev) => {
  if (ev.key === 'Escape') { $('filter').value = ''; showEndpoints(); }
});
$('sort').addEventListener('change', showEndpoints);
$('show-all').addEventListener('click', () => { isAll = true; showEndpoints(); });
listen();
