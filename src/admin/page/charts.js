/* SPDX-License-Identifier: Apache-2.0 */
/* Small charts as inline SVG. Colours come from classes, so that light and dark are the style sheet's business. */
'use strict';

const Charts = (() => {
  const NS = 'http://www.w3.org/2000/svg';

  function node(name, attributes, text) {
    const n = document.createElementNS(NS, name);
    for (const [k, v] of Object.entries(attributes || {})) n.setAttribute(k, v);
    if (text !== undefined) n.textContent = text;
    return n;
  }

  /* The next round number above: 1, 2, 5, 10, ... */
  function ceiling(v, least) {
    let top = 1;
    const want = Math.max(v, least || 1);
    while (top < want) {
      const digit = top / 10 ** Math.floor(Math.log10(top));
      top *= digit === 2 ? 2.5 : 2;
    }
    return top;
  }

  function short(v) {
    if (v >= 1e6) return (v / 1e6).toFixed(v < 1e7 ? 1 : 0).replace(/\.0$/, '') + 'M';
    if (v >= 1e4) return (v / 1e3).toFixed(0) + 'k';
    if (v >= 1e3) return (v / 1e3).toFixed(1).replace(/\.0$/, '') + 'k';
    return String(v < 10 && v % 1 ? v.toFixed(1) : Math.round(v));
  }

  /* One rectangle per point, all in one path: hundreds of elements would be slow. */
  function bars(values, base, x, y, width) {
    let d = '';
    values.forEach((v, i) => {
      if (!v) return;
      const from = y(base ? base[i] : 0);
      const to = Math.min(y((base ? base[i] : 0) + v), from - 1);
      d += `M${x(i).toFixed(2)} ${from.toFixed(1)}V${to.toFixed(1)}h${width.toFixed(2)}V${from.toFixed(1)}z`;
    });
    return d;
  }

  /* A line with gaps where nothing was measured; a lonely point is a short dash. */
  function line(values, x, y) {
    let d = '';
    values.forEach((v, i) => {
      if (!v) return;
      const at = `${x(i).toFixed(2)} ${y(v).toFixed(1)}`;
      d += i > 0 && values[i - 1] ? 'L' + at : 'M' + at + (values[i + 1] ? '' : 'h1.5');
    });
    return d;
  }

  /*
   * figure: element that gets caption, chart and reading
   * o: { title, unit, values, over: [{values, name, cls}] stacked, kind: 'bars'|'line', cls, endMs, stepMs, least }
   */
  function chart(figure, o) {
    const W = 560, H = 150, L = 38, R = 6, T = 10, B = 20;
    const n = o.values.length;
    const total = o.values.map((v, i) => v + (o.over || []).reduce((a, s) => a + (o.kind === 'bars' ? s.values[i] : 0), 0));
    const highest = Math.max(...total, ...(o.kind === 'line' ? (o.over || []).flatMap((s) => s.values) : [0]));
    const top = ceiling(highest, o.least);
    const x = (i) => L + (W - L - R) * i / n;
    const y = (v) => H - B - (H - B - T) * v / top;
    const w = Math.max((W - L - R) / n - 0.25, 0.6);
    const svg = node('svg', { viewBox: `0 0 ${W} ${H}`, role: 'img', 'aria-label': o.says, class: 'chart' });
    for (let k = 0; k <= 2; k++) {
      const at = y(top * k / 2);
      svg.append(node('line', { x1: L, x2: W - R, y1: at, y2: at, class: 'grid' }));
      svg.append(node('text', { x: L - 5, y: at + 3.5, class: 'axis end' }, short(top * k / 2)));
    }
    /* Full hours of the reader's own clock. */
    const begin = o.endMs - n * o.stepMs;
    const hour = new Date(begin);
    hour.setMinutes(60, 0, 0);
    for (let t = hour.getTime(); t < o.endMs; t += 3600e3) {
      const at = x((t - begin) / o.stepMs);
      if (at < L + 12 || at > W - R - 12) continue;
      svg.append(node('line', { x1: at, x2: at, y1: H - B, y2: H - B + 4, class: 'tick' }));
      svg.append(node('text', { x: at, y: H - 4, class: 'axis middle' },
        new Date(t).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' })));
    }
    if (o.kind === 'bars') {
      svg.append(node('path', { d: bars(o.values, null, x, y, w), class: o.cls }));
      let base = o.values;
      for (const s of o.over || []) {
        svg.append(node('path', { d: bars(s.values, base, x, y, w), class: s.cls }));
        base = base.map((v, i) => v + s.values[i]);
      }
    } else {
      svg.append(node('path', { d: line(o.values, x, y), class: 'line ' + o.cls }));
      for (const s of o.over || []) svg.append(node('path', { d: line(s.values, x, y), class: 'line ' + s.cls }));
    }
    const mark = node('line', { y1: T, y2: H - B, class: 'mark', visibility: 'hidden' });
    svg.append(mark);
    const caption = document.createElement('figcaption');
    const title = document.createElement('strong');
    title.textContent = o.title;
    const reading = document.createElement('span');
    reading.className = 'reading';
    reading.textContent = o.summary;
    const keys = document.createElement('span');
    keys.className = 'keys';
    for (const [cls, word] of o.keys || []) {
      const swatch = node('svg', { viewBox: '0 0 14 8', width: 14, height: 8, 'aria-hidden': 'true' });
      swatch.append(o.kind === 'bars' ? node('rect', { width: 10, height: 8, rx: 2, class: cls })
        : node('path', { d: 'M0 4h14', class: 'line ' + cls }));
      keys.append(swatch, word);
    }
    caption.append(title, reading, keys);
    /* Reading off with the pointer. */
    svg.addEventListener('pointermove', (ev) => {
      const box = svg.getBoundingClientRect();
      const i = Math.floor(((ev.clientX - box.left) / box.width * W - L) / (W - L - R) * n);
      if (i < 0 || i >= n) return;
      mark.setAttribute('x1', x(i + 0.5));
      mark.setAttribute('x2', x(i + 0.5));
      mark.setAttribute('visibility', 'visible');
      const at = new Date(begin + i * o.stepMs)
        .toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
      reading.textContent = `${at}: ${o.reads(i)}`;
    });
    svg.addEventListener('pointerleave', () => {
      mark.setAttribute('visibility', 'hidden');
      reading.textContent = o.summary;
    });
    figure.replaceChildren(caption, svg);
  }

  /* A line of bars in a card: height is requests, the red part what failed. */
  function spark(values, errors, says) {
    const W = 144, H = 30;
    const top = Math.max(...values, 1);
    const svg = node('svg', { viewBox: `0 0 ${W} ${H}`, class: 'spark', role: 'img', 'aria-label': says });
    const x = (i) => W * i / values.length;
    const y = (v) => H - 1 - (H - 3) * v / top;
    const w = W / values.length - 0.8;
    svg.append(node('line', { x1: 0, x2: W, y1: H - 0.5, y2: H - 0.5, class: 'grid' }));
    svg.append(node('path', { d: bars(values, null, x, y, w), class: 'c-ok' }));
    svg.append(node('path', { d: bars(errors, null, x, y, w), class: 'c-bad' }));
    return svg;
  }

  return { chart, spark, short };
})();
