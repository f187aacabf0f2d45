// The Ask page: a question, labels or a search about the film that all tabs share, and the evidence on one clock.

import { again, reopen } from './again.js';
import { AnswerCard } from './ask_answer.js';
import { QueryBox } from './ask_box.js';
import { isYesNo, stretches, unpackResult } from './ask_evidence.js';
import { History } from './ask_history.js';
import { LibraryPanel } from './ask_library.js';
import { LiveFollower, livePath } from './ask_live.js';
import { StarMap } from './ask_map.js';
import { EvidenceStrip } from './ask_strip.js';
import { clockTime, element, indexAt, many, saveAs, showShare, unpack } from './lib.js';
import { loadPlotly } from './map.js';
import { Player } from './player.js';
import { Api } from './server.js';
import { session } from './session.js';
import { Store, DEFAULTS as CUT } from './store.js';

const POLL_MS = 200;
const LIVE_TRIES = 50;
const SETTLE_MS = 250; // of a drag or of typing, before it is asked again
const DEFAULTS = { ...CUT, mode: 'question', question: '', search: '', answers: '[]', labels: '[]', several: false, blank: false, prompts: '',
  where: 'film', library: '', folder: '' };
const EXAMPLES = [
  { film: 0, kind: 'question', text: 'Is there a motorcycle?', answers: [], say: 'Is there a motorcycle?' },
  { film: 0, kind: 'search', text: 'a motorcycle in a garage', say: 'Find a motorcycle in a garage' },
  { film: 0, kind: 'label', labels: ['astronaut', 'rocket', 'cat', 'motorcycle', 'cup of coffee', 'cheetah', 'tower', 'lion'], several: false, say: 'Which of eight things, and when?' },
];
const IDEAS = {
  question: ['Is there a motorcycle?', 'Is there a person?', 'What animal is this?', 'What colour is it?'],
  search: ['a cup of coffee', 'a rocket at night', 'a red motorcycle', 'an animal running', 'a person with a camera'],
};

export function mount({ element: root, server }) {
  return new Ask(root.querySelector('.vlj-ask'), new Api(server));
}

class AskStore extends Store {
  result = null; // what the server answered, its arrays unpacked
  part = null; // [from, to] in seconds, or null for all of the film
  selected = 0; // the answer whose curve is drawn
  shown = null; // 'now' or 'part' once the viewer chose
  stretches = [];
  stops = []; // [{ second, name, value }] to step through, in time

  captionAt(second) {
    const segments = this.cut?.segments;
    return segments?.length ? segments[indexAt(segments, second)].caption ?? '' : '';
  }
}

class Ask {
  constructor(root, api) {
    [this.root, this.api, this.store] = [root, api, new AskStore('vljepa.ask', DEFAULTS)];
    const seek = (seconds) => this.player.seek(seconds);
    this.player = new Player(root, this.store);
    this.player.track.mode = 'disabled'; // the answer stands there
    this.map = new StarMap(root, this.store, seek);
    this.strip = new EvidenceStrip(root, this.store, seek, (part) => this.choosePart(part));
    this.answer = new AnswerCard(root, this.store, seek, (span) => this.run({ kind: 'search', text: '', like: span }));
    this.box = new QueryBox(root, this.store, { submit: () => this.submit(), changed: () => this.changed(),
      note: (text) => this.complain(new Error(text), 'note') });
    this.library = new LibraryPanel(root, this.store, api, { open: (...hit) => this.openHit(...hit), complain: (...told) => this.complain(...told),
      progress: (stage, fraction) => this.showLibraryProgress(stage, fraction) });
    this.live = new LiveFollower(api, (answer) => this.hearLive(answer), (error) => { this.busy(false); this.complain(error); });
    this.history = new History(root.querySelector('.vlj-recent'), (request) => this.again(request), () => this.undo());
    this.past = [];
    this.kept = {}; // the last result of each mode, so that a look at another one loses nothing
    this.listen();
    this.begin();
  }

  find(name) { return this.root.querySelector(`.vlj-${name}`); }

  async begin() {
    try { this.about = await this.api.call('hello'); } catch (error) { this.complain(error); return; }
    this.map.setLandmarks(this.about.landmarks);
    this.showSamples();
    this.showExamples();
    this.showAdvanced();
    this.find('where').querySelector('[data-where=library]').hidden = !this.about.library; // for who sits at this machine
    if (!this.about.library || this.store.settings.where === 'live') this.store.change({ where: 'film' });
    if (this.about.library) this.library.introduce(this.about.library);
    if (!this.about.questions) this.withoutQuestions();
    this.map.applySettings();
    this.catchUp();
    this.goOn();
    this.root.dataset.ready = 'true';
    loadPlotly().catch((error) => this.complain(error));
  }

