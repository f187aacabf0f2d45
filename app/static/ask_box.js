// The query box: what is asked and in which of three ways, with its answers or labels as chips. It writes the store's
// settings and nothing else; the page asks when it says so.

import { splitList } from './ask_evidence.js';
import { element } from './lib.js';

const CHIPS_SHOWN = 60;
export const MODES = {
  question: { go: 'Ask', label: 'Your question', placeholder: 'Is someone at the table?', choices: 'Answers', list: 'answers',
    more: 'any answer, or type your own', each: 'answer',
    hint: 'Enter asks. Leave the answers empty to rank the built-in ones.',
    presets: { 'yes / no': 'yes, no', colours: 'red, orange, yellow, green, blue, white, black, brown',
      'how many': 'one, two, three, four' } },
  label: { go: 'Add', label: 'A label to add', placeholder: 'Type a label and press Enter', choices: 'Labels', list: 'labels', more: '', each: 'label',
    hint: 'Enter adds a label; every change is scored at once.',
    presets: { animals: 'cat, dog, horse, lion, cheetah, bird, person',
      'this sample': 'astronaut, rocket, cat, motorcycle, cup of coffee, cheetah, tower, lion, photographer, galaxies',
      sports: 'cycling, skiing, surfing, football, tennis, climbing, motorcycle racing',
      places: 'street, beach, kitchen, forest, snow, desert, office' } },
  search: { go: 'Find', label: 'What to look for', placeholder: 'A red motorcycle in a garage', choices: '', list: '', more: '', each: '',
    hint: 'Enter finds the moments that a description fits best.', presets: {} },
};

export class QueryBox {
  constructor(root, store, { submit, changed, note }) {
    Object.assign(this, { root, store, submit, changed, note });
    for (const part of ['box', 'more', 'chips', 'go', 'choices', 'clear', 'several', 'query']) this[part] = root.querySelector(`.vlj-${part}`);
    this.listen();
    store.on('settings', () => this.show());
    this.show();
  }

  get mode() { return this.store.settings.mode; }
  get texts() { return MODES[this.mode].list ? JSON.parse(this.store.settings[MODES[this.mode].list]) : []; }

  listen() {
    this.root.querySelector('.vlj-modes').addEventListener('click', (event) => {
      const { mode } = event.target.dataset;
      if (mode && mode !== this.mode) { this.store.change({ mode }); this.box.focus(); this.changed(); }
    });
    this.query.addEventListener('submit', (event) => { event.preventDefault(); this.enter(); });
    this.box.addEventListener('input', () => this.typed());
    this.more.addEventListener('keydown', (event) => {
      if (event.key === 'Enter' && this.more.value.trim()) { event.preventDefault(); this.add(this.more); }
      if (event.key === 'Backspace' && !this.more.value && this.texts.length) this.set(this.texts.slice(0, -1));
    });
    this.more.addEventListener('input', () => { if (/[,;\n]$/.test(this.more.value)) this.add(this.more); });
    this.more.addEventListener('change', () => this.add(this.more));
    this.chips.addEventListener('click', ({ target }) => {
      const chip = target.closest('button');
      if (!chip) return;
      if (chip.dataset.preset) this.set(splitList(MODES[this.mode].presets[chip.dataset.preset]));
      else this.set(this.texts.filter((_, i) => i !== Number(chip.dataset.index)));
      this.focus();
    });
    this.clear.addEventListener('click', () => { this.set([]); this.focus(); });
    this.several.querySelector('input').addEventListener('change', ({ target }) => {
      this.store.change({ several: target.checked });
      this.changed();
    });
  }

  focus() { (this.mode === 'label' ? this.box : this.more).focus(); }

  typed() {
    if (this.mode !== 'label') { this.store.change({ [this.mode]: this.box.value }); return; }
    if (/[,;\n]$/.test(this.box.value)) this.add(this.box);
  }

  enter() {
    if (this.more.value.trim()) this.add(this.more, true);
    if (this.mode === 'label' && this.box.value.trim()) this.add(this.box); else this.submit();
  }

