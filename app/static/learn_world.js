// What happened?: two images, four actions; the student picks, the model picks, and the change is an arrow on the map.

import { SmallMap, press, showStrip } from './learn_draw.js';
import { element } from './lib.js';

export class World {
  constructor(root, page) {
    [this.root, this.page, this.api, this.seed, this.as] = [root, page, page.api, 1, 'text'];
    this.score = { asked: 0, you: 0, model: 0 };
    this.find = (name) => root.querySelector(`.vlj-${name}`);
    this.find('next').addEventListener('click', () => { this.seed = (this.seed + 1) % 100000; this.load(); });
    root.addEventListener('click', ({ target }) => {
      if (!target.dataset.as) return;
      this.as = target.dataset.as;
      press(root, 'as', this.as);
      this.showOptions();
    });
    document.addEventListener('keydown', (event) => {
      if (root.hidden || !root.offsetParent || event.ctrlKey || event.metaKey || event.altKey) return;
      if (/^[1-4]$/.test(event.key) && !/^(text|search|number)$/.test(event.target.type ?? '')) this.pick(Number(event.key) - 1);
    });
    this.load();
  }

  async load() {
    const seed = this.seed;
    this.solved = null;
    try {
      const [puzzle, { landmarks }] = await Promise.all([this.api.call('puzzle', { seed }), this.page.shapes()]);
      if (seed !== this.seed) return;
      this.map ??= new SmallMap(this.root.querySelector('.vlj-map-svg'), landmarks);
      this.puzzle = puzzle;
      for (const which of ['before', 'after']) showStrip(this.root.querySelector(`[data-still=${which}]`), puzzle[which]);
      this.find('change').hidden = true;
      this.showOptions();
      this.tell();
    } catch (error) { this.page.complain(error); }
  }

  showOptions() {
    if (!this.puzzle) return;
    this.find('options').dataset.as = this.as;
    this.find('options').replaceChildren(...this.puzzle.texts.map((text, k) => {
      const option = element('button', 'vlj-option');
      option.type = 'button';
      option.append(element('b', '', String(k + 1)));
      if (this.as === 'text') option.append(element('span', '', text));
      else {
        const strip = element('span', 'vlj-strip');
        showStrip(strip, this.puzzle.clips[k]);
        option.append(strip);
        option.setAttribute('aria-label', `Clip ${k + 1}`);
      }
      option.addEventListener('click', () => this.pick(k));
      return option;
    }));
    if (this.solved) this.reveal();
  }

  async pick(k) {
    if (!this.puzzle || this.solved || this.solving) return;
    this.solving = true;
    try {
      const view = await this.api.call('solve', { seed: this.seed });
      const model = view[this.as].indexOf(Math.max(...view[this.as]));
      this.solved = { ...view, yours: k, as: this.as };
      this.score.asked += 1;
      this.score.you += k === view.right;
      this.score.model += model === view.right;
      this.reveal();
      this.tell();
      this.drawChange(view);
      this.find('next').focus({ preventScroll: true });
    } catch (error) { this.page.complain(error); } finally { this.solving = false; }
  }

  reveal() {
    const cosines = this.solved[this.as];
    const best = cosines.indexOf(Math.max(...cosines));
    [...this.find('options').children].forEach((option, k) => {
      option.disabled = true;
      option.classList.toggle('vlj-right', k === this.solved.right);
      const marks = element('span', 'vlj-marks');
      marks.append(element('small', '', `cosine ${cosines[k].toFixed(2)}`));
      if (k === this.solved.yours) marks.append(element('em', '', 'you'));
      if (k === best) marks.append(element('em', 'vlj-models', 'VL-JEPA'));
      option.append(marks);
      option.style.setProperty('--vlj-share', String(Math.max(0, cosines[k])));
    });
  }

  drawChange(view) {
    this.map.clear();
    view.texts_xy.forEach((xy, k) => this.map.label(xy, String(k + 1), this.puzzle.texts[k]));
    this.map.star(view.change_xy, 'the predicted action');
    this.map.change(view.before_xy, view.after_xy, [['B', 'the image before'], ['A', 'the image after']]);
    this.find('change').hidden = false;
  }

  tell() {
    const { asked, you, model } = this.score;
    this.find('tally').textContent = asked ? `You ${you} of ${asked} · VL-JEPA ${model} of ${asked} · chance 1 in 4` : 'Pick one: a click, or the keys 1 to 4.';
  }
}
