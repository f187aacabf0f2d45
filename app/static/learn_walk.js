// Watch much, say little: one film through windows, tokens, embeddings and changes to few sentences; then the student's turn.

import { SmallMap, press } from './learn_draw.js';
import { clockTime, element, indexAt, many, segmentColour, svg, unpack } from './lib.js';

const POLL_MS = 250;
const TICK_MS = 80; // between two places of the cursor: the model itself looks four times a second
const KEY = 'vljepa.learn.boundaries.'; // and the film's name
const NEAR_PX = 9; // two boundaries closer than that are one
const STEP_KEY_S = 0.1;

export class Walk {
  constructor(root, page) {
    [this.root, this.page, this.api, this.step, this.own, this.history] = [root, page, page.api, 0, [], []];
    this.find = (name) => root.querySelector(`.vlj-${name}`);
    this.video = this.find('film');
    this.lanes = this.find('lanes');
    this.listen();
    this.showFilms();
    new IntersectionObserver(([{ isIntersecting }]) => (isIntersecting ? this.shown() : this.pause())).observe(root); // another tab is looked at
    this.load();
  }

  listen() {
    this.find('before').addEventListener('click', () => this.go(this.step - 1));
    this.find('after').addEventListener('click', () => this.go(this.step + 1));
    this.find('mark').addEventListener('click', () => this.place(this.video.currentTime));
    this.find('undo').addEventListener('click', () => { if (this.history.length) this.setOwn(this.history.pop(), false); });
    this.find('clear').addEventListener('click', () => this.setOwn([]));
    this.find('compare-own').addEventListener('click', () => this.compare());
    this.find('say').addEventListener('submit', (event) => { event.preventDefault(); this.say(); });
    this.lane('own').addEventListener('pointerdown', (event) => this.press(event));
    this.lanes.addEventListener('click', (event) => {
      const lane = event.target.closest('.vlj-lane');
      if (lane && lane.dataset.lane !== 'own') this.video.currentTime = this.secondAt(event);
    });
    document.addEventListener('keydown', (event) => {
      if (!this.root.offsetParent || event.ctrlKey || event.metaKey || event.altKey || /^(text|search|number)$/.test(event.target.type ?? '')) return;
      if (event.key.toLowerCase() === 'b' && this.film) this.place(this.video.currentTime);
    });
    document.addEventListener('vlj-theme', () => this.film && this.drawAll());
    this.video.addEventListener('seeked', () => this.tick(true));
  }

  lane(name) { return this.root.querySelector(`[data-lane=${name}]`); }

  // --- the film ------------------------------------------------------------------------------------------------

  showFilms() {
    const { films } = this.page.about;
    this.find('films').hidden = films.length < 2;
    this.find('films').querySelector('.vlj-switch').replaceChildren(...films.map(({ name, title }) => {
      const button = element('button', '', title);
      button.type = 'button';
      button.dataset.film = name;
      button.addEventListener('click', () => { if (name !== this.wanted) this.load(name); });
      return button;
    }));
  }

  async load(wanted = this.page.about.films[0]?.name) {
    const wait = this.find('wait');
    this.wanted = wanted;
    press(this.root, 'film', wanted);
    try {
      for (;;) {
        const view = await this.api.call('walk', { film: wanted });
        if (this.wanted !== wanted) return;
        if (view.done) { this.film = view; break; }
        wait.textContent = `${view.stage} … ${Math.round(view.fraction * 100)} %`;
        await new Promise((resolve) => { setTimeout(resolve, POLL_MS); });
      }
    } catch (error) {
      if (this.wanted !== wanted) return;
      wait.textContent = '';
      this.page.complain(error);
      this.wanted = this.film?.name; // that one still stands
      press(this.root, 'film', this.wanted);
      return;
    }
    wait.textContent = '';
    this.page.calm();
    this.find('walk').hidden = false;
    const { film } = this;
    [this.path, [this.strength]] = [unpack(film.xy, 2), unpack(film.strength, 1)];
    this.map = film.landmarks && new SmallMap(this.find('map-svg'), film.landmarks);
    this.find('map-svg').closest('figure').hidden = !this.map;
    this.video.src = film.media;
    this.showSteps();
    this.makeWindow();
    [this.own, this.history, this.captions, this.said] = [remembered(film.name).filter((second) => second < film.seconds), [], null, null];
    for (const part of ['result', 'close']) this.find(part).replaceChildren();
    this.lane('truth').closest('.vlj-lane-row').hidden = true;
    this.drawAll();
    this.go(this.step);
    this.resume();
  }

