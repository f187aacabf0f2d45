// Three answers: one clip and one question; flow matching paints, the token VLM writes, VL-JEPA points, V-JEPA feels ahead.

import { Features, Painted, Pointed, Written } from './learn_answers.js';
import { press } from './learn_draw.js';
import { Race } from './learn_race.js';
import { element, still } from './lib.js';

const FIRST = { seed: 10, kind: 'action' };
const KEY = 'vljepa.learn.three';

export class Three {
  constructor(root, page) {
    [this.root, this.page, this.api, this.slow] = [root, page, page.api, 1];
    Object.assign(this, { ...FIRST, ...remembered() });
    this.find = (name) => root.querySelector(`.vlj-${name}`);
    this.arms = { paint: Painted, write: Written, point: Pointed, features: Features };
    for (const [name, Arm] of Object.entries(this.arms)) this.arms[name] = new Arm(root.querySelector(`[data-arm=${name}]`), this);
    this.race = new Race(this.find('race'), ['paint', 'write', 'point'].map((name) => this.arms[name]));
    this.listen();
    new IntersectionObserver(([{ isIntersecting }]) => (isIntersecting ? this.shown() : this.pause())).observe(root);
    this.load();
  }

  listen() {
    const steps = this.root.querySelector('[name=steps]');
    this.find('another').addEventListener('click', () => { this.seed = (this.seed + 1) % 100000; this.load(); });
    this.find('replay').addEventListener('click', () => this.play());
    this.root.addEventListener('change', ({ target }) => {
      if (target.name === 'asked') { this.kind = target.value; this.ask(); }
    });
    this.root.addEventListener('click', ({ target }) => {
      if (!target.dataset.slow) return;
      this.slow = Number(target.dataset.slow);
      press(this.root, 'slow', target.dataset.slow);
      this.play();
    });
    steps.addEventListener('input', () => { this.find('steps-said').textContent = steps.value; });
    steps.addEventListener('change', () => this.answer(['paint']));
  }

  // --- the clip and what is asked ------------------------------------------------------------------------------

  async load() {
    const { seed } = this;
    try {
      const [clip, shapes] = await Promise.all([this.api.call('three_clip', { seed }), this.page.shapes()]);
      if (seed !== this.seed) return;
      this.page.calm();
      [this.clip, this.shapes] = [clip, shapes];
      this.find('screen').style.backgroundImage = `url("${clip.frames}")`;
      if (!clip.questions.some(({ kind }) => kind === this.kind)) this.kind = FIRST.kind;
      this.showQuestions();
      this.shown();
      this.ask();
    } catch (error) { this.page.complain(error); }
  }

  get asked() { return this.clip.questions.find(({ kind }) => kind === this.kind); }

  showQuestions() {
    for (const group of this.root.querySelectorAll('.vlj-questions')) {
      const hides = Boolean(group.dataset.hides);
      group.replaceChildren(...this.clip.questions.filter(({ hidden }) => Boolean(hidden.length) === hides).map(({ kind, text }) => {
        const label = element('label', 'vlj-question');
        const input = element('input');
        Object.assign(input, { type: 'radio', name: 'asked', value: kind, checked: kind === this.kind });
        label.append(input, element('span', '', text));
        return label;
      }));
    }
  }

  showThumbs() {
    const { clip, asked } = this;
    this.find('thumbs').replaceChildren(...Array.from({ length: clip.count }, (_, i) => {
      const frame = element('li', asked.hidden.includes(i) ? 'vlj-veiled' : '');
      frame.style.backgroundImage = `url("${clip.frames}")`;
      frame.style.backgroundPositionX = at(i, clip.count);
      frame.setAttribute('aria-label', `frame ${i + 1}${asked.hidden.includes(i) ? ', hidden' : ''}`);
      return frame;
    }));
  }

  // One frame of the clip; hidden ones are a veil.
  showFrame(i) {
    const [screen, hidden] = [this.find('screen'), this.asked.hidden.includes(i)];
    screen.style.backgroundPositionX = at(i, this.clip.count);
    screen.classList.toggle('vlj-veiled', hidden);
    [...this.find('thumbs').children].forEach((frame, k) => frame.classList.toggle('vlj-current', k === i));
  }

  shown() {
    if (!this.clip || this.clock || still()) return;
    let i = 0;
    this.clock = setInterval(() => { this.showFrame(i); i = (i + 1) % this.clip.count; }, 1000 / this.clip.fps);
  }

  pause() { clearInterval(this.clock); this.clock = 0; }

  // --- the answers ---------------------------------------------------------------------------------------------

  ask() {
    try { localStorage.setItem(KEY, JSON.stringify({ seed: this.seed, kind: this.kind })); } catch { /* not remembered then */ }
    this.showThumbs();
    this.showFrame(0);
    this.answer(Object.keys(this.arms));
  }

  get request() { return { seed: this.seed, kind: this.kind, steps: Number(this.root.querySelector('[name=steps]').value) }; }

  // Ask some of the arms; one that fails says so in its own column, and the others go on.
  async answer(names) {
    const asked = JSON.stringify(this.request);
    this.race.stop();
    await Promise.all(names.map(async (name) => {
      const arm = this.arms[name];
      arm.wait();
      try {
        const view = await this.api.call(`three_${name}`, this.request);
        if (asked === JSON.stringify(this.request)) arm.take(view);
      } catch (error) { if (asked === JSON.stringify(this.request)) arm.fail(error.message); }
    }));
    if (asked === JSON.stringify(this.request)) this.play();
  }

  play() {
    this.find('pace-said').textContent = this.slow === 1 ? 'Shown as fast as it was computed.' : `Shown ${this.slow} times slower than it was computed, for the eye.`;
    this.race.play(this.slow, still());
  }
}

const at = (i, count) => `${100 * i / (count - 1)}%`;

function remembered() {
  try {
    const { seed, kind } = JSON.parse(localStorage.getItem(KEY) ?? '{}');
    return Number.isInteger(seed) && seed >= 0 && seed < 100000 && typeof kind === 'string' ? { seed, kind } : {};
  } catch { return {}; } // storage can be forbidden, or hold something else
}
