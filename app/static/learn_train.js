// Train it yourself: what is trained on how much, how it learns, and what comes of it. The training is the server's; this
// page asks for what has happened since it last asked.

import { beginAgain, wishAgain } from './again.js';
import { press, showStrip } from './learn_draw.js';
import { LineChart } from './learn_train_chart.js';
import { PredictionMap } from './learn_train_map.js';
import { clockTime, element, many, openInExplore, saveAs } from './lib.js';

const [KEY, REINS] = ['vljepa.train', 'vljepa.train.reins'];
const [POLL_MS, IDLE_MS, SETTLE_MS, OPENING_MS] = [600, 4000, 400, 300];
const SMOOTH = 0.92; // of the loss that is drawn: each batch asks something else
const ARMS = { vljepa: ['VL-JEPA', 'points at a meaning'], token_vlm: ['Token VLM', 'writes word by word'], joint: ['Joint embedding', 'aligns, takes no question'], own: ['Your words', ''] };
const SCORES = { puzzles: 'Puzzles solved', parts: 'Said rightly', found: 'Own caption found first' };
const SIZES = { clips: [512, 1024, 2048, 4096, 8192], files: [50, 100, 200, 400, 800, 1600] };

export class Train {
  constructor(root, page) {
    [this.root, this.page, this.api] = [root, page, page.api];
    this.find = (name) => root.querySelector(`.vlj-${name}`);
    this.form = this.find('train-form');
    this.loss = new LineChart(this.find('loss-chart'), false);
    this.score = new LineChart(this.find('score-chart'), true);
    this.listen();
    this.begin();
  }

  listen() {
    this.form.addEventListener('submit', (event) => { event.preventDefault(); this.start(); });
    this.form.addEventListener('input', () => this.settle());
    this.root.addEventListener('click', ({ target }) => {
      const { what, look, of, hold } = target.dataset;
      if (what && !target.disabled) { this.settings.what = what; this.settle(); }
      if (look) { this.looked = look; this.draw(); }
      if (of) { this.scored = of; this.draw(); }
      if (hold) this.hold(hold);
    });
    this.find('open-trained').addEventListener('click', () => this.open());
    this.find('keep-trained').addEventListener('click', () => this.download());
  }

  async begin() {
    try {
      this.about = await this.api.call('train_about');
    } catch (error) { this.page.complain(error); return; }
    this.map = new PredictionMap(this.find('train-cloud'), this.find('signs'), this.about.colours);
    this.settings = { what: 'shapes', arms: this.about.arms, folder: '', ...remembered(KEY),
      shapes: { ...this.about.usual.shapes, ...remembered(KEY)?.shapes }, photos: { ...this.about.usual.photos, ...remembered(KEY)?.photos } };
    this.fill();
    await this.look();
    this.root.dataset.ready = 'true';
    this.settle();
  }

  shown() { this.away = false; this.look(); }

  pause() { this.away = true; }

  // --- what is chosen ------------------------------------------------------------------------------------------

  fill() {
    const { settings } = this;
    this.find('train-arms').replaceChildren(...this.about.arms.map((arm) => {
      const label = element('label', 'vlj-question');
      const box = element('input');
      Object.assign(box, { type: 'checkbox', name: 'arm', value: arm, checked: settings.arms.includes(arm) });
      label.append(box, element('span', '', ARMS[arm][0]));
      label.title = ARMS[arm][1];
      return label;
    }));
    this.form.elements.folder.value = settings.folder;
    for (const what of ['shapes', 'photos']) {
      for (const [name, value] of Object.entries(settings[what])) {
        const input = this.form.querySelector(`[data-of=${what}] [name=${name}]`);
        const sizes = SIZES[name];
        if (sizes) { input.max = sizes.length - 1; input.value = Math.max(0, sizes.findIndex((size) => size >= value)); } else input.value = value;
      }
    }
    this.find('base').textContent = this.about.base;
    if (!this.about.alone) this.form.querySelector('[data-what=photos]').disabled = true;
  }

  // Takes up what was chosen, and asks how long it would take once nothing moves.
  settle() {
    if (!this.about) return;
    const { settings, form } = this;
    settings.arms = [...form.querySelectorAll('[name=arm]:checked')].map(({ value }) => value);
    settings.folder = form.elements.folder.value;
    for (const what of ['shapes', 'photos']) {
      for (const name of Object.keys(settings[what])) {
        const input = form.querySelector(`[data-of=${what}] [name=${name}]`);
        settings[what][name] = SIZES[name] ? SIZES[name][Number(input.value)] : Number(input.value);
        const out = form.querySelector(`[data-of=${what}] [data-out=${name}]`);
        if (out) out.textContent = settings[what][name].toLocaleString('en');
      }
    }
    press(this.root, 'what', settings.what);
    for (const part of form.querySelectorAll('[data-of]')) part.hidden = part.dataset.of !== settings.what;
    try { localStorage.setItem(KEY, JSON.stringify(settings)); } catch { /* not remembered then */ }
    clearTimeout(this.settling);
    this.settling = setTimeout(() => this.estimate(), SETTLE_MS);
  }

