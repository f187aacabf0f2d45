// The Live page: a picture, a map and a curve on one clock. The dot and the curve move with every moment; the caption
// changes only when a new segment has one.

import { again } from './again.js';
import { Cloud } from './cloud.js';
import { clockTime, element, openInExplore, saveAs, segmentColour, unpack } from './lib.js';
import { History, KEPT } from './live_history.js';
import { Link } from './live_link.js';
import { BrowserCamera, BrowserFilm, ServerSource, cameras } from './live_sources.js';
import { LiveTimeline } from './live_timeline.js';
import { Api } from './server.js';
import { session } from './session.js';

const KEY = 'vljepa.live';
const DEFAULTS = { source: 'camera:', address: '', dimensions: 2, threshold: 0, query: '', mirror: true, rate_hz: 12, window_s: 1 };
const AWAKE_MS = 2500; // how long the bar stays in stage mode
const LAG_WINDOW = 60;
const FIT_POLL_MS = 300;

export function mount({ element: root, server }) {
  return new Live(root.querySelector('.vlj-live'), new Api(server));
}

class Live {
  constructor(root, api) {
    [this.root, this.api] = [root, api];
    this.settings = { ...DEFAULTS, ...remembered() };
    this.history = new History();
    this.cloud = new Cloud(this.find('cloud'), ({ segment }) => this.history.captions.get(segment)?.text ?? null);
    this.timeline = new LiveTimeline(root, this.history, {
      onThreshold: (value, done) => this.setThreshold(value, done), onScrub: (second) => this.lookAt(second) });
    this.link = new Link(api, this.history, { onNews: (news) => this.accept(news), onLost: (sentence) => this.lost(sentence),
      onOver: () => this.startAgain(), onTrouble: (sentence) => this.complain(sentence) });
    root.vljLive = { lags: [], drawn: 0 }; // what `bench live` reads
    this.listen();
    this.begin();
  }

  find(name) { return this.root.querySelector(`.vlj-${name}`); }

  get state() { return this.root.dataset.state; }

  get active() { return ['running', 'frozen'].includes(this.state); }

  async begin() {
    try {
      this.about = await this.api.call('hello');
    } catch (error) { this.complain(error.message); return; }
    this.find('no-map').hidden = Boolean(this.about.landmarks);
    this.cloud.setLandmarks(this.about.landmarks);
    this.find('other-query').elements.query.placeholder = this.about.caption_query;
    await this.listSources();
    this.showSettings();
    this.become('idle');
    this.root.dataset.ready = 'true';
    if (again.live) { again.live = false; this.start(); }
  }

  become(state) {
    this.root.dataset.state = state;
    const go = this.find('go');
    go.disabled = state === 'loading' || state === 'opening';
    go.textContent = { loading: 'Getting ready…', idle: '▶ Start', opening: 'Opening…', stopped: '▶ Start' }[state] ?? '■ Stop';
    go.classList.toggle('vlj-primary', !this.active);
    this.find('source').disabled = state === 'loading' || state === 'opening';
    const freeze = this.find('freeze');
    freeze.disabled = !this.active;
    freeze.hidden = state === 'stopped';
    freeze.textContent = state === 'frozen' ? 'Go on' : 'Freeze';
    this.find('keep').hidden = state !== 'stopped' || !this.history.newest;
    this.find('keep-too').disabled = !this.history.newest && !this.active;
    this.find('fit').disabled = !this.about?.landmarks || !this.history.newest && !this.active;
    this.root.querySelectorAll('[data-file]').forEach((button) => { button.disabled = !this.history.newest && !this.active; });
    this.showBadge();
  }

  // --- starting, stopping, changing the source -------------------------------------------------------------------

  async start() {
    if (['opening', 'loading'].includes(this.state)) return;
    this.dismiss();
    this.become('opening');
    try {
      const source = await this.openSource();
      this.history.clear();
      this.clearPicture();
      await this.api.call('start', { token: window.vljToken, at_s: now(), threshold: this.settings.threshold || null,
        window_s: this.settings.window_s, query: this.settings.query, rate_hz: this.settings.rate_hz, ...source.request });
      this.use(source);
      this.become('running');
    } catch (error) {
      this.closeSource();
      this.become(this.history.newest ? 'stopped' : 'idle');
      this.complain(error.message, 'stage');
    }
  }

