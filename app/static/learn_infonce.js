// InfoNCE you can touch: everything here is computed in the page, from eight predictions and eight targets.

import { arrow, press } from './learn_draw.js';
import { element, segmentColour, svg } from './lib.js';

const RATE = 0.6; // of the shown gradient steps, times the temperature: a step is seen at every temperature

export class InfoNCE {
  constructor(root, page) {
    [this.root, this.page, this.weights, this.show] = [root, page, 'untrained', 'share'];
    this.find = (name) => root.querySelector(`.vlj-${name}`);
    this.slider = root.querySelector('[name=temperature]');
    this.slider.addEventListener('input', () => this.draw());
    root.addEventListener('click', ({ target }) => {
      if (target.dataset.weights) { this.weights = target.dataset.weights; press(root, 'weights', this.weights); this.rewind(); }
      if (target.dataset.show) { this.show = target.dataset.show; press(root, 'show', this.show); this.draw(); }
    });
    this.find('step').addEventListener('click', () => this.step(1));
    this.find('steps-20').addEventListener('click', () => this.step(20));
    this.find('rewind').addEventListener('click', () => this.rewind());
    document.addEventListener('vlj-theme', () => this.batch && this.draw());
    this.load();
  }

  async load() {
    try {
      this.batch = await this.page.api.call('batch');
      const { rows, columns } = this.batch;
      this.find('legend').replaceChildren(...rows.map((row, i) => {
        const item = element('li', '', row);
        item.append(element('span', 'vlj-quiet', columns[i]));
        return item;
      }));
      this.rewind();
    } catch (error) { this.page.complain(error); }
  }

  rewind() {
    if (!this.batch) return;
    const [predicted, targets] = this.batch[this.weights];
    [this.p, this.t, this.taken] = [predicted.map((row) => [...row]), targets.map((row) => [...row]), 0];
    this.axes = mainAxes([...this.p, ...this.t]);
    this.draw();
  }

  get temperature() { return 10 ** Number(this.slider.value); }

  step(count) {
    for (let k = 0; k < count; k++) [this.p, this.t] = stepped(this.p, this.t, this.temperature);
    this.taken += count;
    this.draw();
  }

  draw() {
    if (!this.p) return;
    const found = infoNCE(this.p, this.t, this.temperature);
    this.find('temperature').textContent = this.temperature.toFixed(3);
    this.drawMatrix(found);
    this.drawGauges(found);
    this.drawSphere();
  }

  drawMatrix({ cosine, share }) {
    const values = this.show === 'share' ? share : cosine;
    const cells = [element('span')];
    const { rows, columns } = this.batch;
    columns.forEach((text, j) => {
      const head = element('span', 'vlj-column', String(j + 1));
      head.title = text;
      cells.push(head);
    });
    values.forEach((row, i) => {
      const head = element('span', 'vlj-row-head', String(i + 1));
      head.style.setProperty('--vlj-segment', segmentColour(i));
      head.title = rows[i];
      cells.push(head);
      row.forEach((value, j) => {
        const cell = element('button', 'vlj-cell', value.toFixed(2).replace(/^(-?)0/, '$1'));
        cell.type = 'button';
        cell.style.setProperty('--vlj-share', String(Math.max(0, Math.min(1, value))));
        if (i === j) cell.dataset.own = 'true';
        const say = () => { this.find('cell-said').textContent = `“${rows[i]}” and “${columns[j]}”: cosine ${cosine[i][j].toFixed(2)}, share ${Math.round(share[i][j] * 100)} %${i === j ? ' (its own)' : ''}`; };
        cell.addEventListener('pointerenter', say);
        cell.addEventListener('focus', say);
        cells.push(cell);
      });
    });
    this.find('matrix').replaceChildren(...cells);
  }

  drawGauges({ loss, right }) {
    const gauges = [['Loss', loss.toFixed(3), loss / Math.log(8), `chance is ${Math.log(8).toFixed(2)}`],
      ['Alignment', alignment(this.p, this.t).toFixed(3), alignment(this.p, this.t) / 4, 'mean squared distance of a pair; 0 is best'],
      ['Uniformity', uniformity(this.p).toFixed(3), -uniformity(this.p) / 4, 'lower is more evenly spread; 0 is a single point'],
      ['First choices right', `${right} of 8`, right / 8, `${this.taken} ${this.taken === 1 ? 'step' : 'steps'} taken`]];
    this.find('gauges').replaceChildren(...gauges.map(([name, value, share, meaning]) => {
      const row = element('div');
      const bar = element('i');
      bar.style.width = `${Math.max(0, Math.min(1, share)) * 100}%`;
      const meter = element('span', 'vlj-gauge');
      meter.append(bar);
      row.append(element('dt', '', name), element('dd', '', value), meter, element('small', '', meaning));
      return row;
    }));
  }

