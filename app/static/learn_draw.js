// Small drawing helpers of the Learn tab.

import { element, unpack } from './lib.js';

const SVG = 'http://www.w3.org/2000/svg';

export function svg(tag, attributes = {}, text) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text; // never markup: sentences are not ours
  return made;
}

// Frames side by side in one picture; CSS steps through them.
export function showStrip(node, source) { node.style.backgroundImage = `url("${source}")`; }

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

  label(xy, text, title, kind = '') {
    const [x, y] = this.at(xy);
    const group = svg('g', { class: `vlj-map-label ${kind}` });
    group.append(svg('circle', { cx: x, cy: y, r: 8 }), svg('text', { x, y: y + 4, 'text-anchor': 'middle' }, text), svg('title', {}, title));
    this.layer.append(group);
  }

  arrow(from, to) { this.layer.append(arrow(this.at(from), this.at(to), 'vlj-map-arrow')); }
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
