// What the tabs of one page share: the film that is open or being opened, and the moment that is looked at. A film opened
// in one tab is seen in all; tabs listen, and what was missed by a tab mounted later stands in the fields.

const POLL_MS = 150;

class Session extends EventTarget {
  state = 'start'; // or 'working', 'ready'
  source = null; // { sample } or { upload } as the server knows it, with its title
  film = null;
  time = 0; // seconds; told by the tab in sight, taken up by the next one
  preview = null; // { media, seconds } of a film that is being read
  points = []; // packed steps of a film that is being read, as they came
  about = null; // { from_s, to_s }: a part that one tab wants another to ask about
  settings = null; // { query, rate_hz } that the film was opened with
  asked = null; // the question, labels or search whose answer is shown
  followsLive = false; // another tab asks about the live stream, so it goes on out of sight
  generation = 0;

  // `detail.by` is whoever caused it, so that a tab need not answer itself.
  tell(name, detail = {}) { this.dispatchEvent(new CustomEvent(name, { detail })); }

  async openFile(api, file, settings) {
    const generation = this.begin(api, { title: file.name });
    const stopper = new AbortController();
    this.stopUpload = () => stopper.abort();
    try {
      const path = await api.upload(file, (done) => this.progress('Uploading', done), stopper.signal);
      this.stopUpload = null;
      await this.analyse(generation, { upload: path, title: file.name }, settings);
    } catch (error) { this.fail(generation, error); }
  }

  async open(api, source, settings) {
    const generation = this.begin(api, source);
    try { await this.analyse(generation, source, settings); } catch (error) { this.fail(generation, error); }
  }

  // Ends what is going on and what is shown: back to the choice of films.
  leave() {
    this.stop();
    Object.assign(this, { state: 'start', source: null, film: null, time: 0 });
    this.tell('left');
  }

  begin(api, source) {
    this.stop();
    Object.assign(this, { api, source, state: 'working', film: null, time: 0, preview: null, points: [] });
    this.tell('opening', { title: source.title });
    this.progress('Opening', 0);
    return this.generation;
  }

  async analyse(generation, source, settings) {
    this.settings = settings;
    const { job } = await this.api.call('open_film', { ...source, ...settings });
    if (generation !== this.generation) { this.api.call('cancel', { job }).catch(() => {}); return; }
    [this.job, this.source] = [job, source];
    let seen = 0;
    while (generation === this.generation) {
      const view = await this.api.call('progress', { job, points_seen: seen });
      if (generation !== this.generation) return;
      seen = view.points_seen;
      this.pass(view);
      if (view.done) { this.job = null; if (view.film) this.show(view.film); else this.leave(); return; }
      this.progress(view.stage, view.fraction);
      await new Promise((resolve) => { setTimeout(resolve, POLL_MS); });
    }
  }

  pass(view) {
    if (view.preview && !this.preview) { this.preview = view.preview; this.tell('preview', view.preview); }
    if (view.points) { this.points.push(view.points); this.tell('points', { packed: view.points }); }
  }

  progress(stage, fraction) { this.stage = { stage, fraction }; this.tell('progress', this.stage); }

  show(film) {
    Object.assign(this, { state: 'ready', film, preview: null, points: [] });
    if (this.source.session) this.source = { film: film.key, title: film.title }; // the live session itself may be over by then
    this.tell('film', { film });
  }

  fail(generation, error) {
    if (generation !== this.generation || error.name === 'AbortError') return;
    this.job = null;
    this.leave();
    this.tell('failed', { error });
  }

  stop() {
    this.generation += 1;
    this.stopUpload?.();
    this.stopUpload = null;
    if (this.job) this.api.call('cancel', { job: this.job }).catch(() => {}); // it may have ended meanwhile
    this.job = null;
  }
}

export const session = new Session();

export function openTab(name) {
  for (const tab of document.querySelectorAll('button[role="tab"]')) if (tab.textContent.trim() === name) tab.click();
}