  get request() {
    const { what, arms, folder } = this.settings;
    return { what, ...(what === 'shapes' ? { arms } : { folder }), ...this.settings[what] };
  }

  async estimate() {
    const [asked, said] = [JSON.stringify(this.request), this.find('estimate')];
    this.asked = asked;
    const holds = this.settings.what === 'photos' ? await this.folder() : '';
    if (holds === null || asked !== this.asked) return;
    try {
      const { seconds, unknown } = await this.api.call('train_estimate', this.request);
      if (asked !== this.asked) return;
      said.dataset.wrong = 'false';
      // beside a run nothing is measured; how fast it goes can be read off the run itself
      if (seconds === null && this.busy) said.textContent = holds;
      else said.textContent = seconds === null ? `${holds}Measuring how fast this machine trains …` : `${holds}Takes ${about(seconds)} here${unknown ? ', and a last part that was never done here' : ''}.`;
      if (seconds === null && !this.busy) this.settling = setTimeout(() => this.estimate(), 1500);
    } catch (error) { this.wrong(error); }
  }

  // What the folder holds in words, or null: then it was told what it lacks.
  async folder() {
    if (!this.settings.folder.trim()) {
      this.find('estimate').textContent = 'Name a folder first.';
      return null;
    }
    try {
      const { photos, clips, captions, held, note } = await this.api.call('train_look', this.request);
      const files = [[photos, 'photo'], [clips, 'clip']].filter(([count]) => count).map(([count, name]) => many(count, name));
      return `${files.join(' and ')}, ${many(captions, 'caption')}; ${held} held out. ${note && `${note}. `}`;
    } catch (error) { this.wrong(error); return null; }
  }

  wrong(error) {
    this.find('estimate').textContent = error.message;
    this.find('estimate').dataset.wrong = 'true';
  }

  // --- the run -------------------------------------------------------------------------------------------------

  async start() {
    if (this.busy || this.starting) return;
    clearTimeout(this.settling);
    this.starting = true;
    this.showBegin();
    try {
      const { run, key } = await this.api.call('train_start', this.request);
      try { localStorage.setItem(REINS, JSON.stringify({ run, key })); } catch { this.reins = { run, key }; }
      this.page.calm();
      await this.look();
      this.settle();
      this.find('train-run').scrollIntoView({ behavior: 'smooth', block: 'nearest' });
    } catch (error) { this.page.complain(error); this.look(); }
    this.starting = false;
    this.showBegin();
  }

  async hold(action) {
    try {
      await this.api.call('train_hold', { ...this.key, action });
      await this.look();
    } catch (error) { this.page.complain(error); }
  }

  get key() { return this.reins ?? remembered(REINS) ?? {}; }

  // Asks what happened; again and again while something happens, and seldom otherwise.
  async look() {
    clearTimeout(this.timer);
    try {
      const view = await this.api.call('train_view', { ...this.key, run: this.view?.run, seen: this.view?.seen });
      if (view.run) this.take(view);
      this.lost = false;
    } catch (error) {
      if (!this.lost) this.page.complain(error);
      this.lost = true;
    }
    const watched = this.root.offsetParent && !document.hidden && !this.away;
    this.timer = setTimeout(() => this.look(), this.busy && watched ? POLL_MS : IDLE_MS);
  }

  take(view) {
    const ended = this.busy && over(view);
    if (view.run !== this.view?.run) {
      this.told = { losses: {}, looks: {}, examples: null };
      [this.looked, this.scored] = [null, null];
      this.map.begin([]);
    }
    this.view = view;
    for (const event of view.events) this.hear(event);
    this.draw();
    if (ended) this.settle();
  }

  get busy() { return Boolean(this.view) && !over(this.view); }

  hear(event) {
    const { losses, looks } = this.told;
    if (event.kind === 'stage') this.told.stage = event.text;
    if (event.kind === 'loss') {
      const line = losses[event.arm] ??= [];
      const share = Math.min(SMOOTH, line.length / (line.length + 1));
      line.push([event.step, line.length ? share * line.at(-1)[1] + (1 - share) * event.loss : event.loss]);
    }
    if (event.kind === 'look') (looks[event.arm] ??= []).push(event);
    if (event.kind === 'examples') {
      this.told.examples = event;
      this.map.begin(event.points);
      this.drawTiles(event);
    }
  }

  get arms() { return this.view.what === 'shapes' ? this.view.asked.arms : ['own']; }

  // --- drawing -------------------------------------------------------------------------------------------------