  // The app was started anew, or forgot us while this computer slept.
  async startAgain() {
    this.say('');
    await this.start();
  }

  startOrStop() { if (this.active) this.stop(); else this.start(); }

  async stop() {
    if (this.active && this.fitting) this.commonMap();
    this.end();
  }

  // When a source is over: a map that is being fitted is fitted all the same.
  end() {
    if (!this.active) return;
    this.closeSource();
    this.thaw();
    this.become('stopped');
    if (this.history.newest) this.showStill(this.history.newest); // what was seen last stays, behind what was said last
    this.say('');
    this.api.call('stop', { token: window.vljToken }).catch(() => {}); // it may be gone by now: nothing is left to stop
  }

  async changeSource() {
    const select = this.find('source');
    this.settings.source = select.value;
    this.remember();
    this.find('address').hidden = select.value !== 'server:';
    if (select.value === 'server:' && !this.settings.address) { this.find('address').focus(); return; }
    if (!this.active) return;
    if (this.state === 'frozen') await this.freeze();
    try {
      const source = await this.openSource();
      await this.api.call('switch', { token: window.vljToken, rate_hz: this.settings.rate_hz, ...source.request });
      this.dismiss();
      this.use(source);
    } catch (error) { this.complain(error.message, 'picture'); } // the one before goes on
  }

  async openSource() {
    const [kind, name] = split(this.settings.source);
    const video = this.find('eye');
    let source;
    if (kind === 'film') {
      const sample = this.about.samples.find((film) => film.name === name) ?? this.about.samples[0];
      source = new BrowserFilm(video, this.about, sample.url);
      try { await source.open(); } catch { source = new ServerSource({ sample: sample.name }); } // a browser without this codec
    } else if (kind === 'server') {
      if (!this.settings.address.trim()) throw new Error('Type the number of a camera, an address or the path of a film first.');
      source = new ServerSource({ address: this.settings.address });
    } else {
      source = new BrowserCamera(video, this.about, name);
      await source.open();
      this.listSources(); // only now does the browser tell the cameras' names
    }
    if (!source.onServer) source.request.aspect = source.aspect;
    return source;
  }

  use(source) {
    if (this.source && this.source !== source) this.source.close();
    this.source = source;
    this.was = { onServer: source.onServer, aspect: source.aspect }; // still asked for once it is closed
    source.onTrouble = (sentence) => { if (sentence) this.complain(sentence, 'stage'); else this.dismiss(); };
    this.find('eye').hidden = Boolean(source.onServer);
    this.find('shot').hidden = !source.onServer;
    this.find('loops').hidden = !source.loops;
    this.find('eye').classList.toggle('vlj-mirrored', Boolean(source.mirrored && this.settings.mirror));
    this.link.open(source, () => this.settings.rate_hz, () => this.state === 'frozen' || !(this.visible || session.followsLive));
  }

  closeSource() {
    this.link.close();
    this.source?.close();
    this.source = null;
  }

  get visible() { return this.root.getClientRects().length > 0; }

  async listSources() {
    const select = this.find('source');
    const found = await cameras().catch(() => []);
    const named = found.filter(({ label }) => label);
    const groups = [['This browser', named.length ? named.map(({ deviceId, label }) => [`camera:${deviceId}`, label]) : [['camera:', 'This browser’s camera']]],
      ['Without a camera', this.about.samples.map(({ name, title }) => [`film:${name}`, `Film: ${title}`])],
      ['The server', this.about.server_sources ? [['server:', 'Camera, address or file…']] : []]];
    select.replaceChildren(...groups.filter(([, options]) => options.length).map(([label, options]) => {
      const group = element('optgroup');
      group.label = label;
      group.append(...options.map(([value, text]) => { const option = element('option', '', text); option.value = value; return option; }));
      return group;
    }));
    const values = [...select.options].map(({ value }) => value);
    const kind = split(this.settings.source)[0];
    const fitting = values.find((value) => value === this.settings.source) ?? values.find((value) => split(value)[0] === kind) ?? values[0];
    if (kind !== 'camera' || named.length) this.settings.source = fitting;
    select.value = fitting;
    this.find('address').hidden = select.value !== 'server:';
  }