  // After a change of the checkpoint: the same film or stream, and the same question of the new model.
  async goOn() {
    const { asked, followsLive } = again;
    again.asked = again.followsLive = null;
    if (followsLive) await this.waitForLive(); else reopen(this.api);
    if (!asked) return;
    if (asked.kind === 'question' && !this.about.questions) {
      this.complain(new Error('This checkpoint takes no questions: it can classify and find. Your question is kept.'), 'note');
      return;
    }
    this.box.restore(asked);
    if (this.store.film) this.run(asked); else if (session.state !== 'start') this.waiting = asked;
  }

  async waitForLive() {
    for (let tries = 0; tries < LIVE_TRIES; tries += 1) {
      if (await this.live.running()) {
        this.find('where').querySelector('[data-where=live]').hidden = false;
        this.look('live');
        return;
      }
      await new Promise((resolve) => { setTimeout(resolve, 2 * POLL_MS); });
    }
    this.complain(new Error('The live stream did not go on: start it in the Live tab.'), 'note');
  }

  // --- events ----------------------------------------------------------------------------------------------------

  listen() {
    this.find('file').addEventListener('change', (event) => {
      const [file] = event.target.files;
      event.target.value = '';
      if (file) session.openFile(this.api, file, this.stream);
    });
    this.root.addEventListener('dragover', (event) => { event.preventDefault(); this.root.classList.add('vlj-over'); });
    this.root.addEventListener('dragleave', () => this.root.classList.remove('vlj-over'));
    this.root.addEventListener('drop', (event) => {
      event.preventDefault();
      this.root.classList.remove('vlj-over');
      const [file] = event.dataTransfer.files;
      if (file) session.openFile(this.api, file, this.stream);
    });
    this.find('samples').addEventListener('click', ({ target }) => {
      const card = target.closest('.vlj-sample');
      if (card) session.open(this.api, { sample: card.dataset.name, title: card.dataset.title }, this.stream);
    });
    this.find('back').addEventListener('click', () => { if (this.isLive) this.look('film'); session.leave(); });
    this.find('cancel').addEventListener('click', () => this.cancel());
    this.find('alert-close').addEventListener('click', () => { this.find('alert').hidden = true; });
    this.find('where').addEventListener('click', ({ target }) => { if (target.dataset.where) this.look(target.dataset.where); });
    new IntersectionObserver(([{ isIntersecting }]) => this.offerLive(isIntersecting)).observe(this.find('query'));
    this.find('lib-cancel').addEventListener('click', () => this.library.stop());
    this.find('part').addEventListener('click', () => this.choosePart(null));
    this.find('downloads').addEventListener('click', ({ target }) => { if (target.dataset.file) this.download(target); });
    this.root.addEventListener('click', ({ target }) => { if (target.closest('[data-idea]')) this.tryIdea(target.closest('[data-idea]').dataset.idea); });
    this.root.querySelector('.vlj-second > .vlj-advanced .vlj-sheet').addEventListener('change', (event) => this.advanced(event.target));
    document.addEventListener('keydown', (event) => this.key(event));
    document.addEventListener('pointerdown', ({ target }) => {
      for (const help of this.root.querySelectorAll('details[open]')) if (!help.contains(target)) help.open = false;
    });
    this.store.on('time', () => { if (this.root.offsetParent) session.time = this.store.time; });
    this.store.on('settings', () => this.modeChanged());
    this.listenToSession();
  }

  get stream() { return { query: '', rate_hz: this.about.rate_hz }; }

  listenToSession() {
    const on = (name, listener) => session.addEventListener(name, ({ detail }) => listener(detail));
    on('opening', ({ title }) => { if (this.isLive) this.look('film'); this.startWork(title); });
    on('progress', ({ stage, fraction }) => this.showProgress(stage, fraction));
    on('preview', (preview) => this.preview(preview));
    on('points', ({ packed }) => this.extend(packed));
    on('film', ({ film }) => this.show(film));
    on('left', () => this.leave());
    on('about', () => this.takeUp());
    on('failed', ({ error }) => { if (session.api === this.api) this.complain(error); });
    new IntersectionObserver(([{ isIntersecting }]) => {
      if (!isIntersecting) this.player.video.pause();
      else if (this.store.film && Math.abs(session.time - this.store.time) > 0.05) this.player.seek(session.time);
    }).observe(this.find('work'));
  }

