// The timeline: boundary strength, the segments in their colours, and the cursor that can be dragged.

import { canvasContext, clockTime, cssColour, element, indexAt, segmentColour } from './lib.js';

const SLIM_PX = 44; // narrower segments bear no words
const TICKS = [0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 3600];

export class Timeline {
  constructor(root, store, seek) {
    this.store = store;
    this.seek = seek;
    for (const part of ['timeline', 'track', 'curve', 'segments', 'axis', 'ghost', 'cursor', 'tip']) {
      this[part] = root.querySelector(`.vlj-${part}`);
    }
    this.bars = [];
    this.novelty = []; // [second, strength] while the film is being read
    this.listen();
    store.on('cut film', () => this.draw());
    store.on('time', () => this.moveCursor());
    store.on('hover', () => this.moveGhost());
    document.addEventListener('vlj-theme', () => this.draw());
    new ResizeObserver(() => this.draw()).observe(this.track);
  }

  get seconds() { return this.store.film?.seconds || this.expected || 1; }

  // A film that is being read: how long it will be, then how much changed at each step.
  begin(seconds) {
    this.expected = seconds;
    this.novelty = [];
    this.draw();
  }

  extend(t, novelty) {
    t.forEach((time, i) => this.novelty.push([time, novelty[i]]));
    this.drawCurve();
  }

