// The map: the film's path among landmark sentences. Plotly draws what stands still; what moves is a canvas above it
// (2D) or one small trace (3D), so that playing costs next to nothing and never touches zoom or camera.

import { TIME_SCALE, canvasContext, clockTime, cssColour, element, indexAt, isDark, segmentColour, timeColour, unpack }
  from './lib.js';

const CONFIG = { responsive: true, displayModeBar: false, showSendToCloud: false, plotlyServerURL: '', scrollZoom: true,
  doubleClick: 'reset' };
const [PATH, POINTS, CURSOR] = [2, 3, 4]; // after landmarks and words
const HOLD_MS = 500; // an update during a drag would cancel it, and one right after it restore the old camera
const CURSOR_MS = 150;
const TRAIL_S = 3;
const HELP = {
  landmarks: 'Each dot on the path is one moment; grey dots are sentences whose meaning the model knows, with words for '
    + 'their clusters. A moment is placed among the sentences nearest to it.',
  own: 'Each dot is one moment. This map was fitted to this film alone, from where it lay on the map of sentences, and '
    + 'laid over it; so the sentences are not shown. Press “Fit to film” again to go back.',
  pca: 'Each dot is one moment. This checkpoint has no landmark sentences, so the map shows the two or three directions '
    + 'in which this film varies most, and can be compared with no other film.',
};

export function loadPlotly() {
  if (window.Plotly) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const script = element('script');
    script.src = document.querySelector('meta[name="vlj-plotly"]').content;
    script.onload = resolve;
    script.onerror = () => reject(new Error('plotly.js could not be loaded'));
    document.head.append(script);
  });
}

export class MapView {
  constructor(root, store, seek) {
    this.root = root.querySelector('.vlj-map');
    this.store = store;
    this.seek = seek;
    this.plots = { 2: this.root.querySelector('[data-plot="2"]'), 3: this.root.querySelector('[data-plot="3"]') };
    this.drawn = { 2: false, 3: false };
    this.trail = this.root.querySelector('.vlj-trail');
    this.path = { x: [], y: [], X: [], Y: [], Z: [], t: [] };
    this.landmarks = null;
    this.held = false;
    this.listen();
  }

  get onSentences() { return this.kind === 'landmarks'; }

  get dimensions() { return this.store.settings.dimensions; }

  listen() {
    this.root.querySelectorAll('[data-dimensions]').forEach((button) => button.addEventListener('click', () =>
      this.store.change({ dimensions: Number(button.dataset.dimensions) })));
    this.root.querySelectorAll('[data-colour]').forEach((button) => button.addEventListener('click', () =>
      this.store.change({ colour: button.dataset.colour })));
    this.store.on('settings', () => this.applySettings());
    this.store.on('cut', () => this.recolour());
    this.store.on('time hover', () => this.moveCursor());
    document.addEventListener('vlj-theme', () => this.retheme());
    new ResizeObserver(() => this.fillBox()).observe(this.root);
    this.holdWhileDragging(this.plots[3]);
  }

  holdWhileDragging(plot) {
    let timer = 0;
    const release = () => { clearTimeout(timer); timer = setTimeout(() => { this.held = false; this.flush(); }, HOLD_MS); };
    plot.addEventListener('pointerdown', () => { clearTimeout(timer); this.held = true; }, true);
    window.addEventListener('pointerup', release, true);
    window.addEventListener('pointercancel', release, true);
    plot.addEventListener('wheel', () => { this.held = true; release(); }, { capture: true, passive: true });
  }

  // --- what is shown -------------------------------------------------------------------------------------------

  setLandmarks(view) {
    if (!view) return;
    const [x, y] = unpack(view.xy, 2);
    const [X, Y, Z] = unpack(view.xyz, 3);
    this.landmarks = { x, y, X, Y, Z, texts: view.texts.map(plain), words: view.words };
  }

  begin(kind) {
    this.path = { x: [], y: [], X: [], Y: [], Z: [], t: [] };
    this.kind = kind;
    this.redraw();
  }

  // Steps as they are read: their seconds and their coordinates, first in two dimensions, then in three.
  extend(t, [x, y, X, Y, Z]) {
    const fresh = { t, x, y, X, Y, Z };
    for (const name of Object.keys(fresh)) this.path[name].push(...fresh[name]);
    this.refill();
  }

  show(film) {
    this.own = null;
    this.draw(film, film.map);
  }

  // The film on a map of its own, or with null on the common one again.
  showOwn(map) {
    this.own = map;
    this.draw(this.store.film, map ?? this.store.film.map);
  }

