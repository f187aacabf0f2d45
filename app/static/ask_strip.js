// The evidence over time: how much each answer holds, when it leads, and where it peaks; a drag chooses a part.

import { leader, percent, stepAt } from './ask_evidence.js';
import { canvasContext, clockTime, cssColour, element, segmentColour } from './lib.js';
import { Timeline } from './timeline.js';

const DRAG_PX = 6; // a shorter one is a click
const HEAT_ROWS = 40; // labels that get a row of their own, the strongest first

export class EvidenceStrip extends Timeline {
  constructor(root, store, seek, choosePart) {
    super(root, store, seek);
    this.choosePart = choosePart;
    store.on('result selected', () => this.draw());
    store.on('part', () => this.drawBrush());
  }

  get result() { return this.store.result; }

  // --- choosing a moment or a part -------------------------------------------------------------------------------

  listen() {
    for (const part of ['peaks', 'heat', 'bands', 'brush']) this[part] = this.timeline.querySelector(`.vlj-${part}`);
    let from = null;
    let dragged = false;
    this.track.addEventListener('pointerdown', (event) => {
      if (!this.store.film || event.button || event.target.closest('.vlj-peak')) return;
      [from, dragged] = [{ x: event.clientX, second: this.secondAt(event) }, false];
    });
    this.track.addEventListener('pointermove', (event) => {
      if (!this.store.film) return;
      this.store.set({ hover: this.secondAt(event) });
      if (!from || (!dragged && Math.abs(event.clientX - from.x) < DRAG_PX)) return;
      if (!dragged) this.track.setPointerCapture(event.pointerId); // not before: a segment's click would be lost
      dragged = true;
      this.showBrush(...[from.second, this.secondAt(event)].sort((a, b) => a - b));
    });
    this.track.addEventListener('pointerup', (event) => {
      if (!from) return;
      if (dragged) this.choosePart([from.second, this.secondAt(event)].sort((a, b) => a - b).map((s) => Math.round(s * 10) / 10));
      else if (!event.target.closest('button')) this.seek(from.second);
      from = null;
    });
    this.track.addEventListener('pointercancel', () => { from = null; this.drawBrush(); });
    this.track.addEventListener('pointerleave', () => this.store.set({ hover: null }));
    this.track.addEventListener('click', (event) => {
      if (dragged) { dragged = false; return; }
      const peak = event.target.closest('.vlj-peak, .vlj-band');
      if (peak) this.seek(Number(peak.dataset.second));
      const bar = event.target.closest('.vlj-segment');
      if (bar) this.chooseSegment(this.shownSegments[Number(bar.dataset.index)]);
      const row = event.target.closest('.vlj-heat-name');
      if (row) this.store.set({ selected: Number(row.dataset.text) });
    });
  }

