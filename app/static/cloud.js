// A map that moves many times a second: landmark sentences, their words, and a trail with a dot at its end. Plain
// canvases: a Plotly update costs 21 ms where this costs one or two, and disturbs a drag, where this does not.
// Three layers: what changes with the view, what changes with each update, and the dot that glides between updates.
// Points of the trail may have a second place, `own`, on a map that was fitted to them: `showOwn` moves them there and
// back. That map has a view of its own, and the common one's stays as it is.

import { canvasContext, clockTime, cssColour, isDark, segmentColour, still, unpack } from './lib.js';

const TRAIL_POINTS = 240;
const PAD_PX = 34;
const OWN_PAD_PX = 14; // more: what says that a map is fitted lies over its edge
const EYE = 3.2; // distance of the eye in map radii: near enough for depth to show
const START = { 2: { x: 0, y: 0, zoom: 1 }, 3: { yaw: 0.6, pitch: 0.35, zoom: 1 } };
const NEAR_PX = 16;
const GLIDE_MS = 140;
const PULSE_MS = 700;
const MOVE_MS = 900; // from one map to the other
const CAPTION_WORDS = 5;
const AXES = ['x', 'y', 'X', 'Y', 'Z'];
const FLUENT_MS = 40; // where a frame takes longer, gliding would cost updates: the dot jumps instead

export class Cloud {
  // `caption(point)` gives what is said of a point of the trail, null while nothing is.
  constructor(box, caption) {
    this.box = box;
    this.caption = caption;
    [this.back, this.middle, this.front] = box.querySelectorAll('canvas');
    this.tip = box.querySelector('.vlj-cloud-tip');
    this.views = [{ 2: { ...START[2] }, 3: { ...START[3] } }, {}]; // of the common map and of the trail's own
    this.dimensions = 2;
    this.landmarks = null;
    this.trail = [];
    this.own = 0; // 1 on the trail's own map, 0 on the common one, between them on the way
    this.goesOwn = false; // where it is or is going
    this.frameMs = 16; // how long a frame takes here, by and by
    this.at = null; // where the dot is drawn, in map coordinates
    this.listen();
    new ResizeObserver(() => this.redraw()).observe(box);
    document.addEventListener('vlj-theme', () => this.redraw());
  }

  setLandmarks(view) {
    if (view) {
      const [x, y] = unpack(view.xy, 2);
      const [X, Y, Z] = unpack(view.xyz, 3);
      this.landmarks = { points: x.map((_, i) => ({ x: x[i], y: y[i], X: X[i], Y: Y[i], Z: Z[i] })), texts: view.texts,
        words: view.words.map(({ words, xy, xyz }) => ({ words, x: xy[0], y: xy[1], X: xyz[0], Y: xyz[1], Z: xyz[2] })) };
      this.frame = { 2: extent(this.landmarks.points, ['x', 'y']), 3: extent(this.landmarks.points, ['X', 'Y', 'Z']) };
    }
    this.redraw();
  }

  show(dimensions) {
    this.dimensions = dimensions;
    this.redraw();
  }

  // The whole trail, oldest first; only its end is drawn. `glide`: the dot moves there instead of jumping.
  setTrail(points, glide) {
    const before = this.at;
    this.trail = points.filter((p) => p.x !== undefined);
    const last = this.trail.at(-1);
    const grown = this.goesOwn && last?.own && this.measureOwn([last.own]);
    this.drawTrail();
    if (this.own && last && (grown || this.caption(last) !== this.named)) this.drawBack(); // a new segment has its caption there
    const goal = last ? this.lying(last) : null;
    cancelAnimationFrame(this.gliding);
    if (!glide || !before || !goal || still() || !this.fluent()) { this.at = goal; this.drawDot(); return; }
    if (before.segment !== goal.segment) this.pulseAt = performance.now();
    const start = performance.now();
    let shownAt = start;
    const step = (now) => {
      if (now > shownAt) this.frameMs += 0.2 * (now - shownAt - this.frameMs);
      shownAt = now;
      const part = Math.min(1, Math.max(0, (now - start) / GLIDE_MS));
      this.at = part < 1 ? between(before, goal, 1 - (1 - part) ** 2) : goal;
      this.drawDot();
      if (part < 1 || now - (this.pulseAt ?? -1e9) < PULSE_MS) this.gliding = requestAnimationFrame(step);
    };
    step(start);
  }

