// A library: many videos of a folder, searched at once. What is found opens here, at the right second.

import { clockTime, element, many } from './lib.js';

const POLL_MS = 300;

export class LibraryPanel {
  // `ask` calls the server and looks after jobs; `open` opens a moment; `complain` shows a sentence.
  constructor(root, store, api, { open, complain, progress }) {
    Object.assign(this, { root, store, api, open, complain, progress });
    for (const part of ['lib', 'lib-path', 'lib-facts', 'lib-folder', 'lib-index', 'hits', 'hits-head', 'hits-list']) {
      this[part.replace('-', '_')] = root.querySelector(`.vlj-${part}`);
    }
    this.listen();
    store.on('settings', () => this.show());
  }

  get active() { return this.store.settings.mode === 'search' && this.store.settings.where === 'library'; }
  get path() { return this.lib_path.value.trim(); }

  introduce(usual) {
    this.lib_path.value = this.store.settings.library || usual;
    this.lib_folder.value = this.store.settings.folder;
    this.show();
  }

  listen() {
    this.lib_path.addEventListener('change', () => { this.store.change({ library: this.path }); this.look(); });
    this.lib_folder.addEventListener('keydown', (event) => { if (event.key === 'Enter') { event.preventDefault(); this.index(); } });
    this.lib_index.addEventListener('click', () => this.index());
    this.hits_list.addEventListener('click', ({ target }) => {
      const card = target.closest('.vlj-hit');
      if (!card) return;
      const hit = this.shown[Number(card.dataset.index)];
      if (target.closest('.vlj-like')) this.search({ like: hit }); else this.go(hit, card);
    });
    this.hits_list.addEventListener('keydown', (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step || !event.target.closest('.vlj-hit-open')) return;
      event.preventDefault();
      event.stopPropagation(); // here the arrows go from hit to hit
      const cards = [...this.hits_list.querySelectorAll('.vlj-hit-open')];
      cards[Math.min(Math.max(cards.indexOf(event.target) + step, 0), cards.length - 1)].focus();
    });
  }

  show() {
    const { active } = this;
    this.root.dataset.where = active ? 'library' : this.store.settings.where === 'live' ? 'live' : 'film';
    this.lib.hidden = !active;
    this.hits.hidden = !active || !(this.shown || this.busy);
    if (active && this.looked !== this.path) this.look();
  }

  // What the library holds, in a few words beside its path.
  async look() {
    this.looked = this.path;
    const asked = this.path;
    try {
      const about = await this.api.call('library', { path: asked });
      if (asked === this.path) this.tell(about);
    } catch (error) {
      if (asked !== this.path) return;
      this.lib_facts.textContent = 'not there yet: index a folder';
      this.lib_facts.title = error.message;
      if (!error.message.startsWith('There is no library')) { this.lib_facts.textContent = ''; this.complain(error); }
    }
  }

  tell({ videos, moments, broken }) {
    this.lib_facts.textContent = `${many(videos, 'video')} · ${many(moments, 'moment')}${broken ? ` · ${broken} unreadable` : ''}`;
    this.lib_facts.title = '';
  }

  async index() {
    const folder = this.lib_folder.value.trim();
    this.store.change({ folder });
    this.lib_index.closest('details').open = false;
    const outcome = await this.work('index', { folder, path: this.path });
    if (!outcome) { this.look(); return; }
    this.look();
    const { indexed, unchanged, broken, missing } = outcome;
    const names = broken.slice(0, 3).map(({ video, why }) => `${video} (${why})`).join('; ');
    this.complain(new Error(`${many(indexed, 'video')} indexed, ${unchanged} unchanged`
      + (broken.length ? `, ${broken.length} unreadable: ${names}${broken.length > 3 ? ' …' : ''}` : '')
      + (missing.length ? `; ${missing.length} no longer in the folder` : '') + '.'), 'note');
  }

  async search({ text = '', like = null }) {
    const view = await this.work('search_library', { path: this.path, text, ...like ? { video: like.video, span: [like.start_s, like.end_s] } : {} });
    if (!view) return;
    this.shown = view.hits;
    this.sought = text;
    this.hits.hidden = false;
    this.hits_head.textContent = !view.hits.length ? 'This library holds no moments yet: index a folder.'
      : like ? `Moments like ${like.title}, ${clockTime(like.start_s)}` : `“${text}” in this library`;
    this.hits_list.replaceChildren(...view.hits.map((hit, index) => this.card(hit, index)));
    this.illustrate(view.hits);
  }

  card({ title, start_s, end_s, similarity, also }, index) {
    const item = element('li', 'vlj-hit');
    item.dataset.index = index;
    const open = element('button', 'vlj-hit-open');
    open.type = 'button';
    const image = element('img');
    image.alt = '';
    const best = this.shown[0].similarity;
    open.style.setProperty('--vlj-share', Math.max(0.05, similarity / best).toFixed(3));
    const bar = element('span', 'vlj-measure');
    bar.append(element('i'));
    open.append(image, element('span', 'vlj-hit-time', `${clockTime(start_s)}–${clockTime(end_s)}`), element('span', 'vlj-hit-title', title), bar,
      element('span', 'vlj-hit-facts', `cosine ${similarity.toFixed(3)}${also.length ? ` · ${many(also.length, 'near-duplicate')}` : ''}`));
    if (also.length) open.title = `Much the same: ${also.map((other) => `${other.title} ${clockTime(other.start_s)}`).join(', ')}`;
    open.setAttribute('aria-label', `${title}, ${clockTime(start_s)} to ${clockTime(end_s)}, cosine ${similarity.toFixed(3)}`);
    const like = element('button', 'vlj-like', 'More like this');
    like.type = 'button';
    item.append(open, like);
    return item;
  }

  // Pictures come one by one after the list, so that nobody waits for them.
  async illustrate(hits) {
    for (const [index, { video, start_s, end_s }] of hits.entries()) {
      if (this.shown !== hits) return;
      try {
        const { url } = await this.api.call('picture', { path: this.path, video, second: (start_s + end_s) / 2 });
        if (url && this.shown === hits) this.hits_list.children[index].querySelector('img').src = url;
      } catch { return; } // a list without pictures is still a list
    }
  }

  go(hit, card) {
    this.hits_list.querySelectorAll('.vlj-hit').forEach((other) => other.classList.toggle('vlj-now', other === card));
    this.open({ library: this.path, video: hit.video, title: hit.title }, hit.start_s, this.sought);
  }

  // A job of the server, looked after until it is done; null if it was cancelled or failed.
  async work(name, request) {
    this.stop();
    const work = this.busy = { job: null };
    try {
      let answer = await this.api.call(name, request);
      while (!answer.done && work === this.busy) {
        work.job = answer.job;
        this.progress(answer.stage, answer.fraction);
        await new Promise((resolve) => { setTimeout(resolve, POLL_MS); });
        if (work === this.busy) answer = await this.api.call('outcome', { job: answer.job });
      }
      return work === this.busy ? answer.view ?? null : null;
    } catch (error) { if (work === this.busy) this.complain(error); return null; } finally { if (work === this.busy) { this.busy = null; this.progress(null); } }
  }

  stop() {
    if (!this.busy) return;
    if (this.busy.job) this.api.call('cancel', { job: this.busy.job }).catch(() => {});
    this.busy = null;
    this.progress(null);
  }
}