  secondAt(event) {
    const box = this.track.getBoundingClientRect();
    return Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1) * this.seconds;
  }

  chooseSegment({ start_s, end_s }) {
    const [from, to] = this.store.part ?? [];
    const again = from === start_s && to === end_s;
    this.seek(start_s);
    this.choosePart(again ? null : [start_s, end_s]);
  }

  drawBrush() {
    if (this.store.part) this.showBrush(...this.store.part); else this.brush.hidden = true;
  }

  showBrush(from, to) {
    this.brush.hidden = false;
    this.brush.style.left = `${100 * from / this.seconds}%`;
    this.brush.style.width = `${100 * (to - from) / this.seconds}%`;
  }

  // --- drawing ---------------------------------------------------------------------------------------------------

  draw() {
    super.draw();
    this.drawPeaks();
    this.drawBands();
    this.drawHeat();
    this.drawBrush();
  }

  get shownSegments() {
    return this.result?.kind === 'label' ? this.result.segments : this.store.cut?.segments ?? [];
  }

  drawSegments() {
    super.drawSegments();
    if (this.result?.kind !== 'label') return;
    // the film's own segments give way to those of the labels
    const { segments, strip } = this.result;
    while (this.bars.length > segments.length) this.bars.pop().remove();
    this.store.cut && this.fitBars(segments.length);
    segments.forEach(({ start_s, end_s, label }, index) => {
      const bar = this.bars[index];
      bar.style.left = `${100 * start_s / this.seconds}%`;
      const share = (end_s - start_s) / this.seconds;
      bar.style.width = `${100 * share}%`;
      bar.classList.toggle('vlj-slim', share * this.track.clientWidth < 44);
      bar.style.setProperty('--vlj-segment', segmentColour(strip.texts.indexOf(label)));
      bar.lastChild.textContent = label;
      bar.setAttribute('aria-label', `${label}, ${clockTime(start_s)} to ${clockTime(end_s)}`);
    });
  }

  fitBars(count) {
    while (this.bars.length < count) {
      const bar = element('button', 'vlj-segment');
      bar.type = 'button';
      bar.dataset.index = this.bars.length;
      bar.tabIndex = -1;
      bar.append(element('span'));
      this.bars.push(this.segments.appendChild(bar));
    }
  }

  // The selected text's values and their range: probabilities from 0 to 1, cosines from the film's lowest to its highest.
  get column() { return this.result?.strip.values[this.store.selected] ?? null; }

  get span() {
    const { strip, kind } = this.result;
    if (strip.calibrated && kind !== 'search') return [0, 1];
    const all = kind === 'search' ? this.column : strip.values.flat();
    const [low, high] = all.reduce(([a, b], value) => [Math.min(a, value), Math.max(b, value)], [Infinity, -Infinity]);
    return [low, Math.max(high, low + 1e-6)];
  }

  height(value) {
    const [low, high] = this.span;
    return 1 - (value - low) / (high - low); // as a share from the top
  }

  drawCurve() {
    this.curve.hidden = this.result?.kind === 'label';
    if (!this.result || !this.column) { super.drawCurve(); return; }
    if (this.curve.hidden) return;
    const { context, width, height } = canvasContext(this.curve);
    if (!width) return;
    const { t } = this.result.strip;
    const [top, room] = [16, height - 18];
    const pixels = t.map((time, i) => [time / this.seconds * width, top + room * this.height(this.column[i])]);
    pixels.push([width, pixels.at(-1)[1]]);
    context.lineJoin = 'round';
    context.lineWidth = 2;
    context.strokeStyle = context.fillStyle = this.colour(this.store.selected);
    context.beginPath();
    for (const pixel of pixels) context.lineTo(...pixel);
    context.stroke();
    context.lineTo(width, height);
    context.lineTo(0, height);
    context.globalAlpha = 0.16;
    context.fill();
    context.globalAlpha = 1;
    this.drawScale(context, width, top, room);
    this.curve.setAttribute('aria-label', this.describe());
  }

  drawScale(context, width, top, room) {
    const [low, high] = this.span;
    const probable = this.result.strip.calibrated && this.result.kind !== 'search';
    const show = (value) => probable ? percent(value) : value.toFixed(2);
    context.font = '11px system-ui, sans-serif';
    context.textAlign = 'right';
    context.lineWidth = 3;
    context.strokeStyle = cssColour(this.track, '--vlj-card');
    context.fillStyle = cssColour(this.track, '--vlj-quiet');
    for (const [value, y] of [[high, top + 4], [low, top + room - 4]]) {
      context.strokeText(show(value), width - 2, y);
      context.fillText(show(value), width - 2, y);
    }
  }

  describe() {
    const { kind, strip } = this.result;
    const name = strip.texts[this.store.selected] || 'the chosen moment';
    const peaks = this.store.stops.map(({ second }) => clockTime(second)).slice(0, 6).join(', ');
    const what = kind === 'search' ? `Similarity to ${name} over time` : `How likely ${name} is over time`;
    return peaks ? `${what}; highest at ${peaks}` : what;
  }

  colour(index) {
    const { kind, strip } = this.result;
    if (kind === 'search') return cssColour(this.track, '--vlj-accent');
    return strip.texts[index]?.toLowerCase() === 'no' ? cssColour(this.track, '--vlj-faint') : segmentColour(index);
  }

  drawPeaks() {
    const stops = this.result && this.result.kind !== 'label' ? this.store.stops : [];
    const focused = this.peaks.contains(document.activeElement) ? document.activeElement.dataset.second : null;
    this.peaks.replaceChildren(...stops.map(({ second, name, value }, index) => {
      const peak = element('button', 'vlj-peak', this.result.kind === 'search' ? String(index + 1) : '');
      peak.type = 'button';
      peak.dataset.second = second;
      peak.style.left = `${100 * second / this.seconds}%`;
      peak.style.setProperty('--vlj-height', this.column ? this.height(Math.min(value, this.span[1])) : 0);
      peak.style.setProperty('--vlj-segment', this.colour(this.store.selected));
      peak.setAttribute('aria-label', `Go to ${clockTime(second, true)}: ${name}`);
      peak.title = `${clockTime(second, true)} · ${name}`;
      peak.tabIndex = index ? -1 : 0;
      return peak;
    }));
    if (focused !== null) [...this.peaks.children].find((peak) => peak.dataset.second === focused)?.focus();
  }

  drawBands() {
    const shown = this.result?.kind === 'question';
    this.bands.hidden = !shown;
    this.bands.replaceChildren(...!shown ? [] : this.store.stretches.map(({ text, start_s, end_s, peak_s }) => {
      const band = element('button', 'vlj-band', this.result.strip.texts[text]);
      band.type = 'button';
      band.tabIndex = -1;
      band.dataset.second = peak_s;
      band.style.left = `${100 * start_s / this.seconds}%`;
      band.style.width = `${100 * (end_s - start_s) / this.seconds}%`;
      band.style.setProperty('--vlj-segment', this.colour(text));
      band.classList.toggle('vlj-no', this.result.strip.texts[text].toLowerCase() === 'no');
      return band;
    }));
  }

  // A row for each label, the strongest first, tinted by how much it holds.
  drawHeat() {
    const shown = this.result?.kind === 'label';
    this.heat.hidden = !shown;
    if (!shown) { this.heat.replaceChildren(); return; }
    const { texts, values } = this.result.strip;
    const order = texts.map((_, i) => i).sort((a, b) => Math.max(...values[b]) - Math.max(...values[a])).slice(0, HEAT_ROWS);
    while (this.heat.children.length > order.length) this.heat.lastChild.remove();
    while (this.heat.children.length < order.length) this.heat.append(newHeatRow());
    order.forEach((text, row) => this.drawHeatRow(this.heat.children[row], text));
  }

  drawHeatRow(row, text) {
    const [canvas, name] = row.children;
    name.textContent = this.result.strip.texts[text];
    name.dataset.text = text;
    const { context, width, height } = canvasContext(canvas);
    const { t, values } = this.result.strip;
    const [low, high] = this.span;
    context.fillStyle = segmentColour(text);
    t.forEach((time, i) => {
      const [from, to] = [time, t[i + 1] ?? this.seconds].map((second) => Math.round(second / this.seconds * width));
      context.globalAlpha = Math.min(1, Math.max(0, (values[text][i] - low) / (high - low))) ** 0.7;
      context.fillRect(from, 0, to - from, height);
    });
    context.globalAlpha = 1;
  }

  moveCursor() {
    const { cut } = this.store;
    // the marked bar is that of the segments that are shown
    this.store.cut = this.result?.kind === 'label' && cut ? { ...cut, segments: this.result.segments } : cut;
    super.moveCursor();
    this.store.cut = cut;
  }

  moveGhost() {
    super.moveGhost();
    const { hover, film } = this.store;
    if (hover === null || !film || !this.result) return;
    const { strip, kind } = this.result;
    const step = stepAt(strip.t, hover);
    const best = kind === 'search' ? 0 : leader(strip.values, step);
    const value = strip.values[best][step];
    const told = kind === 'search' || !strip.calibrated ? `cosine ${value.toFixed(2)}` : percent(value);
    this.tip.textContent = `${clockTime(hover, true)}  ${kind === 'search' ? '' : `${strip.texts[best]} · `}${told}`;
  }
}

function newHeatRow() {
  const row = element('div', 'vlj-heat-row');
  const name = element('button', 'vlj-heat-name');
  name.type = 'button';
  row.append(element('canvas'), name);
  return row;
}
