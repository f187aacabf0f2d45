// The Explore page: opens films, keeps the four views on one clock, re-cuts and captions as the settings change.

import { again, reopen } from './again.js';
import { CaptionList } from './captions.js';
import { Compare } from './compare.js';
import { Controls } from './controls.js';
import { clockTime, element, indexAt, many, saveAs, showShare, unpack } from './lib.js';
import { MapView, loadPlotly } from './map.js';
import { Player } from './player.js';
import { Api } from './server.js';
import { openTab, session } from './session.js';
import { Store } from './store.js';
import { Sweep } from './sweep.js';
import { Timeline } from './timeline.js';

const READOUTS = {
  decoder: ['written by the decoder', 'The decoder writes each sentence from the embedding alone: fluent, and at times wrong.'],
  bank: ['nearest sentence of the bank', 'Each caption is the stored sentence nearest to the embedding: never a new one.'],
};
const FIT_POLL_MS = 300;

export function mount({ element: root, server }) {
  return new Explore(root.querySelector('.vlj-explore'), new Api(server));
}

class Explore {
  constructor(root, api) {
    [this.root, this.api, this.store] = [root, api, new Store()];
    const seek = (seconds) => this.player.seek(seconds);
    this.player = new Player(root, this.store);
    this.player.video.addEventListener('durationchange', () => this.showMeta());
    this.map = new MapView(root, this.store, seek);
    this.timeline = new Timeline(root, this.store, seek);
    this.captions = new CaptionList(root, this.store, seek);
    this.compare = new Compare(root, this.store, api, { seek, request: () => this.request(),
      sample: () => session.source?.sample, complain: (error) => this.complain(error) });
    this.sweep = new Sweep(this.root, this.store, api, (error) => this.complain(error));
    this.controls = new Controls(root, this.store, () => this.watchAgain());
    this.listen();
    this.begin();
  }

  find(name) { return this.root.querySelector(`.vlj-${name}`); }

  async begin() {
    try {
      this.about = await this.api.call('hello');
    } catch (error) { this.complain(error); return; }
    this.map.setLandmarks(this.about.landmarks);
    this.controls.introduce(this.about);
    this.showSamples(this.about.samples);
    this.showLimits(this.about.limits);
    this.map.applySettings();
    this.catchUp();
    this.root.dataset.ready = 'true';
    loadPlotly().catch((error) => this.complain(error)); // before the first film needs it
    document.addEventListener('vlj-open', () => this.openWanted());
    this.openWanted();
    if (again.cut) this.store.change(again.cut);
    reopen(this.api);
  }

  // --- events --------------------------------------------------------------------------------------------------

  listen() {
    this.find('file').addEventListener('change', (event) => {
      const [file] = event.target.files;
      event.target.value = ''; // the same file can be chosen again
      if (file) session.openFile(this.api, file, this.stream);
    });
    this.find('samples').addEventListener('click', (event) => {
      const card = event.target.closest('.vlj-sample');
      if (card) session.open(this.api, { sample: card.dataset.name, title: card.dataset.title }, this.stream);
    });
    this.find('fit').addEventListener('click', () => this.fitMap());
    this.find('ask-segment').addEventListener('click', () => this.askAboutSegment());
    for (const name of ['back', 'cancel']) this.find(name).addEventListener('click', () => session.leave());
    this.find('alert-close').addEventListener('click', () => { this.find('alert').hidden = true; });
    this.find('downloads').addEventListener('click', (event) => {
      if (event.target.dataset.file) this.download(event.target);
    });
    this.store.on('settings', () => this.recut());
    this.store.on('cut', () => this.showLedger());
    this.store.on('time', () => { if (this.root.offsetParent) session.time = this.store.time; });
    this.listenToSession();
    document.addEventListener('keydown', (event) => this.key(event));
    document.addEventListener('pointerdown', (event) => { // a help text closes when one looks elsewhere
      for (const help of this.root.querySelectorAll('details[open]:not(.vlj-card)')) if (!help.contains(event.target)) help.open = false;
    });
    this.acceptDrops();
  }