  draw(film, map) {
    const [x, y] = unpack(map.xy, 2);
    const [X, Y, Z] = unpack(map.xyz, 3);
    this.root.querySelector('.vlj-fit')?.setAttribute('aria-pressed', String(map.kind === 'own')); // not every tab fits maps
    const trails = Math.max(0, film.lag_s - 0.5 / film.rate_hz); // a point speaks of the middle of its window
    this.path = { x, y, X, Y, Z, t: x.map((_, i) => i * map.stride / film.rate_hz - trails) };
    this.kind = map.kind;
    this.root.querySelector('.vlj-map-help').textContent = `${HELP[this.kind]} Nearness here is a hint: UMAP and `
      + 'projections keep neighbours, not distances, so lengths and gaps on the map mean nothing.' + agreement(map);
    this.root.querySelector('.vlj-scale-end').textContent = clockTime(film.seconds);
    this.redraw();
  }

  applySettings() {
    const { dimensions, colour } = this.store.settings;
    press(this.root, 'dimensions', dimensions);
    press(this.root, 'colour', colour);
    this.root.querySelector('.vlj-scale').hidden = colour !== 'time';
    for (const d of [2, 3]) this.plots[d].hidden = d !== dimensions;
    this.trail.hidden = dimensions === 3;
    if (this.lastColour !== colour || this.lastDimensions !== dimensions) {
      [this.lastColour, this.lastDimensions] = [colour, dimensions];
      if (this.kind) this.drawn[dimensions] ? this.recolour() : this.redraw();
    }
  }

  // --- Plotly --------------------------------------------------------------------------------------------------

  async redraw() {
    const d = this.dimensions;
    await loadPlotly();
    this.drawn[d === 2 ? 3 : 2] = false; // its data is another film's until it is shown again
    const plot = this.plots[d];
    const first = !plot.data;
    await window.Plotly.react(plot, this.traces(d), this.layout(d), CONFIG);
    this.drawn[d] = true;
    if (first) {
      plot.on('plotly_click', (event) => this.clicked(event));
      plot.on('plotly_hover', (event) => this.hovered(event));
      plot.on('plotly_unhover', () => this.store.set({ hover: null }));
      plot.on('plotly_relayout', () => this.drawOverlay());
      plot.on('plotly_relayouting', () => this.drawOverlay());
    }
    await this.fillBox();
    this.moveCursor();
  }

  // Plotly looks at the window alone: what it draws in a tab out of sight has a size of its own choice.
  async fillBox() {
    const plot = this.plots[this.dimensions];
    const { width, height } = plot._fullLayout ?? {};
    const fills = Math.abs(width - plot.clientWidth) < 1 && Math.abs(height - plot.clientHeight) < 1; // it counts parts of pixels
    if (this.drawn[this.dimensions] && plot.clientWidth && !fills) {
      await window.Plotly.Plots.resize(plot);
    }
    this.drawOverlay();
  }

  refill() {
    const d = this.dimensions;
    if (!this.drawn[d] || this.held) return;
    const place = d === 2 ? { x: [this.path.x], y: [this.path.y] }
      : { x: [this.path.X], y: [this.path.Y], z: [this.path.Z] };
    const { marker } = this.pointStyle(d);
    window.Plotly.restyle(this.plots[d], place, [PATH]);
    window.Plotly.restyle(this.plots[d], { ...place, customdata: [this.path.t], 'marker.color': [marker.color] }, [POINTS]);
  }

  recolour() {
    const d = this.dimensions;
    if (!this.drawn[d]) return;
    if (this.held) { this.waiting = true; return; }
    this.drawn[d === 2 ? 3 : 2] = false;
    const { marker, text } = this.pointStyle(d);
    const update = { 'marker.color': [marker.color], text: [text] };
    window.Plotly.restyle(this.plots[d], update, [POINTS]);
    this.drawOverlay();
  }

  flush() {
    if (this.waiting) { this.waiting = false; this.recolour(); }
    this.moveCursor();
  }

  retheme() {
    this.drawn = { 2: false, 3: false };
    if (this.kind) this.redraw();
  }

