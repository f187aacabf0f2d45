// The last half minute: novelty as a curve, the threshold as a line to drag, the segments as chips with their captions.

import { canvasContext, clockTime, cssColour, element, segmentColour } from './lib.js';

const SPAN_S = 30;
const TOP = 1.3; // novelty at the upper edge: two thirds of what is possible, so that the curve has room and never jumps
const GRAB_PX = 12;
const SLIM_PX = 46;
const STEP = 0.02;
const MARGIN_PX = 84; // at the right, where the threshold is held: it must not cover the newest moment

export class LiveTimeline {
  // `history` has updates, `segments()` and `end`; `onThreshold(value, done)` and `onScrub(second)` tell what hands do.
  constructor(root, history, { onThreshold, onScrub }) {
    [this.history, this.onThreshold, this.onScrub] = [history, onThreshold, onScrub];
    for (const part of ['track', 'curve', 'chips', 'handle', 'cursor', 'axis', 'novel']) this[part] = root.querySelector(`.vlj-${part}`);
    this.pool = [];
    this.measure();
    this.threshold = null;
    this.automatic = true;
    this.scrubbed = null; // the second that a frozen picture shows
    this.listen();
    document.addEventListener('vlj-theme', () => this.draw());
    new ResizeObserver(() => this.draw()).observe(this.track);
  }

  // The second at the right edge.
  get end() {
    const { end } = this.history;
    if (this.scrubbed === null) return Math.max(SPAN_S, end);
    this.held = Math.min(Math.max(this.held ?? end, this.scrubbed, SPAN_S), Math.max(SPAN_S, this.scrubbed + SPAN_S));
    return this.held;
  }

  // Read once for each drawing: between writes, every look at a size would lay the page out anew.
  measure() {
    this.width = Math.max(1, this.track.clientWidth - MARGIN_PX);
    this.height = this.curve.clientHeight;
  }

  x(second) { return (second - this.end + SPAN_S) / SPAN_S * this.width; }

  second(x) { return this.end - SPAN_S + x / this.width * SPAN_S; }

  y(value) {
    return this.height - 3 - Math.min(1, value / TOP) * (this.height - 8);
  }

  scrub(second) {
    this.scrubbed = second;
    if (second === null) this.held = null;
    this.draw();
  }

  draw() {
    this.measure();
    const { context, width, height } = canvasContext(this.curve);
    if (!width) return;
    const from = this.end - SPAN_S - 1;
    const updates = this.history.since(from);
    const accent = cssColour(this.track, '--vlj-accent');
    this.drawThreshold(context, updates, width);
    if (updates.length) this.drawCurve(context, updates, height, accent);
    this.drawBoundaries(context, height);
    this.drawChips();
    this.drawAxis();
    this.cursor.hidden = this.scrubbed === null;
    if (this.scrubbed !== null) this.cursor.style.transform = `translateX(${this.x(this.scrubbed)}px)`;
  }

  drawCurve(context, updates, height, accent) {
    context.lineJoin = 'round';
    context.lineWidth = 2;
    context.strokeStyle = context.fillStyle = accent;
    for (const run of runs(updates)) {
      context.beginPath();
      for (const { t, novelty } of run) context.lineTo(this.x(t), this.y(novelty));
      context.stroke();
      context.lineTo(this.x(run.at(-1).t), height);
      context.lineTo(this.x(run[0].t), height);
      context.globalAlpha = 0.13;
      context.fill();
      context.globalAlpha = 1;
    }
    const { t, novelty } = updates.at(-1);
    context.beginPath();
    context.arc(this.x(t), this.y(novelty), 4, 0, 2 * Math.PI);
    context.fill();
  }

  drawThreshold(context, updates, width) {
    const now = this.threshold ?? updates.at(-1)?.threshold ?? null;
    this.handle.hidden = now === null;
    if (now === null) return;
    context.strokeStyle = cssColour(this.track, '--vlj-quiet');
    context.lineWidth = 1.5;
    context.setLineDash([5, 4]);
    context.globalAlpha = 0.8;
    context.beginPath();
    for (const { t, threshold } of updates) context.lineTo(this.x(t), this.y(threshold));
    context.lineTo(updates.length ? this.x(updates.at(-1).t) : 0, this.y(now));
    context.lineTo(width, this.y(now));
    context.stroke();
    context.setLineDash([]);
    context.globalAlpha = 1;
    this.handle.style.transform = `translateY(${this.y(now)}px)`;
    const said = `${now.toFixed(2)}${this.automatic ? ', automatic' : ''}`;
    if (this.handle.getAttribute('aria-valuetext') !== said) {
      this.handle.setAttribute('aria-valuenow', now.toFixed(2));
      this.handle.setAttribute('aria-valuetext', said);
      this.handle.firstChild.textContent = `${this.automatic ? 'auto ' : ''}${now.toFixed(2)}`;
    }
    this.shownThreshold = now;
  }

