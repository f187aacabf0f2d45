// Small drawing helpers of the Learn tab.

import { element, still, svg, unpack } from './lib.js';

const [RING, APART] = [9, 84]; // pixels: the radius of a ringed letter; how far two of them stand apart at least

// Frames side by side in one picture, stepped through by one clock. An animation of CSS would have the browser compose the
// page at every refresh, which without a GPU takes its share of the cores from what is shown.
export function showStrip(node, source) { node.style.backgroundImage = `url("${source}")`; }

const [FRAMES, FRAME_MS] = [8, 250];
let frame = 0;

setInterval(() => {
  if (document.hidden || still()) return;
  frame = (frame + 1) % FRAMES;
  for (const strip of document.querySelectorAll('.vlj-learn .vlj-strip')) {
    if (strip.offsetParent) strip.style.backgroundPositionX = `${100 * frame / (FRAMES - 1)}%`;
  }
}, FRAME_MS);

export function showCost(list, { passes, mflop, ms }, how = 'passes through the model') {
  const rows = [[String(passes), how], [mflop >= 1000 ? `${(mflop / 1000).toFixed(1)} G` : `${mflop.toFixed(mflop < 10 ? 1 : 0)} M`, 'FLOPs'], [`${ms.toFixed(ms < 10 ? 1 : 0)} ms`, 'on this machine']];
  list.replaceChildren(...rows.flatMap(([value, name]) => {
    const pair = element('div');
    pair.append(element('dt', '', value), element('dd', '', name));
    return [pair];
  }));
}

// The shapes map as an SVG: dots for sentences, words for clusters; `at` turns map units into pixels.
export class SmallMap {
  constructor(node, landmarks) {
    this.node = node;
    const [, , width, height] = node.getAttribute('viewBox').split(' ').map(Number);
    const [x, y] = unpack(landmarks.xy, 2);
    const [lowX, highX, lowY, highY] = [Math.min(...x), Math.max(...x), Math.min(...y), Math.max(...y)];
    this.at = ([a, b]) => [12 + (a - lowX) / (highX - lowX) * (width - 24), height - 12 - (b - lowY) / (highY - lowY) * (height - 24)];
    const dots = svg('g', { class: 'vlj-map-dots' });
    x.forEach((value, i) => {
      const [cx, cy] = this.at([value, y[i]]);
      dots.append(svg('circle', { cx: cx.toFixed(1), cy: cy.toFixed(1), r: 1.4 }));
    });
    this.layer = svg('g');
    node.replaceChildren(dots, this.words(landmarks.words, width), this.layer);
  }

  words(words, width) {
    const group = svg('g', { class: 'vlj-map-words' });
    const taken = [];
    for (const { words: name, xy } of words) {
      const [x, y] = this.at(xy);
      const half = name.length * 3.1 + 4;
      if (x - half < 0 || x + half > width || taken.some(([a, b, h]) => Math.abs(a - x) < h + half && Math.abs(b - y) < 15)) continue;
      taken.push([x, y, half]);
      group.append(svg('text', { x, y, 'text-anchor': 'middle' }, name));
    }
    return group;
  }

  clear() { this.layer.replaceChildren(); }

  star(xy, title) {
    const [x, y] = this.at(xy);
    const points = Array.from({ length: 10 }, (_, i) => {
      const [radius, angle] = [i % 2 ? 4 : 9, Math.PI * i / 5 - Math.PI / 2];
      return `${(x + radius * Math.cos(angle)).toFixed(1)},${(y + radius * Math.sin(angle)).toFixed(1)}`;
    });
    const star = svg('polygon', { points: points.join(' '), class: 'vlj-star' });
    star.append(svg('title', {}, title));
    this.layer.append(star);
  }

  // A prediction that has just come: a dot, and a ring that closes in on it.
  landed(xy, title) {
    const [cx, cy] = this.at(xy);
    const group = svg('g', { class: 'vlj-landed' });
    group.append(svg('circle', { cx, cy, r: 14, class: 'vlj-ring' }), svg('circle', { cx, cy, r: 6 }), svg('title', {}, title));
    this.layer.append(group);
  }

  label(xy, text, title, kind = '') {
    const [x, y] = this.at(xy);
    const group = svg('g', { class: `vlj-map-label ${kind}` });
    group.append(svg('circle', { cx: x, cy: y, r: 8 }), svg('text', { x, y: y + 4, 'text-anchor': 'middle' }, text), svg('title', {}, title));
    this.layer.append(group);
  }