  resume() {
    this.video.play().catch(() => {}); // a browser that forbids it shows its own button
    this.stopped = false;
    clearInterval(this.clock);
    this.clock = setInterval(() => this.tick(), TICK_MS);
  }

  pause() { this.stopped = true; clearInterval(this.clock); this.video.pause(); }

  shown() { if (this.film && this.stopped) this.resume(); }

  showSteps() {
    const f = this.film;
    const window_s = (f.window / f.rate_hz).toFixed(2);
    this.told = [
      ['Windows', `The film is looked at ${many(f.rate_hz, 'time')} a second, through a window of ${many(f.window, 'frame')}: the last ${window_s} s. These are the frames that the model has before it now.`],
      ['Encode', `The X-Encoder, frozen, turns each frame into ${f.tokens} visual tokens of ${f.token_size} numbers: what is seen where, without a word.`],
      ['Predict', `The Predictor reads the tokens and the question, and predicts the embedding of the answer: ${f.embedding_size} numbers, one point on the map, in a single pass. No word is written yet. Each column of stripes is one such point.`],
      ['Compare', 'While the scene stays, the point hardly moves; when the meaning changes, it jumps. The curve says how firmly a boundary stands at each moment, by Ward clustering of the stream.'],
      ['Decode on change', `Only now the decoder reads a sentence: one for each segment, from the mean of its points. ${many(f.segments.length, 'sentence')} instead of ${f.uniform}, if it spoke every second.`],
    ];
    this.find('steps').replaceChildren(...this.told.map(([name], i) => {
      const item = element('li');
      const button = element('button', 'vlj-chip', name);
      button.type = 'button';
      button.addEventListener('click', () => this.go(i));
      item.append(button);
      return item;
    }));
  }

  go(step) {
    this.step = Math.min(Math.max(step, 0), this.told.length - 1);
    this.find('walk').dataset.step = String(this.step);
    this.find('step-said').textContent = this.told[this.step][1];
    this.find('before').disabled = this.step === 0;
    this.find('after').disabled = this.step === this.told.length - 1;
    [...this.find('steps').querySelectorAll('button')].forEach((button, i) => button.setAttribute('aria-pressed', String(i === this.step)));
    for (const part of this.root.querySelectorAll('[data-lit]')) part.classList.toggle('vlj-lit', part.dataset.lit.split(' ').includes(String(this.step)));
  }

  // --- what moves with the film --------------------------------------------------------------------------------

  makeWindow() {
    this.frames = Array.from({ length: this.film.window }, () => {
      const canvas = element('canvas');
      [canvas.width, canvas.height] = [160, 120];
      return canvas;
    });
    this.find('window').replaceChildren(...this.frames.map((canvas) => { const cell = element('span'); cell.append(canvas); return cell; }));
  }

  tick(seeked = false) {
    if (!this.film || this.video.readyState < 2) return;
    const time = this.video.currentTime;
    this.movePlayhead(time);
    const step = Math.min(Math.floor(time * this.film.rate_hz), this.film.steps - 1);
    if (step === this.at && !seeked) return;
    this.at = step;
    this.passFrame();
    const index = indexAt(this.film.segments, time);
    this.drawPath(step, index);
    if (index !== this.index) {
      this.index = index;
      this.find('spoken').textContent = this.film.segments[index].caption;
      this.find('spoken').style.setProperty('--vlj-segment', segmentColour(index));
      this.find('close').replaceChildren();
    }
    this.showCounts(step, index);
  }

  passFrame() {
    for (let i = 0; i < this.frames.length - 1; i++) this.frames[i].getContext('2d').drawImage(this.frames[i + 1], 0, 0);
    const newest = this.frames.at(-1);
    newest.getContext('2d').drawImage(this.video, 0, 0, newest.width, newest.height);
  }

  movePlayhead(time) {
    const [lane, head] = [this.lane('model'), this.find('playhead')];
    head.style.left = `${lane.offsetLeft + lane.offsetWidth * Math.min(1, time / this.film.seconds)}px`;
  }

  drawPath(step, index) {
    if (!this.map) return;
    const [x, y] = this.path;
    this.map.clear();
    const layer = this.map.layer;
    const { segments, rate_hz, lag_s } = this.film;
    segments.slice(0, index + 1).forEach((segment, k) => {
      const [from, to] = [segment.start_s, segment.end_s].map((second) => Math.round((second + lag_s) * rate_hz));
      const points = [];
      for (let i = Math.max(0, from - 1); i <= Math.min(to, step); i++) points.push(this.map.at([x[i], y[i]]).map((v) => v.toFixed(1)).join(','));
      layer.append(svg('polyline', { points: points.join(' '), class: 'vlj-trail', stroke: segmentColour(k) }));
    });
    const [cx, cy] = this.map.at([x[step], y[step]]);
    layer.append(svg('circle', { cx, cy, r: 7, class: 'vlj-here', fill: segmentColour(index) }));
    if (this.said && this.said.index === index && this.said.xy) this.map.star(this.said.xy, this.said.text);
  }