  acceptDrops() {
    // anywhere on the page: a file that misses its target by a little would else replace the app
    const mine = (event) => this.root.offsetParent && [...event.dataTransfer?.types ?? []].includes('Files');
    const sweep = this.find('sweep'); // takes annotations, not films
    const over = (target) => {
      this.root.classList.toggle('vlj-over', Boolean(target && !sweep.contains(target)));
      sweep.classList.toggle('vlj-over', sweep.contains(target));
    };
    document.addEventListener('dragover', (event) => { if (mine(event)) { event.preventDefault(); over(event.target); } });
    document.addEventListener('dragleave', (event) => { if (!event.relatedTarget) over(null); });
    document.addEventListener('drop', (event) => {
      over(null);
      if (!mine(event)) return;
      event.preventDefault();
      const [file] = event.dataTransfer.files;
      if (!file) return;
      if (sweep.contains(event.target)) this.sweep.take(file); else session.openFile(this.api, file, this.stream);
    });
  }

  key(event) {
    if (!this.root.offsetParent || this.root.dataset.state === 'start') return;
    if ((event.ctrlKey || event.metaKey) && event.key === 'z' && !writes(event.target)) {
      event.preventDefault();
      this.controls.undo();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || writes(event.target) || event.target.type === 'radio') return;
    if (event.key === '?') this.find('keys').open = !this.find('keys').open;
    if (event.key === ' ' && (!event.target.closest('button, summary, a') || event.target.closest('.vlj-segment, .vlj-caption'))) {
      event.preventDefault();
      this.player.toggle();
    }
    const direction = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (direction && event.target.type !== 'range') {
      event.preventDefault();
      this.step(direction, event.target);
    }
  }

  // To the next or the previous segment; the focus goes along if it is on one.
  step(direction, from) {
    const segments = this.store.cut?.segments;
    if (!segments?.length) return;
    const now = indexAt(segments, this.store.time);
    const back = direction < 0 && this.store.time - segments[now].start_s > 1; // first to the start of this one
    const index = Math.min(Math.max(now + (back ? 0 : direction), 0), segments.length - 1);
    this.player.seek(segments[index].start_s);
    const kind = ['vlj-segment', 'vlj-caption'].find((name) => from.classList?.contains(name));
    if (kind) this.root.querySelector(`.${kind}[data-index="${index}"]`).focus({ preventScroll: true });
  }

  // --- opening -------------------------------------------------------------------------------------------------

  get stream() { // what shapes the stream itself
    const { query, rate_hz } = this.store.settings;
    return { query, rate_hz };
  }

  // What another tab has sent here, once.
  openWanted() {
    const wanted = window.vljWanted;
    window.vljWanted = null;
    if (wanted?.cut) this.store.change(wanted.cut);
    if (wanted) session.open(this.api, wanted, this.stream);
  }

  listenToSession() {
    const on = (name, listener) => session.addEventListener(name, ({ detail }) => listener(detail));
    on('opening', ({ title }) => this.startWork(title));
    on('progress', ({ stage, fraction }) => this.showProgress(stage, fraction));
    on('preview', (preview) => this.preview(preview));
    on('points', ({ packed }) => this.extend(packed));
    on('film', ({ film }) => this.show(film));
    on('left', () => this.leave());
    on('failed', ({ error }) => { if (session.api === this.api) this.complain(error); });
    // another tab may have moved on in the film while this one was out of sight
    new IntersectionObserver(([{ isIntersecting }]) => {
      if (!isIntersecting) this.player.video.pause();
      else if (this.store.film && Math.abs(session.time - this.store.time) > 0.05) this.player.seek(session.time);
    }).observe(this.find('work'));
  }

  askAboutSegment() {
    const segments = this.store.cut?.segments;
    if (!segments?.length) return;
    const { start_s, end_s } = segments[indexAt(segments, this.store.time)];
    session.about = { from_s: start_s, to_s: end_s };
    session.tell('about');
    openTab('Ask');
  }

