// Where predictions for what is held out lie, seen along their two main axes; they move as the model learns.

import { element, svg } from './lib.js';

const REACH = 0.85; // of the embedding space in which all have length one; nothing lies beyond 1
const SIGNS = { left: '←', right: '→', up: '↑', down: '↓', appear: '+', leave: '–', rest: '·', collide: '×', enter: '∪', turn: '↻' };
const MEANINGS = { left: 'moves left', right: 'moves right', up: 'rises', down: 'sinks', appear: 'appears', leave: 'leaves', rest: 'rests', collide: 'bumps into something', enter: 'goes into something', turn: 'changes its colour' };
const RADIUS = 0.052;

export class PredictionMap {
  constructor(node, legend, colours) {
    [this.node, this.legend, this.colours, this.marks] = [node, legend, colours, []];
    node.setAttribute('viewBox', `${-REACH} ${-REACH} ${2 * REACH} ${2 * REACH}`);
  }

  // What the points stand for: { title } and, of the shapes world, { colour, action }.
  begin(points) {
    this.ties = points.map(() => svg('line', { class: 'vlj-meet' }));
    this.rings = points.map(({ title }) => {
      const ring = svg('circle', { r: RADIUS * 0.9, class: 'vlj-goal' });
      ring.append(svg('title', {}, `the caption of ${title}`));
      return ring;
    });
    this.marks = points.map((point, i) => this.mark(point, i));
    this.node.replaceChildren(...this.ties, ...this.rings, ...this.marks);
    this.explain(points);
  }

  mark({ title, colour, action }, i) {
    const group = svg('g', { class: 'vlj-moving' });
    const rgb = this.colours[colour];
    const dot = svg('circle', { r: RADIUS });
    if (rgb) dot.style.fill = `rgb(${rgb})`;
    const dark = rgb && 0.3 * rgb[0] + 0.59 * rgb[1] + 0.11 * rgb[2] > 150;
    group.append(dot, svg('text', { y: RADIUS * 0.52, 'text-anchor': 'middle', class: rgb ? `vlj-sign${dark ? ' vlj-on-light' : ''}` : 'vlj-sign' }, SIGNS[action] ?? String(i + 1)), svg('title', {}, title));
    return group;
  }

  explain(points) {
    const actions = [...new Set(points.map(({ action }) => action).filter(Boolean))];
    this.legend.replaceChildren(...actions.map((action) => {
      const item = element('li');
      item.append(element('b', '', SIGNS[action]), element('span', '', MEANINGS[action]));
      return item;
    }));
  }

  show({ places, targets }) {
    this.node.classList.toggle('vlj-with-goals', targets.length > 0);
    const at = ([x, y]) => `translate(${x}px, ${-y}px)`;
    places.forEach((place, i) => { this.marks[i].style.transform = at(place); });
    targets.forEach((place, i) => {
      this.rings[i].style.transform = at(place);
      for (const [name, value] of Object.entries({ x1: places[i][0], y1: -places[i][1], x2: place[0], y2: -place[1] })) this.ties[i].setAttribute(name, value);
    });
    this.node.setAttribute('aria-label', `${places.length} predictions; the farthest lies ${Math.max(0, ...places.map(([x, y]) => Math.hypot(x, y))).toFixed(2)} from their middle`);
  }
}