  catchUp() {
    if (session.state === 'start') return;
    const { time } = session; // before this tab's own beginning at 0 becomes everybody's
    this.startWork(session.source.title);
    if (session.preview) this.preview(session.preview);
    for (const packed of session.points) this.extend(packed);
    if (session.film) { this.show(session.film); this.player.seek(time); }
  }

  key(event) {
    if (!this.root.offsetParent) return;
    const { target, key } = event;
    const writing = /^(text|search|number|textarea)$/.test(target.type ?? '');
    if (key === '/' && !writing) { event.preventDefault(); this.box.box.focus(); this.box.box.select(); return; }
    if (target === this.box.box && (key === 'ArrowUp' || key === 'ArrowDown')) { this.recall(key === 'ArrowUp' ? 1 : -1, event); return; }
    if (key === 'Escape') { if (writing) target.blur(); else if (this.store.part) this.choosePart(null); return; }
    if (writing || this.root.dataset.state !== 'ready') return;
    if ((event.ctrlKey || event.metaKey) && key === 'z') { event.preventDefault(); this.undo(); return; }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (key === ' ' && (!target.closest('button, summary, a, [type=checkbox]') || target.closest('.vlj-peak, .vlj-segment'))) {
      event.preventDefault();
      this.player.toggle();
    }
    const direction = { ArrowRight: 1, ArrowLeft: -1 }[key];
    if (direction && !target.closest('video, .vlj-switch')) { event.preventDefault(); this.step(direction, target); }
  }

  // To the next or the previous thing found; without a result, to the next segment.
  step(direction, from) {
    const seconds = (this.store.stops.length ? this.store.stops.map(({ second }) => second)
      : (this.store.cut?.segments ?? []).map(({ start_s }) => start_s)).sort((a, b) => a - b);
    const now = this.store.time;
    const next = direction > 0 ? seconds.find((second) => second > now + 0.05) : seconds.findLast((second) => second < now - 0.05);
    if (next === undefined) return;
    this.player.seek(next);
    if (from.closest('.vlj-peak')) this.root.querySelector(`.vlj-peak[data-second="${next}"]`)?.focus({ preventScroll: true });
  }

  // ArrowUp in the box goes back through what was asked in this mode.
  recall(step, event) {
    const requests = this.history.of(this.store.settings.mode);
    if (!requests.length || this.store.settings.mode === 'label') return;
    event.preventDefault();
    this.recalled = Math.min(Math.max((this.recalled ?? -1) + step, -1), requests.length - 1);
    const text = this.recalled < 0 ? '' : requests[this.recalled].text;
    this.store.change({ [this.store.settings.mode]: text });
    this.box.box.value = text;
  }

  // --- the film --------------------------------------------------------------------------------------------------

  startWork(title) {
    this.find('alert').hidden = true;
    this.player.video.pause();
    this.clear();
    this.store.set({ film: null, cut: null, time: 0, hover: null });
    this.find('title').textContent = title;
    this.find('meta').textContent = '';
    this.root.dataset.state = 'working';
    this.find('filmbar .vlj-progress').hidden = false;
    this.showProgress('Opening', 0);
    this.showIdeas();
  }

  clear() {
    this.stopAsking();
    [this.past, this.kept] = [[], {}];
    this.history?.canUndo(false);
    this.store.set({ part: null, shown: null, selected: 0, stretches: [], stops: [] });
    this.store.set({ result: null });
    this.request = session.asked = null;
    this.showPart();
    this.find('downloads').hidden = true;
  }

  preview({ media, seconds }) {
    this.player.load(media);
    if (this.landing) this.player.video.currentTime = this.landing.second; // it can be seen before it has been watched
    this.strip.begin(seconds);
    if (this.about.landmarks) this.map.begin('landmarks');
  }

  extend(packed) {
    const [t, novelty, ...place] = unpack(packed, 7);
    this.strip.extend(t, novelty);
    if (this.about.landmarks) this.map.extend(t, place);
  }

  showProgress(stage, fraction) {
    showShare(this.find('filmbar .vlj-progress'), stage, fraction);
  }

