// The Learn page: its parts, of which one is shown; each part has a module of its own.

import { Collapse } from './learn_collapse.js';
import { Geometry } from './learn_geometry.js';
import { InfoNCE } from './learn_infonce.js';
import { Three } from './learn_three.js';
import { Train } from './learn_train.js';
import { World } from './learn_world.js';
import { Walk } from './learn_walk.js';
import { element } from './lib.js';
import { Api } from './server.js';

const KEY = 'vljepa.learn';
const UNASKED = /^(walk|train_view|train_opening|train_estimate)$/; // what the page asks by itself, again and again
const PARTS = { walk: Walk, three: Three, geometry: Geometry, infonce: InfoNCE, collapse: Collapse, world: World, train: Train };

export function mount({ element: root, server }) {
  return new Learn(root.querySelector('.vlj-learn'), new Api(server));
}

class Learn {
  constructor(root, api) {
    [this.root, this.open, this.complainedAt] = [root, {}, 0];
    this.api = { call: (name, request) => this.ask(api, name, request) };
    this.alert = root.querySelector('.vlj-alert');
    root.querySelector('.vlj-alert-close').addEventListener('click', () => { this.alert.hidden = true; });
    this.begin();
  }

  async begin() {
    try {
      this.about = await this.api.call('hello');
    } catch (error) { this.complain(error); return; }
    this.articles = [...this.root.querySelectorAll('.vlj-part')];
    const list = this.root.querySelector('.vlj-parts');
    list.replaceChildren(...this.articles.map((article, index) => {
      const button = element('button', 'vlj-part-button');
      button.type = 'button';
      button.setAttribute('role', 'tab');
      button.dataset.part = article.dataset.part;
      button.append(element('i', '', String(index + 1)), element('span', '', article.dataset.title));
      button.addEventListener('click', () => this.show(article.dataset.part));
      return button;
    }));
    list.addEventListener('keydown', (event) => this.key(event));
    list.hidden = this.articles.length < 2;
    list.addEventListener('scroll', () => this.showMore(list), { passive: true });
    new ResizeObserver(() => this.showMore(list)).observe(list);
    const wanted = remembered();
    this.show(this.articles.some(({ dataset }) => dataset.part === wanted) ? wanted : this.articles[0].dataset.part);
    this.root.dataset.ready = 'true';
  }

  show(part) {
    this.alert.hidden = true;
    for (const article of this.articles) article.hidden = article.dataset.part !== part;
    for (const button of this.root.querySelectorAll('.vlj-part-button')) {
      const chosen = button.dataset.part === part;
      button.setAttribute('aria-selected', String(chosen));
      button.tabIndex = chosen ? 0 : -1;
      if (chosen) this.centre(button);
    }
    const article = this.articles.find(({ dataset }) => dataset.part === part);
    if (this.open[part]) this.open[part].shown?.();
    else this.open[part] = new PARTS[part](article, this);
    for (const [name, opened] of Object.entries(this.open)) if (name !== part) opened.pause?.();
    try { localStorage.setItem(KEY, part); } catch { /* not remembered then */ }
  }

  // Only the row of parts moves: scrollIntoView would move the page as well.
  centre(button) {
    const list = button.parentNode;
    list.scrollLeft += button.getBoundingClientRect().left - list.getBoundingClientRect().left - (list.clientWidth - button.offsetWidth) / 2;
  }

  // At which ends the row of parts goes on: it fades there.
  showMore(list) {
    const rest = list.scrollWidth - list.clientWidth - list.scrollLeft;
    list.dataset.more = [list.scrollLeft > 1 && 'left', rest > 1 && 'right'].filter(Boolean).join(' ');
  }

  key(event) {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    const buttons = [...this.root.querySelectorAll('.vlj-part-button')];
    const next = buttons[(buttons.indexOf(document.activeElement) + by + buttons.length) % buttons.length];
    this.show(next.dataset.part);
    next.focus();
  }

  // The map of the shapes world, fetched once.
  shapes() {
    this.shapesView ??= this.api.call('shapes_map').catch((error) => { this.shapesView = null; throw error; });
    return this.shapesView;
  }

  // What went wrong is told until something else went well that was asked for after it.
  async ask(api, name, request) {
    const asked = performance.now();
    const answer = await api.call(name, request);
    if (asked > this.complainedAt && !UNASKED.test(name)) this.calm();
    return answer;
  }

  complain(error) {
    this.complainedAt = performance.now();
    this.root.querySelector('.vlj-alert-text').textContent = error.message;
    this.alert.hidden = false;
  }

  calm() { this.alert.hidden = true; }
}

function remembered() {
  try { return localStorage.getItem(KEY); } catch { return null; } // storage can be forbidden
}