  drawSphere() {
    const flat = (row) => this.axes.map((axis) => dot(axis, row));
    const [next, nextT] = stepped(this.p, this.t, this.temperature);
    const all = [...this.p, ...this.t].map(flat);
    const most = Math.max(0.2, ...all.flat().map(Math.abs)) * 1.15;
    const at = ([x, y]) => [180 + x / most * 165, 125 - y / most * 112];
    const parts = [];
    this.p.forEach((row, i) => parts.push(svg('line', { x1: at(flat(row))[0], y1: at(flat(row))[1], x2: at(flat(this.t[i]))[0], y2: at(flat(this.t[i]))[1], class: 'vlj-tie' })));
    for (const [now, then] of [[this.p, next], [this.t, nextT]]) {
      now.forEach((row, i) => {
        const group = arrow(at(flat(row)), at(flat(then[i])), 'vlj-move', 5);
        group.style.stroke = segmentColour(i);
        parts.push(group);
      });
    }
    this.t.forEach((row, i) => parts.push(svg('circle', { cx: at(flat(row))[0], cy: at(flat(row))[1], r: 6, fill: 'none', stroke: segmentColour(i), 'stroke-width': 2.5 })));
    this.p.forEach((row, i) => parts.push(svg('circle', { cx: at(flat(row))[0], cy: at(flat(row))[1], r: 5.5, fill: segmentColour(i) })));
    this.find('sphere').replaceChildren(...parts);
  }
}

// --- the mathematics, on arrays of unit rows ------------------------------------------------------------------------

const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);
const unit = (row) => { const size = Math.sqrt(dot(row, row)); return row.map((value) => value / size); };

function softmax(row) {
  const top = Math.max(...row);
  const raised = row.map((value) => Math.exp(value - top));
  const total = raised.reduce((a, b) => a + b, 0);
  return raised.map((value) => value / total);
}

// Bidirectional InfoNCE: loss in nats, cosines, each row's softmax, and how many rows choose their own column.
export function infoNCE(p, t, temperature) {
  const cosine = p.map((a) => t.map((b) => dot(a, b)));
  const share = cosine.map((row) => softmax(row.map((value) => value / temperature)));
  const columns = t.map((_, j) => softmax(cosine.map((row) => row[j] / temperature)));
  const loss = p.reduce((sum, _, i) => sum - Math.log(share[i][i]) - Math.log(columns[i][i]), 0) / (2 * p.length);
  const right = share.filter((row, i) => row.every((value, j) => j === i || value < row[i])).length;
  return { loss, cosine, share, columns, right };
}

// One step of gradient descent on the points, along the sphere.
export function stepped(p, t, temperature) {
  const { share, columns } = infoNCE(p, t, temperature);
  const n = p.length;
  // d loss / d cosine_ij, times the temperature
  const pull = p.map((_, i) => t.map((__, j) => (share[i][j] + columns[j][i] - 2 * (i === j)) / 2));
  const moved = (own, other, weight) => own.map((row, i) => {
    const gradient = row.map((_, d) => other.reduce((sum, o, j) => sum + weight(i, j) * o[d], 0));
    const along = dot(gradient, row);
    return unit(row.map((value, d) => value - RATE * (gradient[d] - along * row[d]) * 8 / n));
  });
  return [moved(p, t, (i, j) => pull[i][j]), moved(t, p, (j, i) => pull[i][j])];
}

export const alignment = (p, t) => p.reduce((sum, row, i) => sum + row.reduce((s, value, d) => s + (value - t[i][d]) ** 2, 0), 0) / p.length;

export function uniformity(p) {
  const terms = [];
  for (let i = 0; i < p.length; i++) for (let j = i + 1; j < p.length; j++) terms.push(Math.exp(-2 * (2 - 2 * dot(p[i], p[j]))));
  return Math.log(terms.reduce((a, b) => a + b, 0) / terms.length);
}

// The two directions in which the rows differ most, by power iteration.
function mainAxes(rows) {
  const mean = rows[0].map((_, d) => rows.reduce((sum, row) => sum + row[d], 0) / rows.length);
  const centred = rows.map((row) => row.map((value, d) => value - mean[d]));
  const axes = [];
  for (let k = 0; k < 2; k++) {
    let axis = unit(mean.map((_, d) => Math.sin(d + 1 + k)));
    for (let turn = 0; turn < 60; turn++) {
      const next = mean.map((_, d) => centred.reduce((sum, row) => sum + dot(row, axis) * row[d], 0));
      for (const other of axes) { const along = dot(next, other); next.forEach((value, d) => { next[d] = value - along * other[d]; }); }
      axis = unit(next);
    }
    axes.push(axis);
  }
  return axes;
}