  // --- what comes in -----------------------------------------------------------------------------------------------

  accept(news) {
    for (const caption of news.captions) this.history.caption(caption);
    if (news.picture) this.showPicture(news.picture);
    if (news.source) this.tellSource(news.source);
    if (news.ledger) this.showLedger(news.ledger);
    if (news.failure) this.say(news.failure);
    this.fresh = [...(this.fresh ?? []), ...news.fresh];
    if (!this.drawing) this.drawing = requestAnimationFrame(() => this.draw());
  }

  draw() {
    this.drawing = null;
    if (this.state === 'frozen') return;
    const { newest } = this.history;
    if (!newest) return;
    this.cloud.setTrail(this.history.updates, true);
    this.timeline.draw();
    this.showCaption(newest);
    const seen = now();
    for (const { captured } of this.fresh.splice(0)) this.count(1000 * (seen - captured), seen);
    this.showRate(seen);
  }

  // The text changes only when the segment of this moment has a caption and another one is shown.
  showCaption(moment) {
    const caption = this.history.captions.get(moment.segment);
    const words = this.find('words');
    words.classList.toggle('vlj-stale', !caption);
    words.style.setProperty('--vlj-segment', segmentColour(moment.segment));
    if (!caption || this.captionOf === moment.segment) return;
    this.captionOf = moment.segment;
    const text = words.querySelector('p');
    if (text.textContent === caption.text) return;
    text.textContent = caption.text;
    words.classList.remove('vlj-new');
    requestAnimationFrame(() => words.classList.add('vlj-new'));
  }

  showPicture(jpeg) {
    if (this.state !== 'frozen') this.find('shot').src = `data:image/jpeg;base64,${jpeg}`;
  }

  tellSource({ kind, message }) {
    const text = kind === 'playing' ? '' : message;
    if (text !== this.sourceText) { this.sourceText = text; this.say(text); }
    if (kind === 'failed') { this.end(); this.complain(message, 'stage'); }
    if (kind === 'ended') { this.end(); this.say(message); }
  }

  count(lagMs, seen) {
    const { lags } = this.root.vljLive;
    lags.push(lagMs);
    if (lags.length > 4000) lags.shift();
    this.root.vljLive.drawn += 1;
    this.arrivals = [...(this.arrivals ?? []), seen].slice(-LAG_WINDOW);
  }

  showRate(seen) {
    if (seen - (this.ratedAt ?? 0) < 0.5) return;
    this.ratedAt = seen;
    const recent = this.arrivals.filter((at) => at > seen - 5);
    if (recent.length > 1) this.put('hz', ((recent.length - 1) / (recent.at(-1) - recent[0])).toFixed(1));
    const lags = this.root.vljLive.lags.slice(-20).sort((a, b) => a - b);
    this.put('lag', Math.round(lags[lags.length >> 1]));
  }

  showLedger({ windows, decodes, uniform_1hz: uniform, dropped, stage_ms: stages, model_share: share }) {
    this.put('windows', windows);
    this.put('decodes', decodes);
    this.put('uniform', uniform);
    this.put('dropped', dropped);
    this.put('saved', uniform > decodes ? `${Math.round(100 * (1 - decodes / uniform))} %` : '–');
    const parts = Object.entries(stages).map(([name, ms]) => `${name} ${ms}`).join(' · ');
    this.find('stages').textContent = `${parts}. Of the loop’s time the model has ${Math.round(100 * share)} %.`;
    this.root.vljLive.ledger = { windows, decodes, dropped, share };
  }