  // What happened before this tab was drawn for the first time.
  catchUp() {
    if (session.state === 'start') return;
    const { time } = session; // before this tab's own beginning at 0 becomes everybody's
    this.startWork(session.source.title);
    if (session.preview) this.preview(session.preview);
    for (const packed of session.points) this.extend(packed);
    if (session.film) { this.show(session.film); this.player.seek(time); }
  }

  // The film can be played, and its path grows on the map, while it is still being read.
  preview({ media, seconds }) {
    this.player.load(media);
    this.timeline.begin(seconds);
    if (this.about.landmarks) this.map.begin('landmarks');
  }

  extend(packed) {
    const [t, novelty, ...place] = unpack(packed, 7);
    this.timeline.extend(t, novelty);
    if (this.about.landmarks) this.map.extend(t, place);
  }

  startWork(title) {
    this.stopFitting();
    this.find('alert').hidden = true;
    this.player.video.pause();
    this.store.set({ film: null, cut: null, time: 0, hover: null });
    this.asked = this.answered = null; // else the same film with the same settings would not be cut
    this.find('title').textContent = title;
    this.find('meta').textContent = '';
    this.root.dataset.state = 'working';
    this.find('progress').hidden = false;
    this.showProgress('Opening', 0);
  }

  showProgress(stage, fraction) { showShare(this.find('progress'), stage, fraction); }

  leave() {
    this.stopFitting();
    this.player.video.pause();
    this.player.load(null);
    this.store.set({ film: null, cut: null, time: 0 });
    this.find('progress').hidden = true;
    this.root.dataset.state = 'start';
  }

  show(film) {
    this.find('progress').hidden = true;
    this.root.dataset.state = 'ready';
    this.store.set({ film, time: 0 });
    this.player.load(film.media);
    this.map.show(film);
    this.showMeta();
    if (film.warning) this.complain(new Error(film.warning), 'note');
    if (again.time) { this.player.seek(again.time); again.time = 0; }
    this.recut();
  }

  // The player of a film that is cut off shows the length that its file promises; what could be read of it stands here.
  showMeta() {
    const { film } = this.store;
    if (!film) return;
    const promised = this.player.video.duration;
    const length = film.warning && promised > film.seconds + 1 ? `${clockTime(film.seconds)} of ${clockTime(promised)} readable` : clockTime(film.seconds);
    const size = film.width ? ` · ${film.width} × ${film.height}` : '';
    this.find('meta').textContent = `${length}${size} · ${many(film.steps, 'embedding')}` + (film.query ? ` · query “${film.query}”` : '');
  }

  // The map of this film alone, or back to the common one.
  async fitMap() {
    const { film } = this.store;
    if (this.fitting) { this.stopFitting(); return; }
    if (!film) return;
    if (this.map.own) { this.map.showOwn(null); return; }
    const fitting = this.fitting = { since: performance.now() };
    try {
      fitting.job = (await this.api.call('fit_map', { film: film.key })).job;
      for (let done = false; !done; await new Promise((resolve) => { setTimeout(resolve, FIT_POLL_MS); })) {
        if (this.fitting !== fitting) { this.api.call('cancel', { job: fitting.job }).catch(() => {}); return; } // it ends by itself, too
        this.find('fit').textContent = `Stop · ${Math.floor((performance.now() - fitting.since) / 1000)} s`;
        ({ done } = await this.api.call('progress', { job: fitting.job }));
      }
      const own = await this.api.call('own_map', { film: film.key });
      if (this.fitting === fitting) this.map.showOwn(own);
    } catch (error) { if (this.fitting === fitting) this.complain(error); }
    if (this.fitting === fitting) this.stopFitting();
  }

  stopFitting() {
    this.fitting = null;
    this.find('fit').textContent = 'Fit to film';
  }

  watchAgain() { if (session.source) session.open(this.api, session.source, this.stream); }

  // --- cutting and captions ------------------------------------------------------------------------------------

  request() {
    const { method, count, interval, smoothing_s, min_length_s, decode_at } = this.store.settings;
    const value = { auto: null, count, interval }[method];
    return { film: this.store.film.key, method, value, smoothing_s, min_length_s, readout: this.store.readout, decode_at };
  }

