// Scores over decode rates: a line for each way to decode, told apart by mark and dash as well as by colour.

import { element, many, svg } from './lib.js';

// From what is drawn first, and lies below, to what lies on top. Circles choose by meaning, squares by the clock; hollow and
// dashed is pooled.
export const WAYS = [['uniform_pool', 'uniform, pooled'], ['uniform', 'uniform'], ['selective_pool', 'selective, pooled'], ['selective', 'selective']];
const TICKS_HZ = [2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01];
const EDGE = { left: 42, top: 26, bottom: 38 };
const NAMES_PX = 132, NARROW_PX = 480; // below, the values beside each sample line name the lines
const NAME_PX = 15; // a name's height

export class SweepChart {
  // `chosen` is called with the number of the rate that the pointer or the keyboard chose.
  constructor(node, chosen) {
    [this.node, this.chosen] = [node, chosen];
    new ResizeObserver(() => this.draw()).observe(node);
    for (const name of ['pointermove', 'pointerdown']) node.addEventListener(name, (event) => this.point(event));
    node.addEventListener('keydown', (event) => this.key(event));
  }

  show(sweep) {
    this.sweep = sweep;
    this.node.setAttribute('aria-valuemax', String(sweep.points.length - 1));
    this.draw();
    this.choose(Math.max(0, sweep.points.findIndex(({ rate_hz: rate }) => rate <= 1)));
  }

  draw() {
    const { width, height } = this.node.getBoundingClientRect();
    if (!this.sweep || !width) return;
    const { points, score } = this.sweep;
    this.edge = width < NARROW_PX ? 4 : NAMES_PX;
    this.size = { width, height };
    const [most, least] = [points[0].rate_hz, points.at(-1).rate_hz];
    const share = (rate) => (most === least ? 0.5 : Math.log(most / rate) / Math.log(most / least));
    this.x = (rate) => EDGE.left + 8 + share(rate) * (width - EDGE.left - this.edge - 16);
    const ticks = niceTicks(points.flatMap((point) => WAYS.map(([way]) => point[way])), score === 'cider');
    const [low, high] = [ticks[0], ticks.at(-1)];
    this.y = (value) => height - EDGE.bottom - (value - low) / (high - low) * (height - EDGE.top - EDGE.bottom);
    this.cursor = svg('line', { y1: EDGE.top - 6, y2: height - EDGE.bottom, class: 'vlj-sweep-cursor' });
    const picture = svg('svg', { viewBox: `0 0 ${width} ${height}`, 'aria-hidden': 'true' });
    picture.append(...this.axes(ticks, most, least), this.cursor, ...WAYS.map(([way]) => this.line(way)), ...(width < NARROW_PX ? [] : this.names()));
    this.node.replaceChildren(picture);
    if (this.at !== undefined) this.choose(this.at);
  }

  axes(ticks, most, least) {
    const { width, height } = this.size;
    const [right, digits] = [width - this.edge, ticks[1] - ticks[0] < 0.1 ? 2 : 1];
    const across = ticks.flatMap((tick) => [svg('line', { x1: EDGE.left, x2: right, y1: this.y(tick), y2: this.y(tick), class: 'vlj-grid' }),
      svg('text', { x: EDGE.left - 7, y: this.y(tick) + 4, 'text-anchor': 'end' }, tick.toFixed(digits))]);
    const rates = TICKS_HZ.filter((rate) => rate <= most && rate >= least);
    const roomy = rates.filter((rate, i) => i % 2 === 0 || (right - EDGE.left) / rates.length > 34);
    return [...across, ...roomy.map((rate) => svg('text', { x: this.x(rate), y: height - EDGE.bottom + 17, 'text-anchor': 'middle' }, String(rate))),
      svg('text', { x: (EDGE.left + right) / 2, y: height - 4, 'text-anchor': 'middle' }, 'decodes a second'),
      svg('text', { x: 2, y: 12 }, this.sweep.score === 'cider' ? 'CIDEr' : 'coverage')];
  }

  line(way) {
    const group = svg('g', { class: 'vlj-sweep-line', 'data-way': way });
    const places = this.sweep.points.map((point) => [this.x(point.rate_hz), this.y(point[way])]);
    group.append(svg('polyline', { points: places.map((place) => place.join(',')).join(' ') }), ...places.map((place) => mark(way, place)));
    return group;
  }

  // Each as near to its line's end as the others leave room.
  names() {
    const { points } = this.sweep;
    const end = this.x(points.at(-1).rate_hz);
    const wanted = WAYS.map(([way, name]) => ({ way, name, from: this.y(points.at(-1)[way]) })).sort((a, b) => a.from - b.from);
    const lowest = this.size.height - EDGE.bottom - NAME_PX * (wanted.length - 1);
    let free = Math.min(wanted[0].from, lowest);
    return wanted.flatMap(({ way, name, from }, i) => {
      const y = Math.min(Math.max(from, free), lowest + NAME_PX * i);
      free = y + NAME_PX;
      return [svg('line', { x1: end + 6, x2: end + 16, y1: from, y2: y, class: 'vlj-lead' }),
        svg('text', { x: end + 19, y: y + 4, class: 'vlj-sweep-name', 'data-way': way }, name)];
    });
  }

  point({ clientX }) {
    if (!this.sweep) return;
    const x = clientX - this.node.getBoundingClientRect().left;
    const away = this.sweep.points.map(({ rate_hz: rate }) => Math.abs(this.x(rate) - x));
    this.choose(away.indexOf(Math.min(...away)));
  }

  key(event) {
    const last = this.sweep.points.length - 1;
    const to = { ArrowRight: this.at + 1, ArrowDown: this.at + 1, ArrowLeft: this.at - 1, ArrowUp: this.at - 1, Home: 0, End: last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation(); // the arrows step through the film elsewhere
    this.choose(Math.min(Math.max(to, 0), last));
  }

  choose(index) {
    this.at = index;
    const point = this.sweep.points[index];
    const x = this.x?.(point.rate_hz) ?? 0;
    this.cursor?.setAttribute('x1', x);
    this.cursor?.setAttribute('x2', x);
    this.node.setAttribute('aria-valuenow', String(index));
    this.node.setAttribute('aria-valuetext', `${many(point.rate_hz, 'decode')} a second, ${point.decodes} in all: ${WAYS.map(([way, name]) => `${name} ${point[way].toFixed(3)}`).reverse().join('; ')}`);
    this.chosen(point);
  }
}

// A piece of a line as the chart draws it, to name a value with.
export function sample(way) {
  const picture = svg('svg', { viewBox: '0 0 34 12', class: 'vlj-sweep-line vlj-sample-line', 'data-way': way, 'aria-hidden': 'true' });
  picture.append(svg('polyline', { points: '0,6 34,6' }), mark(way, [17, 6]));
  const box = element('dt');
  box.append(picture);
  return box;
}

function mark(way, [x, y]) {
  if (way.startsWith('selective')) return svg('circle', { cx: x, cy: y, r: 3.6 });
  return svg('rect', { x: x - 3.2, y: y - 3.2, width: 6.4, height: 6.4 });
}

// Three to six round numbers around the values; from 0 on if `whole`.
function niceTicks(values, whole) {
  const [low, high] = [whole ? 0 : Math.min(...values), Math.max(...values, whole ? 0.1 : -1)];
  const rough = Math.max(high - low, 0.02) / 4;
  const step = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5].find((size) => size >= rough) ?? 10;
  const first = Math.floor(low / step + 1e-9);
  const last = Math.max(Math.ceil(high / step - 1e-9), first + 1);
  return Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
}