  // To the trail's own map, which then fills the card, or with false back to the common one; its points move there.
  showOwn(on) {
    this.goesOwn = on;
    if (on) {
      this.views[1] = { 2: { ...START[2] }, 3: { ...this.views[0][3], zoom: 1 } };
      this.ownFrame = null;
      this.measureOwn(this.trail.flatMap((point) => point.own ?? []));
    }
    const [from, start] = [this.own, performance.now()];
    cancelAnimationFrame(this.moving);
    const step = (now) => {
      const part = still() ? 1 : Math.min(1, Math.max(0, (now - start) / MOVE_MS));
      this.own = from + (Number(on) - from) * part ** 2 * (3 - 2 * part);
      if (this.trail.length) this.at = this.lying(this.trail.at(-1));
      this.redraw();
      if (part < 1) this.moving = requestAnimationFrame(step);
    };
    step(start);
  }

  // A point of the trail where it lies now, between its place on the common map and that on its own.
  lying(point) { return this.own && point.own ? { ...point, ...mixed(point, point.own, this.own) } : point; }

  // Takes points into the reach of the trail's own map, which only grows: looking back should move nothing. True if it did.
  measureOwn(points) {
    const before = JSON.stringify(this.ownFrame);
    const reached = (dimensions, axes) => extent([...points, ...this.ownFrame ? corners(this.ownFrame[dimensions], axes) : []], axes);
    if (points.length) this.ownFrame = { 2: reached(2, ['x', 'y']), 3: reached(3, ['X', 'Y', 'Z']) };
    return JSON.stringify(this.ownFrame) !== before;
  }

  // Whether this machine draws quickly enough to glide; one that did not is asked again from time to time.
  fluent() {
    if (this.frameMs > FLUENT_MS) this.frameMs *= 0.99;
    return this.frameMs <= FLUENT_MS;
  }

  reset() {
    Object.assign(this.view, START[this.dimensions]);
    this.redraw();
  }

  redraw() {
    this.size = { width: this.box.clientWidth, height: this.box.clientHeight };
    if (!this.size.width || !this.frame) return;
    this.drawBack();
    this.drawTrail();
    this.drawDot();
  }

  // --- from the map to the screen ------------------------------------------------------------------------------

  // What the card shows: where the landmarks lie and, on the way to the trail's own map, more and more where the trail lies there.
  framed() {
    const [common, own] = [this.frame[this.dimensions], this.ownFrame?.[this.dimensions]];
    if (!this.own || !own) return common;
    const mix = (a, b) => a.map((value, i) => value + (b[i] - value) * this.own);
    return { middle: mix(common.middle, own.middle), reach: mix(common.reach, own.reach) };
  }

  // How it is looked at: each map has a view of its own, and between them lies what is between.
  seen() {
    const [common, own] = this.views.map((view) => view[this.dimensions]);
    if (!this.own || !own) return common;
    return Object.fromEntries(Object.keys(common).map((key) => [key, common[key] + (own[key] - common[key]) * this.own]));
  }

  // [x, y, nearness]; nearness is 1 in the middle of the map, more towards the eye.
  project(point) {
    const { width, height } = this.size;
    const view = this.seen();
    const { middle, reach } = this.framed();
    if (this.dimensions === 2) {
      const pad = PAD_PX + OWN_PAD_PX * this.own;
      const scale = Math.min((width / 2 - pad) / reach[0], (height / 2 - pad) / reach[1]) * view.zoom;
      return [width / 2 + (point.x - middle[0] - view.x) * scale, height / 2 - (point.y - middle[1] - view.y) * scale, 1];
    }
    const radius = Math.hypot(...reach) * (0.8 + 0.55 * this.own); // a few moments are no ball: their corners must be seen, too
    const [a, b, c] = [(point.X - middle[0]) / radius, (point.Y - middle[1]) / radius, (point.Z - middle[2]) / radius];
    const [cos, sin] = [Math.cos(view.yaw), Math.sin(view.yaw)];
    const [right, away] = [a * cos - b * sin, a * sin + b * cos];
    const up = c * Math.cos(view.pitch) - away * Math.sin(view.pitch);
    const near = EYE / Math.max(0.3, EYE + c * Math.sin(view.pitch) * -1 + away * Math.cos(view.pitch));
    const scale = (Math.min(width, height) / 2 - PAD_PX / 2) * 1.25 * view.zoom * near;
    return [width / 2 + right * scale, height / 2 - up * scale, near];
  }