  put(name, value) {
    const node = this.root.querySelector(`[data-count="${name}"]`);
    if (node.textContent === String(value)) return;
    node.textContent = value;
    const counted = this.root.querySelector(`[data-of="${name}"]`);
    if (counted) counted.textContent = `${counted.dataset.one}${value === 1 ? '' : 's'}`;
  }

  // --- freezing and looking back -------------------------------------------------------------------------------------

  async freeze() {
    if (!this.active) return;
    const frozen = this.state !== 'frozen';
    if (frozen) {
      this.source.pause();
      this.become('frozen');
      this.lookAt(this.history.end);
    } else {
      this.thaw();
      this.become('running');
    }
    try {
      await this.api.call('adjust', { token: window.vljToken, paused: frozen });
      if (!frozen) await this.source?.resume();
    } catch (error) { this.complain(error.message); }
  }

  thaw() {
    this.timeline.scrub(null);
    this.find('shot').hidden = !this.source?.onServer;
    this.showBadge();
    if (!this.history.newest) return;
    this.cloud.setTrail(this.history.updates, false);
    this.captionOf = null;
    this.showCaption(this.history.newest);
  }

  // Show the moment at `second`; freezes first if it has to.
  lookAt(second) {
    if (!this.history.newest) return;
    if (this.find('alert').dataset.place === 'stage') this.dismiss(); // it would hide what is looked at
    if (this.state === 'running') { this.freeze(); }
    const end = this.history.end;
    const start = this.history.updates[0].t;
    this.moment = this.history.indexAt(Math.min(end, Math.max(start, second)));
    const moment = this.history.updates[this.moment];
    this.timeline.scrub(moment.t);
    this.cloud.setTrail(this.history.updates.slice(0, this.moment + 1), false);
    this.captionOf = null;
    this.showCaption(moment);
    this.showStill(moment);
    this.showBadge();
  }

  showStill({ jpeg }) {
    const [shot, eye] = [this.find('shot'), this.find('eye')];
    const { onServer, aspect } = this.was;
    if (onServer) {
      shot.hidden = false;
      if (jpeg) shot.src = `data:image/jpeg;base64,${jpeg}`;
      return;
    }
    const held = this.source && this.moment === this.history.updates.length - 1; // by the player itself
    shot.hidden = !jpeg || Boolean(held);
    if (shot.hidden) return;
    const box = this.find('picture').getBoundingClientRect(); // the model's square, drawn in the camera's own shape
    const width = Math.min(box.width, box.height * aspect);
    Object.assign(shot.style, { objectFit: 'fill', width: `${width}px`, height: `${width / aspect}px`, left: `${(box.width - width) / 2}px`, top: `${(box.height - width / aspect) / 2}px` });
    shot.classList.toggle('vlj-mirrored', eye.classList.contains('vlj-mirrored'));
    shot.src = `data:image/jpeg;base64,${jpeg}`;
  }

  step(direction, bySegment) {
    if (!this.history.newest || !(this.active || this.state === 'stopped')) return;
    const from = this.timeline.scrubbed === null ? this.history.updates.length - 1 : this.moment;
    if (!bySegment) { this.lookAt(this.history.updates[Math.min(Math.max(from + direction, 0), this.history.updates.length - 1)].t); return; }
    const segments = this.history.segments();
    const { segment } = this.history.updates[from];
    const at = Math.min(Math.max(segments.findIndex(({ index }) => index === segment) + direction, 0), segments.length - 1);
    this.lookAt(segments[at].start_s + 0.01);
  }

  showBadge() {
    const badge = this.find('badge');
    const back = this.timeline?.scrubbed ?? null;
    badge.hidden = back === null;
    if (back !== null) badge.textContent = `${this.state === 'frozen' ? 'Frozen' : 'Looking back'} at ${clockTime(back, true)} · drag the curve or press ← →`;
  }