  drawBoundaries(context, height) {
    context.lineWidth = 1.5;
    for (const { start_s, index } of this.history.segments().slice(1)) {
      const x = Math.round(this.x(start_s)) + 0.5;
      if (x < 0) continue;
      context.strokeStyle = segmentColour(index);
      context.globalAlpha = 0.75;
      context.beginPath();
      context.moveTo(x, 0);
      context.lineTo(x, height);
      context.stroke();
    }
    context.globalAlpha = 1;
  }

  drawChips() {
    const { width } = this;
    const shown = this.history.segments().filter(({ end_s, start_s }) => this.x(end_s) > 0 && this.x(start_s) < width);
    while (this.pool.length < shown.length) this.pool.push(this.chips.appendChild(newChip()));
    this.pool.forEach((chip, i) => { chip.hidden = i >= shown.length; });
    shown.forEach(({ index, start_s, end_s, caption }, i) => {
      const chip = this.pool[i];
      const left = Math.max(0, this.x(start_s));
      const wide = Math.max(3, Math.min(width, this.x(end_s)) - left - 2);
      chip.style.transform = `translateX(${left}px)`;
      chip.style.width = `${wide}px`;
      chip.dataset.second = start_s;
      const text = wide < SLIM_PX ? '' : caption ?? '…';
      if (chip.firstChild.textContent !== text) chip.firstChild.textContent = text;
      const name = `${clockTime(start_s, true)}  ${caption ?? 'being read'}`;
      if (chip.title === name && chip.dataset.index === String(index)) return;
      chip.title = name;
      chip.setAttribute('aria-label', name);
      chip.dataset.index = index;
      chip.style.setProperty('--vlj-segment', segmentColour(index));
    });
  }

  drawAxis() {
    const first = Math.ceil((this.end - SPAN_S) / 5) * 5;
    while (this.axis.childElementCount < 7) this.axis.append(element('span'));
    [...this.axis.children].forEach((label, i) => {
      const t = first + 5 * i;
      label.hidden = t > this.end - 0.5;
      label.style.transform = `translateX(${this.x(t)}px)`;
      if (label.textContent !== clockTime(t)) label.textContent = clockTime(t);
    });
  }

  // --- hands ---------------------------------------------------------------------------------------------------

  listen() {
    let hand = null; // what is dragged
    const place = (event) => {
      const box = this.curve.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    const valueAt = (y) => {
      const height = this.curve.clientHeight;
      return Math.min(TOP, Math.max(STEP, (height - 3 - y) / (height - 8) * TOP));
    };
    const near = (y) => this.shownThreshold !== undefined && Math.abs(y - this.y(this.shownThreshold)) < GRAB_PX;
    this.track.addEventListener('pointerdown', (event) => {
      if (event.target.closest('.vlj-chip')) return;
      const [x, y] = place(event);
      const onCurve = y >= 0 && y <= this.curve.clientHeight;
      hand = event.target.closest('.vlj-handle') || (onCurve && near(y)) ? 'threshold' : this.history.end > 0 ? 'scrub' : null;
      if (!hand) return;
      this.track.setPointerCapture(event.pointerId);
      if (hand === 'scrub') this.onScrub(this.second(x));
      event.preventDefault();
    });
    this.track.addEventListener('pointermove', (event) => {
      const [x, y] = place(event);
      this.track.style.cursor = hand === 'threshold' || near(y) ? 'ns-resize' : 'crosshair';
      if (hand === 'threshold') this.hold(valueAt(y), false);
      if (hand === 'scrub') this.onScrub(this.second(x));
    });
    for (const name of ['pointerup', 'pointercancel']) {
      this.track.addEventListener(name, () => { if (hand === 'threshold') this.hold(this.threshold, true); hand = null; });
    }
    this.handle.addEventListener('keydown', (event) => {
      const step = { ArrowUp: STEP, ArrowRight: STEP, ArrowDown: -STEP, ArrowLeft: -STEP, PageUp: 5 * STEP, PageDown: -5 * STEP }[event.key];
      if (step === undefined) return;
      event.preventDefault();
      event.stopPropagation();
      this.hold(Math.min(TOP, Math.max(STEP, this.shownThreshold + step)), true);
    });
    this.chips.addEventListener('click', (event) => {
      const chip = event.target.closest('.vlj-chip');
      if (chip) this.onScrub(Number(chip.dataset.second) + 0.01);
    });
  }

  hold(value, done) {
    if (value === null) return;
    [this.threshold, this.automatic] = [Math.round(value * 100) / 100, false];
    this.draw();
    this.onThreshold(this.threshold, done);
  }

  release() {
    [this.threshold, this.automatic] = [null, true];
    this.draw();
  }
}

// Stretches without a pause.
function runs(updates) {
  const found = [];
  for (const update of updates) {
    if (found.length && update.t - found.at(-1).at(-1).t < 3) found.at(-1).push(update);
    else found.push([update]);
  }
  return found;
}

function newChip() {
  const chip = element('button', 'vlj-chip');
  chip.type = 'button';
  chip.tabIndex = -1; // there are many, and they move: the arrow keys lead through time instead
  chip.append(element('span'));
  return chip;
}