  // --- drawing -------------------------------------------------------------------------------------------------

  drawBack() {
    const { context } = canvasContext(this.back);
    if (!this.landmarks) return;
    if (this.own < 1) this.drawLandmarks(context, 1 - this.own);
    if (this.own) this.drawSession(context);
    context.globalAlpha = 1;
  }

  drawLandmarks(context, alpha) {
    context.fillStyle = cssColour(this.box, '--vlj-faint');
    const three = this.dimensions === 3;
    this.places = this.landmarks.points.map((point) => this.project(point));
    const zoomed = Math.min(1.6, Math.sqrt(this.seen().zoom));
    for (const [x, y, near] of this.places) {
      const size = (three ? 1.6 * near : 1.9) * zoomed;
      context.globalAlpha = alpha * (three ? Math.min(0.85, 0.5 * near ** 3) : 0.6);
      disc(context, x, y, size);
    }
    context.globalAlpha = alpha;
    this.drawWords(context, this.landmarks.words, '--vlj-quiet');
  }

  // On a map of its own the session is all there is: every moment of it, and its captions, each where it was said.
  drawSession(context) {
    const said = new Map();
    context.globalAlpha = 0.4 * this.own;
    for (const point of this.trail) {
      const here = this.lying(point);
      const [x, y, near] = this.project(here);
      context.fillStyle = segmentColour(point.segment);
      disc(context, x, y, 2.4 * Math.min(1.5, near));
      const caption = this.caption(point);
      if (caption) said.get(caption)?.push(here) ?? said.set(caption, [here]);
    }
    this.named = this.trail.length ? this.caption(this.trail.at(-1)) : null;
    context.globalAlpha = this.own;
    const words = [...said].reverse().map(([caption, points]) => ({ ...middle(points), words: short(caption, [...said.keys()]) }));
    this.drawWords(context, words, '--vlj-ink');
  }

  // Only as many words as fit beside each other, the first of them first; zooming in makes room for more.
  drawWords(context, words, colour) {
    const taken = [];
    context.font = '600 12px system-ui, sans-serif';
    context.textAlign = 'center';
    context.textBaseline = 'middle';
    context.lineJoin = 'round';
    context.lineWidth = 4;
    context.strokeStyle = cssColour(this.box, '--vlj-card');
    context.fillStyle = cssColour(this.box, colour);
    for (const word of words) {
      const [x, middle] = this.project(word);
      const y = middle - 13; // in the middle itself the trail would pass through it
      const half = context.measureText(word.words).width / 2 + 6;
      if (x - half < 2 || x + half > this.size.width - 2 || y < 10 || y > this.size.height - 10) continue;
      if (taken.some(([a, b, h]) => Math.abs(a - x) < half + h && Math.abs(b - y) < 19)) continue;
      taken.push([x, y, half]);
      context.strokeText(word.words, x, y);
      context.fillText(word.words, x, y);
    }
  }

  drawTrail() {
    const { context } = canvasContext(this.middle);
    if (!this.size?.width || !this.trail.length || !this.frame) return;
    const shown = this.trail.slice(-TRAIL_POINTS);
    const places = shown.map((point) => this.project(this.lying(point)));
    context.lineWidth = 2;
    context.lineCap = 'round';
    for (let i = 0; i < shown.length; i++) {
      const [x, y, near] = places[i];
      const age = (i + 1) / shown.length; // 0 for the oldest, 1 now
      context.strokeStyle = context.fillStyle = segmentColour(shown[i].segment);
      if (i && shown[i].t - shown[i - 1].t < 3) {
        context.globalAlpha = 0.08 + 0.5 * age ** 2;
        context.beginPath();
        context.moveTo(places[i - 1][0], places[i - 1][1]);
        context.lineTo(x, y);
        context.stroke();
      }
      context.globalAlpha = 0.3 + 0.6 * age;
      context.beginPath();
      context.arc(x, y, (2 + 1.6 * age) * Math.min(1.5, near), 0, 2 * Math.PI);
      context.fill();
    }
    context.globalAlpha = 1;
  }