  leave() {
    this.player.video.pause();
    this.player.load(null);
    this.clear();
    this.store.set({ film: null, cut: null, time: 0 });
    this.find('filmbar .vlj-progress').hidden = true;
    this.root.dataset.state = 'start';
    this.waiting = this.landing = null;
  }

  show(film) {
    this.find('filmbar .vlj-progress').hidden = true;
    this.root.dataset.state = 'ready';
    this.store.set({ film, time: 0 });
    this.player.load(film.media);
    this.map.show(film);
    const size = film.width ? ` · ${film.width} × ${film.height}` : '';
    this.find('meta').textContent = `${clockTime(film.seconds)}${size}`;
    for (const name of ['from', 'to']) this.root.querySelector(`input[name=${name}]`).max = film.seconds;
    if (film.warning) this.complain(new Error(film.warning), 'note');
    this.showIdeas();
    this.readSegments();
    this.takeUp();
    if (this.landing) {
      const { second, request } = this.landing;
      this.landing = null;
      this.player.seek(second);
      if (request) this.run(request, { seek: false });
    }
    if (again.time) { this.player.seek(again.time); again.time = 0; }
    if (this.waiting) { const request = this.waiting; this.waiting = null; this.run(request); }
  }

  // A segment that another tab wants to ask about.
  takeUp() {
    if (!session.about || !this.store.film) return;
    const { from_s, to_s } = session.about;
    session.about = null;
    this.choosePart([from_s, to_s]);
    this.player.seek(from_s);
    this.box.box.focus();
  }

  // --- the live stream -------------------------------------------------------------------------------------------

  get isLive() { return this.store.settings.where === 'live'; }

  // When this tab comes into sight: is there a stream to ask about?
  async offerLive(inSight) {
    if (!inSight) { this.live.stop(); return; }
    const running = await this.live.running();
    this.find('where').querySelector('[data-where=live]').hidden = !running;
    if (this.isLive) { if (running) this.follow(); else this.look('film'); }
  }

  showWhere() {
    const { where, mode } = this.store.settings;
    const shown = where === 'library' && mode !== 'search' ? 'film' : where; // only searching looks through a library
    this.find('where').querySelectorAll('[data-where]').forEach((button) => button.setAttribute('aria-pressed', String(button.dataset.where === shown)));
  }

  look(where) {
    const before = this.store.settings.where;
    this.store.change({ where });
    if (where === 'live') this.follow(); else if (before === 'live') this.unfollow();
    this.box.box.focus();
  }

  follow() {
    this.startWork('Live');
    this.find('filmbar .vlj-progress').hidden = true;
    this.player.load(null);
    this.find('no-player').hidden = true;
    this.find('mirror').hidden = false;
    this.root.dataset.state = 'ready';
    this.store.set({ film: { live: true, key: '', seconds: 1, rate_hz: 2, title: 'Live' } });
    this.find('meta').textContent = 'the last half minute, asked again as it goes on';
    if (this.about.landmarks) this.map.begin('landmarks');
    this.live.start();
  }

  unfollow() {
    this.live.stop();
    this.find('mirror').hidden = true;
    this.leave();
    this.catchUp();
  }

  hearLive({ running, seconds, jpeg, path, view, request }) {
    if (!running) {
      this.complain(new Error('The live stream is over: start it in the Live tab, or choose a film.'), 'note');
      this.look('film');
      return;
    }
    this.find('mirror').src = `data:image/jpeg;base64,${jpeg}`;
    this.store.film.seconds = Math.max(seconds, 1);
    const places = livePath(path);
    if (places) { this.map.path = places; this.map.refill(); }
    if (!view) { this.strip.draw(); this.store.set({ time: seconds }); return; }
    const result = unpackResult(view);
    result.strip.calibrated = this.about.calibrated;
    if (request !== this.shownRequest) { this.shownRequest = request; this.history.add(this.request); this.busy(false); }
    this.store.time = seconds; // now
    this.present(result);
    this.store.set({ time: seconds });
  }

  // A moment that was found in the library: its film, at its second, with the same search in it.
  openHit(source, second, text) {
    const same = this.store.film && session.source?.video === source.video;
    const request = text ? { kind: 'search', text } : null;
    if (same) { this.player.seek(second); if (request && this.request?.text !== text) this.run(request, { seek: false }); return; }
    session.open(this.api, source, this.stream);
    this.landing = { second, request };
  }