  // The newest settings win: one request at a time, and what changed meanwhile goes next.
  async recut() {
    this.showReadout();
    if (!this.store.film) return;
    const wanted = JSON.stringify(this.request());
    if (wanted === this.asked) return;
    this.asked = wanted;
    if (this.cutting) return;
    this.cutting = true;
    try {
      while (this.store.film && this.asked !== this.answered) {
        const asking = this.asked;
        this.accept(await this.api.call('cut', JSON.parse(asking)), asking);
      }
    } catch (error) { this.complain(error); this.asked = null; } finally { this.cutting = false; }
    this.read();
  }

  accept(view, asked) {
    if (this.store.film?.key !== JSON.parse(asked).film) return;
    this.answered = asked;
    const [strength] = unpack(view.strength, 1);
    this.store.set({ cut: { ...view, strength, asked: JSON.parse(asked) } });
  }

  async read() {
    if (this.reading) return;
    this.reading = true;
    try {
      while (this.store.cut?.missing && !this.cutting) {
        const asking = this.answered;
        const view = await this.api.call('caption', JSON.parse(asking));
        if (asking === this.answered && !this.cutting) this.accept(view, asking);
      }
    } catch (error) { this.complain(error); } finally { this.reading = false; }
  }

  async download(button) {
    if (!this.store.film) return;
    button.disabled = true;
    try {
      const { files } = await this.api.call('export', this.request());
      const file = files.find(({ name }) => name.endsWith(`.${button.dataset.file}`));
      const answer = await fetch(file.url);
      if (!answer.ok) throw new Error('The file could not be fetched; try again.');
      saveAs(file.name, await answer.blob()); // so that the name is ours, not the server's
    } catch (error) { this.complain(error); } finally { button.disabled = false; }
  }

  // --- what is said --------------------------------------------------------------------------------------------

  showSamples(samples) {
    this.find('samples').replaceChildren(...samples.map(({ name, title, poster }) => {
      const card = element('button', 'vlj-sample');
      card.type = 'button';
      Object.assign(card.dataset, { name, title });
      const image = element('img');
      image.alt = '';
      image.src = poster ?? '';
      card.append(image, element('span', '', title));
      return card;
    }));
  }

  showLimits(limits) {
    for (const box of this.root.querySelectorAll('.vlj-limits')) {
      box.hidden = !limits.length;
      box.querySelector('ul').replaceChildren(...limits.map(({ value, meaning }) => {
        const item = element('li');
        item.append(element('b', '', value), element('span', '', meaning));
        return item;
      }));
    }
  }

  showReadout() {
    const { readout } = this.store;
    const fact = this.find('readout-fact');
    const [how, meaning] = READOUTS[readout];
    fact.replaceChildren('Captions: ', element('b', '', how));
    this.find('readout-meaning').textContent = meaning;
  }

  showLedger() {
    const { cut, film } = this.store;
    const ledger = this.find('ledger');
    if (!cut || !film) { ledger.textContent = ''; return; }
    const { selective, uniform_1hz: uniform } = cut.decodes;
    const saved = uniform > selective ? `${Math.round(100 * (1 - selective / uniform))} % of decoding saved` : 'nothing saved by this cut';
    ledger.replaceChildren(element('b', '', String(selective)), ` ${selective === 1 ? 'decode' : 'decodes'} instead of `,
      element('b', '', String(uniform)), ' at one a second: ', element('b', 'vlj-saved', saved));
    if (cut.agreement === null) return;
    ledger.append(' · the ', element('b', '', String(film.reference_s.length)), film.reference_s.length === 1 ? ' cut' : ' cuts',
      ' made live (◆) and these agree to ', element('b', '', `${Math.round(100 * cut.agreement)} %`), ' (F1, within a second)');
  }

  complain(error, kind = 'error') {
    this.find('alert').dataset.kind = kind;
    this.find('alert-text').textContent = error.message;
    this.find('alert').hidden = false;
  }
}

const writes = (target) => /^(text|search|number)$/.test(target.type ?? '') || target.isContentEditable;