  drawDot() {
    const { context } = canvasContext(this.front);
    if (!this.at || !this.size?.width || !this.frame) return;
    const [x, y] = this.project(this.at);
    const colour = segmentColour(this.at.segment);
    const pulse = (performance.now() - (this.pulseAt ?? -1e9)) / PULSE_MS;
    if (pulse < 1) ring(context, x, y, 9 + 34 * pulse, colour, 3 * (1 - pulse), 1 - pulse);
    context.fillStyle = colour;
    context.globalAlpha = 0.22;
    disc(context, x, y, 17);
    context.globalAlpha = 1;
    disc(context, x, y, 8.5);
    ring(context, x, y, 8.5, isDark() ? '#14161f' : '#ffffff', 2.5, 1);
    if (this.hovered) { const [a, b] = this.project(this.lying(this.hovered)); ring(context, a, b, 8, cssColour(this.box, '--vlj-ink'), 2, 1); }
  }

  // --- hands ---------------------------------------------------------------------------------------------------

  listen() {
    const pointers = new Map();
    const { front } = this;
    front.addEventListener('pointerdown', (event) => {
      pointers.set(event.pointerId, [event.offsetX, event.offsetY]);
      front.setPointerCapture(event.pointerId);
      this.hover(null);
    });
    front.addEventListener('pointermove', (event) => {
      const last = pointers.get(event.pointerId);
      const place = [event.offsetX, event.offsetY];
      if (!last) { this.hover(place); return; }
      const others = [...pointers].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
      pointers.set(event.pointerId, place);
      if (others.length) this.zoom(distance(place, others[0]) / Math.max(1, distance(last, others[0])), place);
      else this.drag(place[0] - last[0], place[1] - last[1]);
    });
    for (const name of ['pointerup', 'pointercancel']) front.addEventListener(name, (event) => pointers.delete(event.pointerId));
    front.addEventListener('pointerleave', () => this.hover(null));
    front.addEventListener('wheel', (event) => {
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY * 0.0015), [event.offsetX, event.offsetY]);
    }, { passive: false });
    front.addEventListener('dblclick', () => this.reset());
    front.addEventListener('keydown', (event) => this.key(event));
  }

  key(event) {
    const move = { ArrowLeft: [24, 0], ArrowRight: [-24, 0], ArrowUp: [0, 24], ArrowDown: [0, -24] }[event.key];
    const centre = [this.size.width / 2, this.size.height / 2];
    if (move) this.drag(...move);
    else if (event.key === '+' || event.key === '=') this.zoom(1.2, centre);
    else if (event.key === '-') this.zoom(1 / 1.2, centre);
    else if (event.key === '0') this.reset();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  // The view of the map that is gone to, for hands to change.
  get view() { return this.views[Number(this.goesOwn)][this.dimensions]; }

  drag(dx, dy) {
    const { view } = this;
    if (this.dimensions === 3) {
      view.yaw += dx * 0.008;
      view.pitch = Math.min(1.5, Math.max(-1.5, view.pitch + dy * 0.008));
    } else {
      const scale = this.unit();
      view.x -= dx / scale;
      view.y += dy / scale;
    }
    this.redraw();
  }

  zoom(factor, [px, py]) {
    const { view } = this;
    const before = this.unit();
    view.zoom = Math.min(24, Math.max(0.4, view.zoom * factor));
    if (this.dimensions === 2) { // what is under the pointer stays there
      const [dx, dy] = [px - this.size.width / 2, py - this.size.height / 2];
      view.x += dx / before - dx / this.unit();
      view.y -= dy / before - dy / this.unit();
    }
    this.redraw();
  }

  // Pixels of one map unit in two dimensions.
  unit() {
    const [a, b] = [this.project({ x: 0, y: 0, X: 0, Y: 0, Z: 0 }), this.project({ x: 1, y: 0, X: 1, Y: 0, Z: 0 })];
    return Math.max(1e-6, b[0] - a[0]);
  }

  hover(place) {
    const found = place && this.frame ? this.nearest(place) : null;
    this.hovered = found?.point ?? null;
    this.tip.hidden = !found;
    this.drawDot();
    if (!found) return;
    this.tip.replaceChildren(...found.lines.filter(Boolean).map((line, i) => {
      const span = document.createElement(i ? 'span' : 'b');
      span.textContent = line; // never as markup: sentences are not ours
      return span;
    }));
    const { width, height } = this.size;
    const [x, y] = [Math.min(Math.max(found.x - this.tip.offsetWidth / 2, 6), Math.max(6, width - this.tip.offsetWidth - 6)), found.y];
    const above = y - this.tip.offsetHeight - 14;
    this.tip.style.transform = `translate(${x}px, ${above < 4 ? Math.min(y + 16, height - this.tip.offsetHeight - 4) : above}px)`;
  }

  nearest([px, py]) {
    let best = null;
    const try_ = (point, [x, y], within, lines) => {
      const far = Math.hypot(x - px, y - py);
      if (far < (best?.far ?? within)) best = { far, x, y, point, lines };
    };
    for (const point of this.own ? this.trail : this.trail.slice(-TRAIL_POINTS)) try_(point, this.project(this.lying(point)), NEAR_PX, null);
    if (best) return { ...best, lines: [clockTime(best.point.t, true), this.caption(best.point) ?? 'no caption yet'] };
    if (this.own) return null;
    this.landmarks?.points.forEach((point, i) => try_(point, this.places[i], NEAR_PX / 2, [this.landmarks.texts[i]]));
    return best;
  }
}