  showLibraryProgress(stage, fraction) {
    const box = this.find('lib-progress');
    box.hidden = stage === null;
    if (stage !== null) showShare(box, stage, fraction);
  }

  async readSegments() {
    const { film } = this.store;
    const request = { film: film.key, method: 'auto', value: null, smoothing_s: 0, min_length_s: 1, readout: this.about.readouts[0] };
    const accept = (view) => { if (this.store.film === film) this.store.set({ cut: { ...view, strength: unpack(view.strength, 1)[0] } }); };
    try {
      accept(await this.api.call('cut', request));
      while (this.store.film === film && this.store.cut.missing) accept(await this.api.call('caption', request));
    } catch (error) { if (this.store.film === film) this.complain(error); }
  }

  // --- asking ----------------------------------------------------------------------------------------------------

  modeChanged() {
    const { mode } = this.store.settings;
    this.showIdeas();
    this.showWhere();
    if (mode === this.lastMode) return;
    this.lastMode = mode;
    this.stopAsking();
    const kept = this.kept[mode];
    this.live.request = null;
    if (this.isLive || !kept || JSON.stringify(kept.part) !== JSON.stringify(this.store.part)) { this.forget(); return; }
    [this.request, this.full] = [kept.request, kept.full];
    this.present(kept.result);
  }

  submit() {
    this.find('alert').hidden = true;
    if (this.library.active) {
      this.library.search({ text: this.store.settings.search });
      return;
    }
    const request = this.box.mode === 'label' ? this.labels() : { kind: this.box.mode, text: this.store.settings[this.box.mode],
      ...this.box.mode === 'question' ? { answers: this.box.texts } : {} };
    if (request) this.run(request);
  }

  labels() {
    const { several } = this.store.settings;
    return { kind: 'label', labels: this.box.texts, several };
  }

  // Labels are scored as they change; a question waits until it is asked.
  changed() {
    this.find('alert').hidden = true;
    const { mode, several } = this.store.settings;
    clearTimeout(this.settling);
    if (!this.store.film) return;
    if (mode === 'label') {
      if (this.box.texts.length >= (several ? 1 : 2)) this.settling = setTimeout(() => this.run(this.labels()), 0);
      else if (this.store.result?.kind === 'label') this.forget();
    } else if (mode === 'question' && this.request?.kind === 'question' && this.request.text === this.store.settings.question.trim()) {
      this.settling = setTimeout(() => this.submit(), SETTLE_MS);
    }
  }

  again(request) {
    this.box.restore(request);
    this.run(request);
  }

  choosePart(part) {
    if (this.isLive) return; // what was a part a moment ago is another one now
    this.store.set({ part, shown: null });
    this.showPart();
    if (!this.request || this.request.like) return;
    clearTimeout(this.settling);
    this.settling = setTimeout(() => this.run(this.request, { seek: false }), SETTLE_MS);
  }

  showPart() {
    const { part } = this.store;
    this.find('part').hidden = !part;
    if (part) this.find('part').firstChild.textContent = `${clockTime(part[0], true)}–${clockTime(part[1], true)}`;
    this.find('part').setAttribute('aria-label', part ? `Only ${clockTime(part[0], true)} to ${clockTime(part[1], true)}; press to ask about the whole film` : 'The whole film');
    const inputs = ['from', 'to'].map((name) => this.root.querySelector(`input[name=${name}]`));
    inputs.forEach((input, i) => { if (document.activeElement !== input) input.value = part ? part[i] : ''; });
  }

  advanced(input) {
    if (input.name === 'blank') { this.store.change({ blank: input.checked }); if (this.request?.kind === 'question') this.run(this.request, { seek: false }); }
    if (input.name === 'prompts') { this.store.change({ prompts: input.value }); this.changed(); }
    if (input.name === 'from' || input.name === 'to') this.typePart();
  }

  typePart() {
    const [from, to] = ['from', 'to'].map((name) => this.root.querySelector(`input[name=${name}]`).value);
    if (from === '' && to === '') { this.choosePart(null); return; }
    // what is left out is the film's own beginning or end; whether the part makes sense the server says
    const end = this.store.film?.seconds ?? 0;
    const part = [from === '' ? 0 : Number(from), to === '' ? end : Number(to)];
    if (part[0] === 0 && part[1] === end) { this.choosePart(null); return; }
    this.choosePart(part);
    if (!this.request) this.checkPart();
  }