  draw() {
    const { view, told } = this;
    if (!view) return;
    this.find('train-run').hidden = false;
    this.find('train-watch').hidden = !told.examples;
    this.drawState();
    this.drawCharts();
    if (told.examples) this.drawLook();
    this.drawEnd();
    this.showBegin();
  }

  showBegin() {
    this.find('begin').disabled = Boolean(this.starting || this.busy || this.about.closed);
    this.find('closed').textContent = this.busy ? (this.view.mine ? '' : 'Somebody else is training here: you may watch, and start when it has ended.') : this.about.closed || '';
  }

  drawState() {
    const { view, told } = this;
    const [done, steps] = [Object.values(view.steps), view.asked.steps];
    const trained = done.length === this.arms.length && done.every((count) => count === steps);
    const words = { running: trained || !done.length ? told.stage ?? 'Starting' : 'Training', paused: 'Paused', stopping: 'Stopping; what was learned is kept',
      done: `Done in ${clockTime(view.elapsed_s)}`, stopped: `Stopped after ${clockTime(view.elapsed_s)}`, failed: view.error };
    const text = words[view.state];
    if (this.find('train-stage').textContent !== text) this.find('train-stage').textContent = text;
    this.find('train-left').textContent = this.busy && view.left_s ? `about ${clockTime(Math.max(1, view.left_s))} left` : '';
    this.find('train-run').dataset.state = view.state;
    this.find('train-progress').value = view.fraction;
    this.find('train-progress').hidden = !this.busy;
    const holds = { pause: view.state === 'running', resume: view.state === 'paused', stop: this.busy };
    for (const [name, can] of Object.entries(holds)) this.root.querySelector(`[data-hold=${name}]`).hidden = !(can && view.mine);
    this.root.querySelector('[data-hold=stop]').textContent = view.state === 'stopping' ? 'Stop at once' : 'Stop';
    this.find('train-steps').replaceChildren(...this.arms.map((arm) => {
      const row = element('li');
      const bar = element('i');
      bar.style.width = `${100 * (view.steps[arm] ?? 0) / steps}%`;
      const lane = element('span', 'vlj-gauge');
      lane.append(bar);
      row.append(element('b', '', ARMS[arm][0]), lane, element('small', '', `${view.steps[arm] ?? 0} of ${steps} steps`));
      return row;
    }));
  }

  drawCharts() {
    const { told, view } = this;
    const lines = (source) => this.arms.map((arm, index) => ({ name: ARMS[arm][0], index, points: source(arm) }));
    this.loss.show(lines((arm) => told.losses[arm] ?? []), view.asked.steps, undefined, 'Loss');
    const scores = Object.keys(told.examples?.chance ?? { puzzles: 0 });
    if (!scores.includes(this.scored)) [this.scored] = scores;
    this.switch('score-of', scores.map((name) => [name, SCORES[name]]), 'of', this.scored);
    this.score.show(lines((arm) => (told.looks[arm] ?? []).map(({ step, scores: found }) => [step, found[this.scored]])), view.asked.steps, told.examples?.chance[this.scored], SCORES[this.scored]);
    this.find('score-said').textContent = { puzzles: 'Of 200 held-out puzzles: which of four actions led from one picture to the other? Things of colours and shapes that never met in training.',
      parts: 'Of the action, the colour, the shape and the size of the thing in 200 held-out clips, as many as the sentence says rightly.',
      found: 'Of the files that were held out, those for which one of their own captions is nearest of all held-out captions.' }[this.scored];
  }

  switch(name, entries, key, chosen) {
    const box = this.find(name);
    box.hidden = entries.length < 2;
    if (box.dataset.of !== entries.join()) {
      box.dataset.of = entries.join();
      box.replaceChildren(...entries.map(([value, text]) => {
        const button = element('button', '', text);
        button.type = 'button';
        button.dataset[key] = value;
        return button;
      }));
    }
    for (const button of box.children) button.setAttribute('aria-pressed', String(button.dataset[key] === chosen));
  }

  drawTiles({ pictures, truth }) {
    this.find('tiles-trained').replaceChildren(...pictures.map(({ url, frames }, i) => {
      const tile = element('li');
      const picture = element('span', frames > 1 ? 'vlj-strip' : 'vlj-still');
      showStrip(picture, url);
      const words = element('div');
      words.append(element('p', 'vlj-says'), element('p', 'vlj-parts-said'), element('p', 'vlj-quiet', `Truth: ${truth[i]}`));
      tile.append(picture, words);
      return tile;
    }));
  }