// The middle and the reach to each side along each axis.
function extent(points, axes) {
  const sides = axes.map((axis) => points.reduce(([low, high], p) => [Math.min(low, p[axis]), Math.max(high, p[axis])], [1e9, -1e9]));
  return { middle: sides.map(([low, high]) => (low + high) / 2), reach: sides.map(([low, high]) => Math.max(1e-6, (high - low) / 2)) };
}

// Two points that reach as far as an extent does.
const corners = ({ middle, reach }, axes) => [-1, 1].map((side) => Object.fromEntries(axes.map((axis, i) => [axis, middle[i] + side * reach[i]])));

const between = (a, b, part) => ({ ...b, ...mixed(a, b, part) });

const mixed = (a, b, part) => Object.fromEntries(AXES.map((axis) => [axis, a[axis] + (b[axis] - a[axis]) * part]));

// The middle of points along each axis: the median, so that a few on their way elsewhere do not count.
function middle(points) {
  return Object.fromEntries(AXES.map((axis) => [axis, points.map((p) => p[axis]).sort((a, b) => a - b)[points.length >> 1]]));
}

// A few words of a sentence: the first, or those with which it parts from another that begins alike.
function short(sentence, all) {
  const words = sentence.split(/\s+/);
  const alike = all.filter((other) => other !== sentence).map((other) => {
    const theirs = other.split(/\s+/);
    return words.findIndex((word, i) => word !== theirs[i]);
  });
  const parts = Math.max(0, ...alike);
  const first = parts < CAPTION_WORDS ? 0 : Math.min(parts - 1, Math.max(0, words.length - CAPTION_WORDS));
  const shown = words.slice(first, first + CAPTION_WORDS).join(' ');
  return `${first ? '… ' : ''}${shown}${first + CAPTION_WORDS < words.length ? ' …' : ''}`;
}

const distance = ([a, b], [c, d]) => Math.hypot(a - c, b - d);

function disc(context, x, y, radius) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
}

function ring(context, x, y, radius, colour, width, alpha) {
  context.globalAlpha = alpha;
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.stroke();
  context.globalAlpha = 1;
}