  checkPart() {
    const [from, to] = this.store.part;
    const end = this.store.film?.seconds ?? Infinity;
    if (from >= 0 && from < to && from < end && to <= end + 0.5) { this.find('alert').hidden = true; return; }
    this.complain(new Error(`The part must lie within the film's 0 to ${end.toFixed(1)} seconds, its beginning before its end.`));
  }

  async run(request, { seek = true } = {}) {
    if (!this.store.film) {
      this.waiting = request;
      if (this.root.dataset.state === 'start') this.complain(new Error('Choose a film first: it is asked as soon as it has been watched.'), 'note');
      return;
    }
    if (this.find('alert').dataset.kind !== 'note') this.find('alert').hidden = true;
    this.stopAsking();
    session.asked = request;
    if (this.isLive) {
      this.request = request;
      this.busy(true);
      this.live.request = { ...request, blank: this.store.settings.blank, prompts: this.store.settings.prompts };
      return;
    }
    const asking = this.asking = { film: this.store.film, job: null };
    const { blank, prompts } = this.store.settings;
    const full = { ...request, film: this.store.film.key, span: this.store.part, blank, prompts };
    this.busy(true);
    try {
      let answer = await this.api.call('ask', full);
      while (!answer.done && asking === this.asking) {
        asking.job = answer.job;
        this.find('filmbar .vlj-progress').hidden = false;
        this.showProgress(answer.stage, answer.fraction);
        await new Promise((resolve) => { setTimeout(resolve, POLL_MS); });
        if (asking === this.asking) answer = await this.api.call('outcome', { job: answer.job });
      }
      if (asking === this.asking && answer.view) this.accept(answer.view, request, full, seek);
    } catch (error) { if (asking === this.asking) this.complain(error); } finally { if (asking === this.asking) this.busy(false); }
  }

  busy(on) {
    this.find('go').setAttribute('aria-busy', String(on));
    this.find('answer').setAttribute('aria-busy', String(on));
    if (!on) { this.asking = null; this.find('filmbar .vlj-progress').hidden = this.root.dataset.state === 'ready'; }
  }

  stopAsking() {
    if (this.asking?.job) this.api.call('cancel', { job: this.asking.job }).catch(() => {});
    if (this.asking) this.busy(false);
  }

  cancel() {
    if (this.root.dataset.state === 'working') session.leave(); else this.stopAsking();
  }

  accept(view, request, full, seek) {
    const result = unpackResult(view);
    result.strip.calibrated = this.about.calibrated;
    if (this.store.result) this.past.push(this.kept[this.store.result.kind]);
    this.past.splice(0, this.past.length - 20);
    [this.request, this.full] = [request, full];
    this.kept[result.kind] = { request, full, result, part: full.span };
    this.recalled = -1;
    this.history.add(request);
    this.history.canUndo(this.past.length > 0);
    this.present(result);
    if (seek && this.player.video.paused) this.seekBest(result);
    this.find('said').textContent = this.spoken(result);
  }

  present(result) {
    const film = this.store.film.seconds;
    const same = this.store.result?.kind === result.kind && this.store.result.text === result.text;
    const yes = result.strip.texts.findIndex((text) => text.toLowerCase() === 'yes');
    const before = same ? result.strip.texts.indexOf(this.store.result.strip.texts[this.store.selected]) : -1;
    const top = Math.max(0, result.strip.texts.indexOf(result.rows?.[0].text));
    const selected = isYesNo(result.strip.texts) ? yes : before >= 0 ? before : top;
    const found = result.kind === 'search' ? [] : stretches(result.strip, film);
    Object.assign(this.store, { stretches: found, selected, shown: same ? this.store.shown : null });
    this.store.stops = this.stopsOf(result, found, selected);
    this.find('downloads').hidden = Boolean(this.store.film.live);
    this.store.set({ result });
  }

  stopsOf(result, found, selected) {
    if (result.kind === 'search') return result.moments.map(({ peak_s, similarity }) => ({ second: peak_s, name: `cosine ${similarity.toFixed(2)}`, value: similarity }));
    if (result.kind === 'label') return result.segments.map(({ start_s, label, value }) => ({ second: start_s, name: label, value }));
    return found.filter(({ text }) => text === selected).map(({ peak_s, value }) => ({ second: peak_s, name: result.strip.texts[selected], value }));
  }