  traces(d) {
    const three = d === 3;
    const type = three ? 'scatter3d' : 'scattergl';
    const at = (points) => three ? { x: points.X, y: points.Y, z: points.Z } : { x: points.x, y: points.y };
    const faint = cssColour(this.root, '--vlj-faint');
    const shown = this.onSentences && this.landmarks ? this.landmarks : { x: [], y: [], X: [], Y: [], Z: [], texts: [] };
    const common = { type, showlegend: false };
    return [
      { ...common, ...at(shown), mode: 'markers', name: 'landmarks', text: shown.texts, hovertemplate: '%{text}<extra></extra>',
        marker: { size: three ? 2 : 4, color: faint, opacity: three ? 0.45 : 0.55 } },
      { ...this.wordTrace(three), name: 'words' },
      { ...common, ...at(this.path), mode: 'lines', name: 'path', hoverinfo: 'skip', customdata: this.path.t,
        line: { width: three ? 4 : 1.2, color: cssColour(this.root, three ? '--vlj-faint' : '--vlj-path') } },
      { ...common, ...at(this.path), mode: 'markers', name: 'film', customdata: this.path.t,
        hovertemplate: '%{text}<extra></extra>', ...this.pointStyle(d) },
      { ...common, x: [], y: [], ...(three ? { z: [] } : {}), mode: 'markers', name: 'now', hoverinfo: 'skip',
        marker: { size: 9, color: cssColour(this.root, '--vlj-accent'), line: { width: 2, color: '#fff' } } },
    ];
  }

  pointStyle(d) {
    const segments = this.store.cut?.segments;
    const end = this.store.film?.seconds || this.path.t.at(-1) || 1;
    const byTime = this.store.settings.colour === 'time' || !segments?.length;
    const times = this.path.t.map((t) => Math.max(0, t)); // the first window reaches back before the film
    const color = times.map((t) => byTime ? timeColour(t / end) : segmentColour(indexAt(segments, t)));
    const text = times.map((t) => {
      const caption = segments?.length ? segments[indexAt(segments, t)].caption : '';
      return `<b>${clockTime(t, true)}</b>  ${wrap(plain(caption ?? ''))}`;
    });
    return { text, marker: { size: d === 3 ? 4.5 : 7, color, line: { width: 0 } } };
  }

  wordTrace(three) {
    const words = this.onSentences && this.landmarks ? this.landmarks.words : [];
    const style = { mode: 'text', textposition: 'top center', hoverinfo: 'skip', showlegend: false, text: words.map((w) => plain(w.words)),
      textfont: { size: 11, color: cssColour(this.root, '--vlj-quiet'), family: 'system-ui, sans-serif' } };
    if (!three) return { ...style, type: 'scatter', x: [], y: [], text: [] }; // see drawWords
    const few = apart(words); // in a scene that turns only distance in space keeps them so
    return { ...style, type: 'scatter3d', text: few.map((w) => plain(w.words)), x: few.map((w) => w.xyz[0]),
      y: few.map((w) => w.xyz[1]), z: few.map((w) => w.xyz[2]) };
  }

  layout(d) {
    const axis = { visible: false, showspikes: false };
    const label = { bgcolor: isDark() ? '#e8eaf2' : '#1d2130', bordercolor: 'transparent',
      font: { color: isDark() ? '#14161f' : '#ffffff', size: 12, family: 'system-ui, sans-serif' }, align: 'left' };
    const common = { autosize: true, margin: { l: 0, r: 0, t: 0, b: 0 }, paper_bgcolor: 'rgba(0,0,0,0)',
      plot_bgcolor: 'rgba(0,0,0,0)', hoverlabel: label, hovermode: 'closest', uirevision: this.kind };
    if (d === 3) {
      return { ...common, scene: { xaxis: axis, yaxis: axis, zaxis: axis, uirevision: this.kind, dragmode: 'turntable',
        aspectmode: 'data', camera: { eye: { x: 0.85, y: 0.85, z: 0.5 } } } };
    }
    return { ...common, dragmode: 'pan', xaxis: axis, yaxis: { ...axis, scaleanchor: 'x' } };
  }

  // Only as many cluster words as fit beside each other; zooming in makes room for more. Drawn here and not by Plotly,
  // whose dots would lie above them.
  drawWords(context) {
    if (!this.landmarks || !this.onSentences) return;
    const taken = [];
    context.font = '600 11.5px system-ui, sans-serif';
    context.textAlign = 'center';
    context.textBaseline = 'middle';
    context.lineJoin = 'round';
    context.lineWidth = 4;
    context.strokeStyle = cssColour(this.root, '--vlj-card');
    context.fillStyle = cssColour(this.root, '--vlj-quiet');
    for (const { words, xy } of this.landmarks.words) {
      const [x, middle] = this.pixel(xy[0], xy[1]);
      const y = middle - 14; // in the middle itself a film would pass through the word
      const half = context.measureText(words).width / 2 + 5;
      if (taken.some(([a, b, h]) => Math.abs(a - x) < half + h && Math.abs(b - y) < 18)) continue;
      taken.push([x, y, half]);
      context.strokeText(words, x, y);
      context.fillText(words, x, y);
    }
  }