  // What the chosen arm says of each example now, and where its predictions lie.
  drawLook() {
    const { looks } = this.told;
    const arms = this.arms.filter((arm) => looks[arm]);
    if (!arms.includes(this.looked)) [this.looked] = arms;
    if (!this.looked) return;
    this.switch('looked-at', arms.map((arm) => [arm, ARMS[arm][0]]), 'look', this.looked);
    const look = looks[this.looked].at(-1);
    this.find('look-step').textContent = look.step ? `after ${look.step} steps` : this.looked === 'own' ? 'before it learns' : 'as it was born';
    [...this.find('tiles-trained').children].forEach((tile, i) => {
      tile.querySelector('.vlj-says').textContent = look.said[i] || '(nothing)';
      tile.querySelector('.vlj-parts-said').replaceChildren(...Object.entries(look.true[i]).map(([part, right]) => element('span', right ? 'vlj-yes' : 'vlj-no', `${right ? '✓' : '✗'} ${part === 'sentence' ? (right ? 'one of its own' : 'another one’s') : part}`)));
    });
    this.find('train-cloud').toggleAttribute('hidden', !look.places.length); // an SVG has no such property
    this.find('no-cloud').hidden = Boolean(look.places.length);
    this.find('signs').hidden = !look.places.length;
    if (look.places.length) this.map.show(look);
    this.find('cloud-said').textContent = !look.places.length ? '' : this.looked === 'own' ? 'Dots: predictions for held-out files, by number. Rings: their captions. Learning brings each dot to its ring. Seen along the two main axes.'
      : 'Each dot is what the model predicts of a held-out clip, in the colour of the thing; the sign is what it does. Seen along the two main axes: what means the same should come together.';
  }

  drawEnd() {
    const { view, told } = this;
    const end = this.find('train-end');
    end.hidden = this.busy || view.state === 'failed';
    if (end.hidden) return;
    this.find('train-result').textContent = this.result();
    for (const name of ['open-trained', 'keep-trained']) this.find(name).hidden = !view.kept;
    this.find('open-trained').disabled = Boolean(this.opening);
    const lacks = view.what === 'shapes' && !view.asked.arms.includes('vljepa') ? 'Only VL-JEPA opens in Explore, and it was not trained.' : 'Too few steps were taken for anything to open.';
    this.find('trained-said').textContent = view.kept ? `It is the checkpoint ${view.checkpoint} now, until the next training; download it to keep it. Opening it uses it for everybody who uses this app.` : lacks;
  }

  result() {
    const { told } = this;
    const arms = this.arms.filter((arm) => told.looks[arm]);
    if (!arms.length) return 'Nothing was learned.';
    const percent = (arm, name, at = -1) => `${Math.round(told.looks[arm].at(at).scores[name])} %`;
    if (this.view.what === 'photos') {
      return `Of the held-out files ${percent('own', 'found')} find a caption of their own first. Before it was ${percent('own', 'found', 0)}; chance is ${Math.round(told.examples.chance.found)} %.`;
    }
    return `Puzzles solved: ${arms.map((arm) => `${ARMS[arm][0]} ${percent(arm, 'puzzles')}`).join(', ')}. Chance is 25 %.`;
  }

  // --- what comes of it ----------------------------------------------------------------------------------------

  async open() {
    if (this.opening) return;
    this.opening = true;
    this.find('open-trained').disabled = true;
    try {
      const { job, source, settings, cut } = await this.api.call('train_open', { run: this.view.run });
      if (!job) { openInExplore({ ...source, cut }); return; }
      wishAgain({ tab: 'Explore', film: source, settings, cut });
      for (let view = { done: false }; !view.done;) {
        view = await this.api.call('train_opening', { job });
        this.find('trained-said').textContent = view.done ? 'Opening Explore' : `${view.stage} …`;
        if (view.cancelled) throw new Error('It was not opened: another checkpoint was chosen meanwhile.');
        await new Promise((resolve) => { setTimeout(resolve, OPENING_MS); });
      }
      beginAgain();
    } catch (error) {
      wishAgain(null);
      this.page.complain(error);
      this.drawEnd();
    } finally {
      this.opening = false;
      this.find('open-trained').disabled = false;
    }
  }

  async download() {
    const button = this.find('keep-trained');
    button.disabled = true;
    try {
      const { url, name } = await this.api.call('train_zip', { run: this.view.run });
      saveAs(name, await (await fetch(url)).blob());
    } catch (error) { this.page.complain(error); }
    button.disabled = false;
  }
}

const over = ({ state }) => ['done', 'stopped', 'failed'].includes(state);

function about(seconds) {
  if (seconds < 55) return `about ${Math.max(10, Math.ceil(seconds / 10) * 10)} seconds`;
  const minutes = seconds / 60;
  return `about ${minutes < 3 ? (Math.round(2 * minutes) / 2).toLocaleString('en') : Math.round(minutes)} ${minutes > 1.25 ? 'minutes' : 'minute'}`;
}

function remembered(key) {
  try { return JSON.parse(localStorage.getItem(key)); } catch { return null; }
}