  // From one place to another: a ringed letter at each, and a bowed arrow between the rings. Where the places lie so
  // close that the rings would hide the arrow, the rings stand off and a thin line leads from each to its place.
  change(from, to, [first, second]) {
    const [places, [a, b]] = [[this.at(from), this.at(to)], apart(this.at(from), this.at(to), this.node)];
    const group = svg('g', { class: 'vlj-change-mark' });
    places.forEach(([cx, cy], i) => {
      const [x2, y2] = [a, b][i];
      group.append(svg('line', { x1: cx, y1: cy, x2, y2, class: 'vlj-leader' }), svg('circle', { cx, cy, r: 3 }));
    });
    this.layer.append(group);
    this.ring(a, ...first);
    this.ring(b, ...second);
    this.layer.append(bowed(a, b));
  }

  ring([x, y], text, title) {
    const group = svg('g', { class: 'vlj-map-label vlj-end-mark' });
    group.append(svg('circle', { cx: x, cy: y, r: RING }), svg('text', { x, y: y + 4, 'text-anchor': 'middle' }, text), svg('title', {}, title));
    this.layer.append(group);
  }
}

// Two points, moved away from their middle until they are `APART`, and both inside the picture.
function apart([x1, y1], [x2, y2], node) {
  const [, , width, height] = node.getAttribute('viewBox').split(' ').map(Number);
  const distance = Math.hypot(x2 - x1, y2 - y1);
  const [dx, dy] = distance < 0.5 ? [1, 0] : [(x2 - x1) / distance, (y2 - y1) / distance];
  const half = Math.max(distance, APART) / 2;
  const inside = (value, size, reach) => Math.min(Math.max(value, RING + 4 + reach), size - RING - 4 - reach);
  const [cx, cy] = [inside((x1 + x2) / 2, width, Math.abs(dx) * half), inside((y1 + y2) / 2, height, Math.abs(dy) * half)];
  return [[cx - dx * half, cy - dy * half], [cx + dx * half, cy + dy * half]];
}

// An arrow from ring to ring, bowed to one side, so that what lies between stays readable.
function bowed([x1, y1], [x2, y2]) {
  const distance = Math.hypot(x2 - x1, y2 - y1);
  const [dx, dy] = [(x2 - x1) / distance, (y2 - y1) / distance];
  const bow = Math.min(40, 0.3 * distance);
  const control = [(x1 + x2) / 2 + dy * bow, (y1 + y2) / 2 - dx * bow];
  const towards = ([x, y], gap) => {
    const away = Math.hypot(control[0] - x, control[1] - y);
    return [x + (control[0] - x) / away * gap, y + (control[1] - y) / away * gap];
  };
  const [start, end] = [towards([x1, y1], RING + 1), towards([x2, y2], RING + 3)];
  const angle = Math.atan2(end[1] - control[1], end[0] - control[0]);
  const wing = (turn) => [end[0] - 9 * Math.cos(angle + turn), end[1] - 9 * Math.sin(angle + turn)].map((v) => v.toFixed(1)).join(' ');
  const way = `M${start.map((v) => v.toFixed(1)).join(' ')}Q${control.map((v) => v.toFixed(1)).join(' ')} ${end.map((v) => v.toFixed(1)).join(' ')}`;
  const head = `M${wing(0.5)}L${end.map((v) => v.toFixed(1)).join(' ')}L${wing(-0.5)}`;
  const group = svg('g', { class: 'vlj-map-arrow' });
  group.append(svg('path', { d: way + head, class: 'vlj-halo' }), svg('path', { d: way, class: 'vlj-way' }), svg('path', { d: head }));
  return group;
}

export function arrow([x1, y1], [x2, y2], className, head = 6) {
  const group = svg('g', { class: className });
  const angle = Math.atan2(y2 - y1, x2 - x1);
  const wing = (turn) => `${(x2 - head * Math.cos(angle + turn)).toFixed(2)},${(y2 - head * Math.sin(angle + turn)).toFixed(2)}`;
  group.append(svg('line', { x1, y1, x2, y2 }), svg('polyline', { points: `${wing(0.5)} ${x2},${y2} ${wing(-0.5)}`, fill: 'none' }));
  return group;
}

export function press(root, name, value) {
  for (const button of root.querySelectorAll(`[data-${name}]`)) button.setAttribute('aria-pressed', String(button.dataset[name] === value));
}