  pixel(x, y) {
    const { xaxis, yaxis } = this.plots[2]._fullLayout;
    return [xaxis.l2p(x) + xaxis._offset, yaxis.l2p(y) + yaxis._offset];
  }

  // --- the moment ----------------------------------------------------------------------------------------------

  moveCursor() {
    if (this.dimensions === 2) this.drawOverlay(); else this.moveInSpace();
  }

  at(time) {
    const { t } = this.path;
    if (t.length < 2) return t.length - 1;
    return Math.min(Math.max((time - t[0]) / (t[1] - t[0]), 0), t.length - 1);
  }

  drawOverlay() {
    if (this.dimensions !== 2 || !this.drawn[2] || this.trail.hidden) return;
    const { context } = canvasContext(this.trail);
    this.drawWords(context);
    if (this.path.t.length) this.drawTrail(context);
  }

  drawTrail(context) {
    const accent = cssColour(this.root, '--vlj-accent');
    const now = this.at(this.store.time);
    const step = this.path.t[1] - this.path.t[0] || 1;
    const from = Math.max(0, now - TRAIL_S / step);
    let last = this.between(from);
    for (let i = Math.floor(from) + 1; i <= Math.ceil(now); i++) {
      const next = this.between(Math.min(i, now));
      context.beginPath();
      context.moveTo(...last);
      context.lineTo(...next);
      context.globalAlpha = 0.15 + 0.85 * (Math.min(i, now) - from) / (now - from || 1);
      context.strokeStyle = accent;
      context.lineWidth = 3;
      context.lineCap = 'round';
      context.stroke();
      last = next;
    }
    context.globalAlpha = 1;
    disc(context, this.between(now), 7, accent, cssColour(this.root, '--vlj-card'));
    if (this.store.hover !== null) ring(context, this.between(this.at(this.store.hover)), 9, accent);
  }

  // The pixel at a fractional step: the cursor glides from one step to the next.
  between(step) {
    const [low, high] = [Math.floor(step), Math.ceil(step)];
    const part = step - low;
    const { x, y } = this.path;
    return this.pixel(x[low] + (x[high] - x[low]) * part, y[low] + (y[high] - y[low]) * part);
  }

  moveInSpace() {
    const now = performance.now();
    if (!this.drawn[3] || this.held || !this.path.t.length) return;
    clearTimeout(this.later);
    if (now - (this.movedAt ?? 0) < CURSOR_MS) {
      this.later = setTimeout(() => this.moveInSpace(), CURSOR_MS);
      return;
    }
    this.movedAt = now;
    const i = Math.round(this.at(this.store.time));
    window.Plotly.restyle(this.plots[3], { x: [[this.path.X[i]]], y: [[this.path.Y[i]]], z: [[this.path.Z[i]]] }, [CURSOR]);
  }

  clicked(event) {
    const point = event.points.find((p) => p.curveNumber === POINTS);
    if (point) this.seek(point.customdata);
  }

  hovered(event) {
    const point = event.points.find((p) => p.curveNumber === POINTS);
    if (point) this.store.set({ hover: Math.max(0, point.customdata) });
  }
}

// Plotly reads a little HTML in texts; what looks like a tag becomes what it says.
const plain = (text) => text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
const wrap = (text) => text.replace(/(.{36}\S*)\s/g, '$1<br>');
const agreement = (map) => map.agreement === null ? ''
  : ` For this film, ${Math.round(map.agreement * 100)} % of a moment's neighbours on the map are true ones (a shuffled map: 10 %).`;

// The largest clusters whose middles are so far from each other that their words seldom meet.
function apart(words) {
  const chosen = [];
  for (const word of words) {
    if (chosen.length === 8) break;
    if (chosen.every((other) => Math.hypot(...word.xyz.map((v, i) => v - other.xyz[i])) > 0.55)) chosen.push(word);
  }
  return chosen;
}

function press(root, name, value) {
  root.querySelectorAll(`[data-${name}]`).forEach((button) =>
    button.setAttribute('aria-pressed', String(button.dataset[name] === String(value))));
}

function disc(context, [x, y], radius, fill, edge) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fillStyle = fill;
  context.fill();
  context.strokeStyle = edge;
  context.lineWidth = 2.5;
  context.stroke();
}

function ring(context, [x, y], radius, colour) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.strokeStyle = colour;
  context.lineWidth = 2;
  context.stroke();
}