  clearPicture() {
    if (this.fitting || this.cloud.goesOwn) this.commonMap();
    const words = this.find('words');
    this.captionOf = null;
    words.querySelector('p').textContent = '';
    words.classList.remove('vlj-stale');
    const shot = this.find('shot');
    shot.removeAttribute('src');
    shot.removeAttribute('style');
    this.timeline.scrub(null);
    this.cloud.setTrail([], false);
    for (const name of ['saved', 'hz', 'lag']) this.put(name, '–');
    for (const name of ['decodes', 'uniform', 'windows', 'dropped']) this.put(name, 0);
    Object.assign(this.root.vljLive, { lags: [], drawn: 0, ledger: null });
    this.arrivals = [];
  }

  // --- a map of this session alone ---------------------------------------------------------------------------------------

  // Fits one, stops fitting it, or goes back to the common one.
  async fitMap() {
    if (this.fitting || this.cloud.goesOwn) { this.commonMap(); return; }
    if (!this.history.newest || !this.about.landmarks) return;
    this.find('advanced').open = false;
    const fitting = this.fitting = { since: now() };
    this.showFit();
    try {
      fitting.job = (await this.api.call('fit_map', { token: window.vljToken })).job;
      for (let found = {}; !found.done; await new Promise((resolve) => { setTimeout(resolve, FIT_POLL_MS); })) {
        if (this.fitting !== fitting) return;
        this.find('own-seconds').textContent = `${Math.floor(now() - fitting.since)} s`;
        found = await this.api.call('fitted', { token: window.vljToken, job: fitting.job, at_most: KEPT });
        if (this.fitting === fitting && found.places) { this.history.placeAnew(unpack(found.places, 6)); this.cloud.showOwn(true); }
      }
    } catch (error) { if (this.fitting === fitting) this.complain(error.message); }
    if (this.fitting === fitting) { this.fitting = null; this.showFit(); }
  }

  commonMap() {
    const job = this.fitting?.job;
    this.fitting = null;
    this.cloud.showOwn(false);
    this.showFit();
    this.api.call('common_map', { token: window.vljToken, job }).catch(() => {}); // without an answer the page is right all the same
  }

  showFit() {
    const [pill, own] = [this.find('own'), this.cloud.goesOwn];
    pill.hidden = !this.fitting && !own;
    pill.dataset.state = this.fitting ? 'fitting' : 'fitted';
    pill.querySelector('span').textContent = this.fitting ? 'Fitting the map … the first time takes most of a minute' : 'Fitted to this session';
    this.find('own-seconds').textContent = '';
    pill.querySelector('button').textContent = this.fitting ? 'Cancel' : 'Shared map';
    this.find('fit').setAttribute('aria-pressed', String(own));
    this.find('fit').textContent = this.fitting ? 'Stop fitting' : own ? 'Back to the shared map' : 'Fit the map to this session';
  }

  // --- settings --------------------------------------------------------------------------------------------------------

  async setThreshold(value, done) {
    this.settings.threshold = value ?? 0;
    this.root.querySelector('[name="automatic"]').checked = value === null;
    if (value === null) this.timeline.release();
    if (done === false) return;
    this.remember();
    if (this.active) await this.adjust({ threshold: value });
  }

  async adjust(change) {
    try {
      await this.api.call('adjust', { token: window.vljToken, ...change });
    } catch (error) { this.complain(error.message); }
  }

  showSettings() {
    const { dimensions, threshold, mirror, rate_hz, window_s, query, address } = this.settings;
    this.setDimensions(dimensions);
    const said = { query: null, rate_hz: rate_hz === 1 ? 'once a second' : `${rate_hz} times a second`, window_s: `${window_s} s` };
    for (const [name, value] of Object.entries({ query, rate_hz, window_s })) {
      const field = this.root.querySelector(`[name="${name}"]`);
      field.value = value;
      if (said[name]) { field.closest('.vlj-field').querySelector('.vlj-out').textContent = said[name]; field.setAttribute('aria-valuetext', said[name]); }
    }
    this.find('address').value = address;
    this.root.querySelector('[name="mirror"]').checked = mirror;
    this.root.querySelector('[name="automatic"]').checked = !threshold;
    if (threshold) [this.timeline.threshold, this.timeline.automatic] = [threshold, false];
    this.timeline.draw();
  }