  showCounts(step, index) {
    const seconds = Math.max(1, Math.ceil((step + 1) / this.film.rate_hz));
    const rows = [[step + 1, `${step ? 'windows' : 'window'} looked at`], [index + 1, `${index ? 'sentences' : 'sentence'} read, on change`], [seconds, 'would have been, every second'],
      [`${Math.max(0, Math.round(100 * (1 - (index + 1) / seconds)))} %`, 'of decoding saved']];
    this.find('counts').replaceChildren(...rows.map(([value, name]) => {
      const pair = element('div');
      pair.append(element('dt', '', String(value)), element('dd', '', name));
      return pair;
    }));
  }

  // --- lanes ---------------------------------------------------------------------------------------------------

  drawAll() {
    this.drawStripes();
    this.drawCurve();
    this.drawBars('model', this.film.segments);
    this.drawBars('truth', this.film.truth.map((scene, i, all) => ({ ...scene, end_s: all[i + 1]?.start_s ?? this.film.seconds })));
    this.drawOwn();
    this.index = this.at = undefined;
    this.tick();
  }

  drawStripes() {
    const [canvas, rows] = [this.root.querySelector('.vlj-stripes canvas'), unpack(this.film.stripes, this.film.directions)];
    [canvas.width, canvas.height] = [rows[0].length, rows.length];
    const context = canvas.getContext('2d', { willReadFrequently: true });
    const image = context.createImageData(canvas.width, canvas.height);
    rows.forEach((row, r) => row.forEach((value, t) => {
      const at = 4 * (r * canvas.width + t);
      const [low, high] = [[79, 107, 237], [224, 122, 47]];
      const colour = value < 0 ? low : high;
      for (let c = 0; c < 3; c++) image.data[at + c] = colour[c];
      image.data[at + 3] = 255 * Math.min(1, Math.abs(value) * 2.2);
    }));
    context.putImageData(image, 0, 0);
  }

  drawCurve() {
    const top = Math.max(...this.strength) || 1;
    const points = this.strength.map((value, i) => `${(1000 * i / this.strength.length).toFixed(1)},${(98 - 92 * value / top).toFixed(1)}`);
    this.root.querySelector('.vlj-curve svg').replaceChildren(svg('polyline', { points: points.join(' ') }));
  }

  drawBars(name, parts) {
    this.lane(name).replaceChildren(...parts.map((part, i) => {
      const bar = element('span', 'vlj-part-bar');
      bar.append(element('span', '', part.caption ?? ''));
      bar.title = `${clockTime(part.start_s, true)}  ${part.caption ?? ''}`;
      bar.style.left = this.share(part.start_s);
      bar.style.width = this.share(part.end_s - part.start_s);
      bar.style.setProperty('--vlj-segment', segmentColour(i));
      return bar;
    }));
  }

  share(seconds) { return `${100 * seconds / this.film.seconds}%`; }

  // --- the student's boundaries --------------------------------------------------------------------------------

  secondAt(event) {
    const box = this.lane('own').getBoundingClientRect();
    return Math.min(Math.max((event.clientX - box.left) / box.width, 0.001), 0.999) * this.film.seconds;
  }

  place(second) {
    const near = NEAR_PX / this.lane('own').offsetWidth * this.film.seconds;
    if (second <= 0 || this.own.some((other) => Math.abs(other - second) < near)) return;
    this.setOwn([...this.own, second]);
  }

  setOwn(boundaries, remember = true) {
    if (remember) this.history.push(this.own);
    this.own = [...boundaries].sort((a, b) => a - b);
    try { localStorage.setItem(KEY + this.film.name, JSON.stringify(this.own)); } catch { /* not remembered then */ }
    this.captions = null;
    this.find('result').replaceChildren();
    this.drawOwn();
  }

  drawOwn() {
    const edges = [0, ...this.own, this.film.seconds];
    const parts = edges.slice(0, -1).map((start_s, i) => ({ start_s, end_s: edges[i + 1], caption: this.captions?.[i] ?? '' }));
    if (this.own.length) this.drawBars('own', parts);
    else this.lane('own').replaceChildren(element('em', 'vlj-nothing', 'no boundaries yet: click here'));
    this.lane('own').append(...this.own.map((second, i) => this.handle(second, i)));
    this.find('undo').disabled = !this.history.length;
    this.find('clear').disabled = this.find('compare-own').disabled = !this.own.length;
  }