  // To the best moment, so that the answer is seen together with what it is about.
  seekBest(result) {
    const { stops } = this.store;
    if (result.kind === 'label' || !stops.length) return;
    const best = stops.reduce((most, stop) => stop.value > most.value ? stop : most);
    if (result.kind === 'search' || isYesNo(result.strip.texts)) this.player.seek(best.second);
  }

  spoken(result) {
    if (result.kind === 'search') return result.moments.length ? `Best at ${clockTime(result.moments[0].start_s)}. ${many(result.moments.length, 'moment')}.` : 'Nothing found.';
    const [best] = result.rows;
    return `${result.sure || !this.about.calibrated ? '' : 'Not sure, perhaps '}${best.text}. ${this.find('stretches').textContent}`;
  }

  undo() {
    const before = this.past.pop();
    this.history.canUndo(this.past.length > 0);
    if (!before) return;
    this.stopAsking();
    this.store.set({ part: before.part, shown: null });
    this.showPart();
    this.lastMode = before.result.kind; // what is shown comes from here
    this.box.restore(before.request);
    this.kept[before.result.kind] = before;
    [this.request, this.full] = [before.request, before.full];
    this.present(before.result);
  }

  forget() {
    this.request = session.asked = null;
    this.store.set({ stretches: [], stops: [] });
    this.store.set({ result: null });
    this.find('downloads').hidden = true;
  }

  async download(button) {
    button.disabled = true;
    try {
      const { files } = await this.api.call('export', this.full);
      const { name, text } = files.find((file) => file.name.endsWith(`.${button.dataset.file}`));
      saveAs(name, new Blob([text], { type: 'text/plain;charset=utf-8' }));
    } catch (error) { this.complain(error); } finally { button.disabled = false; }
  }

  // --- what is said ----------------------------------------------------------------------------------------------

  showSamples() {
    this.find('samples').replaceChildren(...this.about.samples.map(({ name, title, poster }) => {
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

  showExamples() {
    const { samples } = this.about;
    this.find('examples').replaceChildren(...EXAMPLES.filter(({ film, kind }) => samples[film] && (kind !== 'question' || this.about.questions)).map((example, index) => {
      const button = element('button', 'vlj-example', example.say);
      button.type = 'button';
      button.dataset.example = index;
      button.addEventListener('click', () => {
        const { film, say, ...request } = example;
        this.box.restore(request);
        this.waiting = request;
        session.open(this.api, { sample: samples[film].name, title: samples[film].title }, this.stream);
        this.waiting = request;
      });
      return button;
    }));
  }

  // Before anything was asked: what could be.
  showIdeas() {
    const box = this.find('empty');
    const { mode } = this.store.settings;
    const working = this.root.dataset.state === 'working';
    const title = working ? 'The film is being watched' : { question: 'Ask about this film', label: 'Give it some labels', search: 'Look for a moment' }[mode];
    const text = working ? 'Type your question already: it is answered as soon as the film has been watched.'
      : { question: 'In words of your own. The answer comes with how sure it is, and when it holds.', label: 'Two or more: each moment is compared with all of them, and you see which fits when.',
        search: 'Describe it: the moments that fit best are listed and marked on the timeline.' }[mode];
    const ideas = (IDEAS[mode] ?? []).map((idea) => {
      const button = element('button', 'vlj-idea', idea);
      button.type = 'button';
      button.dataset.idea = idea;
      return button;
    });
    box.replaceChildren(element('h3', '', title), element('p', '', text), ...ideas);
  }

  tryIdea(text) {
    const { mode } = this.store.settings;
    this.store.change({ [mode]: text, ...mode === 'question' ? { answers: '[]' } : {} });
    this.box.box.value = text;
    this.submit();
  }

  showAdvanced() {
    const { blank, prompts } = this.store.settings;
    this.root.querySelector('input[name=blank]').checked = blank;
    this.root.querySelector('textarea').value = prompts || this.about.prompts.join('\n');
  }

  withoutQuestions() {
    const button = this.root.querySelector('.vlj-modes [data-mode=question]');
    button.disabled = true;
    button.title = 'This checkpoint takes no questions: it can classify and find.';
    if (this.store.settings.mode === 'question') this.store.change({ mode: 'search' });
  }

  complain(error, kind = 'error') {
    this.find('alert').dataset.kind = kind;
    this.find('alert-text').textContent = error.message;
    this.find('alert').hidden = false;
  }
}