  setDimensions(dimensions) {
    this.settings.dimensions = dimensions;
    this.remember();
    this.root.querySelectorAll('[data-dimensions]').forEach((button) => button.setAttribute('aria-pressed', String(Number(button.dataset.dimensions) === dimensions)));
    this.cloud.show(dimensions);
  }

  remember() {
    try { localStorage.setItem(KEY, JSON.stringify(this.settings)); } catch { /* not remembered then */ }
  }

  // --- leaving with it ---------------------------------------------------------------------------------------------------

  async keep() {
    if (!this.history.newest) return;
    if (this.state === 'running') await this.freeze();
    if (document.fullscreenElement) await document.exitFullscreen();
    const time = new Date().toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
    openInExplore({ session: window.vljToken, title: `Live session, ${time}` });
  }

  async download(button) {
    button.disabled = true;
    try {
      const { name, content } = await this.api.call('download', { token: window.vljToken, kind: button.dataset.file });
      saveAs(name, new Blob([Uint8Array.from(atob(content), (c) => c.charCodeAt(0))]));
    } catch (error) { this.complain(error.message); } finally { button.disabled = false; }
  }

  // --- hands -----------------------------------------------------------------------------------------------------------

  listen() {
    const on = (name, event, act) => this.find(name).addEventListener(event, act);
    const press = (name, act) => on(name, 'click', (event) => { act(event); if (event.detail) event.currentTarget.blur(); }); // so that Space freezes next
    press('go', ({ detail }) => { if (detail < 2) this.startOrStop(); }); // a double click must not begin anew what it has just stopped
    press('freeze', () => this.freeze());
    press('stage-mode', () => this.toggleStage());
    press('keep', () => this.keep());
    press('keep-too', () => this.keep());
    press('fit', () => this.fitMap());
    press('back-to-shared', () => this.fitMap());
    press('keys', () => this.find('dialog').showModal());
    press('retry', () => this.retry());
    press('rescue', () => { this.find('source').value = `film:${this.about.samples[0].name}`; this.rescue(); });
    on('alert-close', 'click', () => this.dismiss());
    on('source', 'change', () => this.changeSource());
    on('address', 'change', (event) => { this.settings.address = event.target.value.trim(); this.remember(); if (this.settings.address) this.changeSource(); });
    on('address', 'keydown', (event) => { if (event.key === 'Enter' && !this.active) { event.target.blur(); this.start(); } });
    on('other-query', 'submit', (event) => { event.preventDefault(); this.ask(event.target.elements.query.value.trim()); });
    on('downloads', 'click', (event) => { if (event.target.dataset.file) this.download(event.target); });
    on('cloud', 'click', (event) => { if (event.target.dataset.dimensions) this.setDimensions(Number(event.target.dataset.dimensions)); });
    this.root.querySelector('[name="automatic"]').addEventListener('change', (event) =>
      this.setThreshold(event.target.checked ? null : this.timeline.shownThreshold ?? 0.45, true).then(() => this.showSettings()));
    this.root.querySelector('[name="mirror"]').addEventListener('change', (event) => {
      this.settings.mirror = event.target.checked;
      this.find('eye').classList.toggle('vlj-mirrored', Boolean(this.source?.mirrored && this.settings.mirror));
      this.remember();
    });
    for (const name of ['rate_hz', 'window_s']) {
      this.root.querySelector(`[name="${name}"]`).addEventListener('input', (event) => {
        this.settings[name] = Number(event.target.value);
        this.showSettings();
        this.remember();
      });
    }
    this.root.querySelector('[name="window_s"]').addEventListener('change', () => { if (this.active) this.adjust({ window_s: this.settings.window_s }); });
    document.addEventListener('keydown', (event) => this.key(event));
    document.addEventListener('pointerdown', (event) => { const more = this.find('advanced'); if (!more.contains(event.target)) more.open = false; });
    document.addEventListener('fullscreenchange', () => this.stageChanged());
    this.root.addEventListener('pointermove', () => this.wake());
    navigator.mediaDevices?.addEventListener?.('devicechange', () => { if (this.about) this.listSources(); });
    document.addEventListener('vlj-theme', () => { if (this.history.newest) this.showCaption(this.history.updates[this.timeline.scrubbed === null ? this.history.updates.length - 1 : this.moment]); });
  }