  handle(second, i) {
    const handle = element('button', 'vlj-handle');
    handle.type = 'button';
    handle.dataset.index = String(i);
    handle.style.left = this.share(second);
    handle.setAttribute('aria-label', `Boundary at ${clockTime(second, true)}: arrows move it, Delete takes it away`);
    handle.addEventListener('keydown', (event) => {
      const by = { ArrowRight: STEP_KEY_S, ArrowLeft: -STEP_KEY_S }[event.key];
      if (by === undefined && !/^(Delete|Backspace|Enter)$/.test(event.key)) return;
      event.preventDefault();
      const moved = Math.min(Math.max(second + (by ?? 0), 0.05), this.film.seconds - 0.05);
      this.setOwn(by === undefined ? this.own.toSpliced(i, 1) : this.own.with(i, moved));
      this.lane('own').querySelectorAll('.vlj-handle')[by === undefined ? Math.max(0, i - 1) : this.own.indexOf(moved)]?.focus();
    });
    return handle;
  }

  press(event) {
    if (!this.film) return;
    event.preventDefault();
    const index = event.target.closest('.vlj-handle')?.dataset.index;
    if (index === undefined) { this.place(this.secondAt(event)); return; }
    const [before, from] = [[...this.own], event.clientX];
    let moved = false;
    const move = (at) => {
      moved ||= Math.abs(at.clientX - from) > 3;
      if (moved) this.lane('own').querySelector(`[data-index="${index}"]`).style.left = this.share(this.secondAt(at));
    };
    const done = (at) => {
      document.removeEventListener('pointermove', move);
      this.setOwn(moved ? before.with(Number(index), this.secondAt(at)) : before.toSpliced(Number(index), 1));
    };
    document.addEventListener('pointermove', move);
    document.addEventListener('pointerup', done, { once: true });
  }

  async compare() {
    try {
      const [film, asked] = [this.film, JSON.stringify(this.own)];
      const view = await this.api.call('walk_own', { film: film.name, boundaries_s: this.own });
      if (film !== this.film || asked !== JSON.stringify(this.own)) return;
      this.page.calm();
      this.captions = view.segments.map(({ caption }) => caption);
      this.lane('truth').closest('.vlj-lane-row').hidden = false;
      this.drawOwn();
      const percent = (share) => `${Math.round(100 * share)} %`;
      const verdict = view.f1 > view.model_f1 ? 'You beat the model.' : view.f1 === view.model_f1 ? 'A draw.' : 'The model is ahead.';
      const lines = [[`You: F1 ${percent(view.f1)}`, many(view.decodes, 'sentence')], [`VL-JEPA: F1 ${percent(view.model_f1)}`, many(this.film.segments.length, 'sentence')]];
      this.find('result').replaceChildren(element('b', '', verdict), ...lines.map(([score, cost]) => { const p = element('p', '', score); p.append(element('span', 'vlj-quiet', ` · ${cost}`)); return p; }),
        element('p', 'vlj-hint', `F1 counts boundaries within ${view.tolerance_s} s of the true ones. The lane You now shows what the model says of your parts.`));
    } catch (error) { this.page.complain(error); }
  }

  // --- the student's words -------------------------------------------------------------------------------------

  async say() {
    const [film, index, text] = [this.film, this.index, this.find('say').elements.said.value.trim()];
    if (index === undefined) return;
    this.video.pause();
    try {
      const view = await this.api.call('walk_say', { film: film.name, index, text });
      if (film !== this.film) return;
      this.page.calm();
      const { caption, similarity } = this.film.segments[index];
      this.said = { index, text, xy: view.xy };
      const rows = [[text, view.cosine, 'yours'], [caption, similarity, 'the model’s']];
      this.find('close').replaceChildren(element('b', '', view.cosine > similarity ? 'Closer than the model’s.' : 'Not as close as the model’s.'), ...rows.map(([said, cosine, whose]) => {
        const row = element('div', 'vlj-closeness');
        row.style.setProperty('--vlj-share', String(Math.max(0, cosine)));
        row.append(element('span', '', said), element('b', '', cosine.toFixed(3)), element('small', '', whose));
        return row;
      }));
      this.drawPath(this.at, index);
    } catch (error) { this.page.complain(error); }
  }
}

function remembered(film) {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY + film) ?? '[]');
    return Array.isArray(kept) ? kept.filter((second) => Number.isFinite(second) && second > 0) : [];
  } catch { return []; } // storage can be forbidden, or hold something else
}