  listen() {
    const secondAt = (event) => {
      const box = this.track.getBoundingClientRect();
      return Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1) * this.seconds;
    };
    let dragging = false;
    this.track.addEventListener('pointerdown', (event) => {
      if (!this.store.film || event.target.closest('.vlj-segment')) return;
      dragging = true;
      this.track.setPointerCapture(event.pointerId);
      this.seek(secondAt(event));
    });
    this.track.addEventListener('pointermove', (event) => {
      if (!this.store.film) return;
      if (dragging) this.seek(secondAt(event));
      this.store.set({ hover: secondAt(event) });
    });
    for (const name of ['pointerup', 'pointercancel']) this.track.addEventListener(name, () => { dragging = false; });
    this.track.addEventListener('pointerleave', () => this.store.set({ hover: null }));
    this.segments.addEventListener('click', (event) => {
      const bar = event.target.closest('.vlj-segment');
      if (bar) this.seek(this.store.cut.segments[Number(bar.dataset.index)].start_s);
    });
  }

  draw() {
    this.drawSegments();
    this.drawCurve();
    this.drawAxis();
    this.moveCursor();
  }

  drawSegments() {
    const segments = this.store.cut?.segments ?? [];
    while (this.bars.length > segments.length) this.bars.pop().remove();
    while (this.bars.length < segments.length) this.bars.push(this.segments.appendChild(newBar(this.bars.length)));
    segments.forEach((segment, index) => {
      const bar = this.bars[index];
      bar.style.left = `${100 * segment.start_s / this.seconds}%`;
      const share = (segment.end_s - segment.start_s) / this.seconds;
      bar.style.width = `${100 * share}%`;
      bar.classList.toggle('vlj-slim', share * this.track.clientWidth < SLIM_PX);
      bar.style.setProperty('--vlj-segment', segmentColour(index));
      bar.lastChild.textContent = segment.caption ?? '…';
      bar.setAttribute('aria-label', `Segment ${index + 1}, ${clockTime(segment.start_s)} to ${clockTime(segment.end_s)}: `
        + (segment.caption ?? 'being read'));
    });
    this.current = null;
  }

  drawCurve() {
    const { context, width, height } = canvasContext(this.curve);
    const { film, cut } = this.store;
    const step = film && cut ? film.steps / film.rate_hz / cut.strength.length : 0;
    const points = film && cut ? cut.strength.map((value, i) => [Math.max(0, i * step - film.lag_s), value]) : film ? [] : this.novelty;
    if (!points.length || !width) return;
    const top = points.reduce((most, [, value]) => Math.max(most, value), 1e-6);
    // a root, so that weak changes show beside strong ones
    const pixels = points.map(([time, value]) => [time / this.seconds * width, height - 1 - (height - 10) * Math.sqrt(value / top)]);
    const accent = cssColour(this.track, '--vlj-accent');
    context.lineJoin = 'round';
    context.lineWidth = 1.5;
    context.strokeStyle = context.fillStyle = accent;
    context.beginPath();
    for (const pixel of pixels) context.lineTo(...pixel);
    context.stroke();
    context.lineTo(pixels.at(-1)[0], height);
    context.lineTo(0, height);
    context.globalAlpha = 0.13;
    context.fill();
    context.globalAlpha = 1;
    if (cut) this.drawBoundaries(context, cut.segments.slice(1), width, height);
    if (film?.reference_s) this.drawReference(context, film.reference_s, width, height);
  }

  drawBoundaries(context, segments, width, height) {
    context.strokeStyle = cssColour(this.track, '--vlj-ink');
    context.globalAlpha = 0.35;
    context.lineWidth = 1;
    context.setLineDash([2, 3]);
    context.beginPath();
    for (const { start_s } of segments) {
      const at = Math.round(start_s / this.seconds * width) + 0.5;
      context.moveTo(at, 0);
      context.lineTo(at, height);
    }
    context.stroke();
    context.setLineDash([]);
    context.globalAlpha = 1;
  }

  // Boundaries from elsewhere, as diamonds at the curve's foot.
  drawReference(context, seconds, width, height) {
    context.fillStyle = cssColour(this.track, '--vlj-ink');
    for (const second of seconds) {
      const x = second / this.seconds * width;
      context.beginPath();
      for (const [dx, dy] of [[0, -11], [5, -6], [0, -1], [-5, -6]]) context.lineTo(x + dx, height + dy);
      context.fill();
    }
  }

  drawAxis() {
    const width = this.axis.clientWidth;
    if (!this.store.film && !this.expected) { this.axis.replaceChildren(); return; }
    const step = TICKS.find((tick) => tick / this.seconds * width > 84) ?? 7200;
    const labels = [];
    for (let t = 0; t <= this.seconds - step * 0.3 || t === 0; t += step) {
      const label = element('span', '', clockTime(t, step < 1));
      label.style.left = `${100 * t / this.seconds}%`;
      labels.push(label);
    }
    this.axis.replaceChildren(...labels);
  }

  moveCursor() {
    const { time, cut, film } = this.store;
    this.cursor.hidden = !film;
    this.cursor.style.transform = `translateX(${time / this.seconds * this.track.clientWidth}px)`;
    this.cursor.setAttribute('aria-valuemax', this.seconds.toFixed(1));
    this.cursor.setAttribute('aria-valuenow', time.toFixed(1));
    this.cursor.setAttribute('aria-valuetext', clockTime(time, true));
    const index = cut?.segments.length ? indexAt(cut.segments, time) : null;
    if (index === this.current) return;
    this.current = index;
    this.bars.forEach((bar, i) => {
      bar.classList.toggle('vlj-now', i === index);
      bar.tabIndex = i === index ? 0 : -1; // one stop for Tab; the arrows go on from there
    });
  }

  moveGhost() {
    const { hover, cut, film } = this.store;
    const shown = hover !== null && Boolean(film);
    this.ghost.hidden = this.tip.hidden = !shown;
    if (!shown) return;
    const x = hover / this.seconds * this.track.clientWidth;
    this.ghost.style.transform = `translateX(${x}px)`;
    const caption = cut?.segments.length ? cut.segments[indexAt(cut.segments, hover)].caption ?? '…' : '';
    this.tip.textContent = `${clockTime(hover, true)}  ${caption}`;
    const room = this.timeline.clientWidth - this.tip.offsetWidth - 8;
    this.tip.style.transform = `translateX(${Math.min(Math.max(x - this.tip.offsetWidth / 2, 8), Math.max(room, 8))}px)`;
  }
}

function newBar(index) {
  const bar = element('button', 'vlj-segment');
  bar.type = 'button';
  bar.dataset.index = index;
  bar.tabIndex = -1;
  bar.append(element('span'));
  return bar;
}