  key(event) {
    const { target, key } = event;
    if (!this.visible || event.ctrlKey || event.metaKey || event.altKey || this.find('dialog').open) return;
    if (/^(text|search|number)$/.test(target.type ?? '') || target.tagName === 'SELECT' || target.isContentEditable) return;
    if (key === 'Escape') { this.find('advanced').open = false; return; }
    if (key === ' ' && target.closest('button, summary, input, a')) return;
    if (target.type === 'range' && key.startsWith('Arrow')) return;
    const value = this.timeline.shownThreshold;
    const acts = { ' ': () => this.freeze(), f: () => this.toggleStage(), s: () => this.startOrStop(),
      2: () => this.setDimensions(2), 3: () => this.setDimensions(3), a: () => this.setThreshold(null, true), e: () => this.keep(),
      0: () => this.cloud.reset(), m: () => this.fitMap(), '?': () => this.find('dialog').showModal(),
      ArrowLeft: () => this.step(-1, event.shiftKey), ArrowRight: () => this.step(1, event.shiftKey),
      ArrowUp: () => value && this.timeline.hold(value + 0.02, true), ArrowDown: () => value && this.timeline.hold(Math.max(0.02, value - 0.02), true) };
    const act = acts[key.length === 1 ? key.toLowerCase() : key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  async ask(query) {
    this.settings.query = query;
    this.remember();
    this.find('advanced').open = false;
    if (this.active) await this.adjust({ query });
  }

  async retry() {
    if (this.active) await this.changeSource(); else await this.start();
  }

  async rescue() {
    this.settings.source = this.find('source').value;
    this.remember();
    this.find('address').hidden = true;
    if (this.active) { this.dismiss(); await this.changeSource(); } else await this.start();
  }

  async toggleStage() {
    if (document.fullscreenElement) { await document.exitFullscreen(); return; }
    try {
      await this.root.requestFullscreen();
    } catch { this.say('This browser does not let the page fill the screen; press F11 instead.'); }
  }

  // The stage is dark, whatever the page is.
  stageChanged() {
    const stage = document.fullscreenElement === this.root;
    if (stage) this.wasDark = document.body.classList.contains('dark');
    if (stage || this.wasDark !== undefined) {
      document.body.classList.toggle('dark', stage || this.wasDark);
      document.dispatchEvent(new CustomEvent('vlj-theme'));
    }
    if (!stage) this.wasDark = undefined;
    this.wake();
  }

  wake() {
    clearTimeout(this.sleeping);
    this.root.classList.add('vlj-awake');
    this.sleeping = setTimeout(() => this.root.classList.remove('vlj-awake'), AWAKE_MS);
  }

  // --- what is said ----------------------------------------------------------------------------------------------------

  say(text) { this.find('said-state').textContent = text; }

  lost(sentence) { if (sentence) this.complain(sentence); else this.dismiss(); }

  // A source that failed is told in `place`: on the "stage" instead of its picture, or on the "picture" of another.
  complain(sentence, place = '') {
    const alert = this.find('alert');
    this.find('alert-text').textContent = sentence;
    alert.dataset.place = place;
    this.find('retry').hidden = place !== 'stage';
    this.find('rescue').hidden = !place || !this.about?.samples.length || this.settings.source.startsWith('film:');
    alert.hidden = false;
  }

  dismiss() { this.find('alert').hidden = true; }
}

const now = () => performance.now() / 1000;

// "camera:abc" as ["camera", "abc"].
const split = (value) => [value.slice(0, value.indexOf(':')), value.slice(value.indexOf(':') + 1)];

function remembered() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY)) ?? {};
    return Object.fromEntries(Object.entries(kept).filter(([k, v]) => typeof v === typeof DEFAULTS[k]));
  } catch { return {}; }
}
