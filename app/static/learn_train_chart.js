// A chart of lines that grow: steps to the right, values up, each line named at its end and drawn in a dash of its own.

import { segmentColour, svg } from './lib.js';

const EDGE = { left: 40, right: 142, top: 14, bottom: 36 };
const HEIGHT = 230;
const NAME_PX = 15; // a name's height
const DASHES = ['', '7 4', '2 4'];

export class LineChart {
  // `percent`: values are 0 to 100; otherwise the axis fits what there is.
  constructor(node, percent) {
    [this.node, this.percent, this.shown] = [node, percent, null];
    new ResizeObserver(() => this.draw()).observe(node);
    document.addEventListener('vlj-theme', () => this.draw());
  }

  // `lines`: { name, index, points: [[step, value]] }; `chance` is a value, or undefined.
  show(lines, steps, chance, what) {
    this.shown = { lines: lines.filter(({ points }) => points.length), steps, chance, what };
    this.draw();
  }

  draw() {
    const width = this.node.clientWidth;
    if (!this.shown || !width) return;
    const { lines, steps, chance, what } = this.shown;
    const values = lines.flatMap(({ points }) => points.map(([, value]) => value));
    const ticks = this.percent ? [0, 25, 50, 75, 100] : niceTicks(Math.max(0.5, ...values));
    this.x = (step) => EDGE.left + (width - EDGE.left - EDGE.right) * step / steps;
    this.y = (value) => HEIGHT - EDGE.bottom - (HEIGHT - EDGE.top - EDGE.bottom) * value / ticks.at(-1);
    const picture = svg('svg', { viewBox: `0 0 ${width} ${HEIGHT}`, 'aria-hidden': 'true' });
    picture.append(...this.axes(ticks, width), ...this.chance(chance, width), ...lines.map((line) => this.line(line)), ...this.names(lines));
    this.node.replaceChildren(picture);
    this.node.setAttribute('aria-label', `${what}: ${lines.map(({ name, points }) => `${name} ${this.said(points.at(-1)[1])} at step ${points.at(-1)[0]}`).join(', ') || 'nothing yet'}`);
  }

  said(value) { return this.percent ? `${Math.round(value)} %` : value.toFixed(2); }

  axes(ticks, width) {
    const right = width - EDGE.right;
    return [...ticks.flatMap((tick) => [svg('line', { x1: EDGE.left, x2: right, y1: this.y(tick), y2: this.y(tick), class: 'vlj-grid' }),
      svg('text', { x: EDGE.left - 6, y: this.y(tick) + 4, class: 'vlj-tick', 'text-anchor': 'end' }, String(tick))]),
    ...[0, 0.5, 1].map((share) => svg('text', { x: this.x(share * this.shown.steps), y: HEIGHT - EDGE.bottom + 16, class: 'vlj-tick', 'text-anchor': 'middle' }, String(Math.round(share * this.shown.steps)))),
    svg('text', { x: (EDGE.left + right) / 2, y: HEIGHT - 3, class: 'vlj-axis-name', 'text-anchor': 'middle' }, 'training step')];
  }

  chance(value, width) {
    if (value === undefined) return [];
    const y = this.y(value);
    return [svg('line', { x1: EDGE.left, x2: width - EDGE.right, y1: y, y2: y, class: 'vlj-chance' }),
      svg('text', { x: width - EDGE.right, y: y + 14, class: 'vlj-tick', 'text-anchor': 'end' }, `chance ${value >= 10 ? Math.round(value) : value.toFixed(1)} %`)];
  }

  line({ index, points }) {
    const places = points.map(([step, value]) => `${this.x(step).toFixed(1)},${this.y(value).toFixed(1)}`);
    const line = svg('polyline', { points: places.join(' '), class: 'vlj-growing', 'stroke-dasharray': DASHES[index % DASHES.length] });
    line.style.stroke = segmentColour(index);
    return line;
  }

  // Each beside its line's end, as near as the others leave room.
  names(lines) {
    const wanted = lines.map(({ name, index, points }) => ({ name, index, end: this.x(points.at(-1)[0]), from: this.y(points.at(-1)[1]), value: points.at(-1)[1] })).sort((a, b) => a.from - b.from);
    const lowest = HEIGHT - EDGE.bottom - NAME_PX * (wanted.length - 1);
    let free = -Infinity;
    return wanted.flatMap(({ name, index, end, from, value }, i) => {
      const y = Math.min(Math.max(from, free), lowest + NAME_PX * i);
      free = y + NAME_PX;
      const dot = svg('circle', { cx: end, cy: from, r: 3.4 });
      const text = svg('text', { x: end + 9, y: y + 4, class: 'vlj-dot-name' }, `${name} ${this.said(value)}`);
      for (const mark of [dot, text]) mark.style.fill = segmentColour(index);
      return [dot, text];
    });
  }
}

// Three to six round numbers from 0 to above the highest value.
function niceTicks(high) {
  const step = [0.1, 0.2, 0.5, 1, 2, 5].find((size) => size >= high / 5) ?? 10;
  return Array.from({ length: Math.ceil(high / step - 1e-9) + 1 }, (_, i) => Number((i * step).toFixed(1)));
}