  add(input, quietly = false) {
    const [given, known] = [splitList(input.value), new Set(this.texts.map((text) => text.toLowerCase()))];
    const [written, { each }] = [input.value.trim(), MODES[this.mode]];
    input.value = '';
    if (written && !given.length) this.note(`“${shortened(written)}” names no ${each}: type a word.`);
    const [fresh, again] = [[], []];
    for (const text of given) {
      (known.has(text.toLowerCase()) ? again : fresh).push(text);
      known.add(text.toLowerCase());
    }
    if (fresh.length) this.set([...this.texts, ...fresh], quietly);
    if (again.length) this.note(`“${shortened(again[0])}” is there already; each ${each} counts once.`);
  }

  set(texts, quietly = false) {
    this.store.change({ [MODES[this.mode].list]: JSON.stringify(texts) });
    if (!quietly) this.changed();
  }

  // Puts a request of before back into the box.
  restore(request) {
    const changes = { mode: request.kind };
    if (request.kind === 'label') Object.assign(changes, { labels: JSON.stringify(request.labels), several: request.several });
    else changes[request.kind] = request.text;
    if (request.kind === 'question') changes.answers = JSON.stringify(request.answers);
    this.store.change(changes);
    this.box.value = request.kind === 'label' ? '' : request.text;
  }

  show() {
    const { mode, settings } = { mode: this.mode, settings: this.store.settings };
    const about = MODES[mode];
    this.root.dataset.mode = mode;
    this.root.querySelectorAll('.vlj-modes [data-mode]').forEach((button) =>
      button.setAttribute('aria-pressed', String(button.dataset.mode === mode)));
    if (mode !== this.shownMode) {
      this.box.value = mode === 'label' ? '' : settings[mode];
      this.box.placeholder = about.placeholder;
      this.box.setAttribute('aria-label', about.label);
      this.root.querySelector('#vlj-ask-hint').textContent = about.hint;
      this.go.textContent = about.go;
      this.shownMode = mode;
    }
    this.choices.hidden = !about.list;
    this.choices.setAttribute('aria-label', about.choices);
    this.root.querySelector('.vlj-choices-name').textContent = this.texts.length > 1 ? `${this.texts.length} ${about.each}s` : about.choices;
    this.clear.hidden = this.texts.length < 2;
    this.clear.setAttribute('aria-label', `Clear every ${about.each}`);
    this.more.hidden = !about.more;
    this.more.placeholder = this.texts.length ? 'one more' : about.more;
    this.more.setAttribute('aria-label', 'An answer to choose from');
    this.several.hidden = mode !== 'label';
    this.several.querySelector('input').checked = settings.several;
    this.showChips(about);
  }

  showChips(about) {
    const { texts } = this;
    const drawn = JSON.stringify([this.mode, texts]);
    if (drawn === this.drawnChips) return; // typing in the box must not redraw five hundred chips
    this.drawnChips = drawn;
    const chips = texts.slice(0, CHIPS_SHOWN).map((text, index) => chip('vlj-chip', text, { index }, `Remove ${about.each} ${text}`));
    if (texts.length > CHIPS_SHOWN) chips.push(element('span', 'vlj-chips-rest', `and ${texts.length - CHIPS_SHOWN} more`));
    if (!texts.length) {
      chips.push(...Object.entries(about.presets).map(([name, list]) => chip('vlj-chip vlj-preset', name, { preset: name }, `Use ${list}`)));
    }
    this.chips.replaceChildren(...chips);
  }
}

const shortened = (text) => text.length > 40 ? `${text.slice(0, 39)}…` : text;

function chip(className, text, data, label) {
  const made = element('button', className);
  made.type = 'button';
  Object.assign(made.dataset, data);
  made.append(element('span', '', text));
  made.setAttribute('aria-label', shortened(label));
  made.title = label.length > 300 ? `${label.slice(0, 299)}…` : label;
  return made;
}
