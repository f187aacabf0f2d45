// Other cuts of the film beside ours, with as many segments; measured where somebody has written down the truth.

import { clockTime, element } from './lib.js';

const NAMES = {
  meaning: ['By meaning', 'This cut: where the embeddings change'],
  pixels: ['By pixels', 'As many segments, where one frame differs most from the next'],
  clock: ['By the clock', 'As many segments, all equally long'],
  reference: ['Reference', 'Where the segments truly begin'],
};
const LARGEST = 2_000_000; // bytes of a reference

export class Compare {
  // `request` gives the settings of the cut, `sample` the name of the sample film that is open, if one is.
  constructor(root, store, api, { seek, request, sample, complain }) {
    Object.assign(this, { store, api, seek, request, sample, complain });
    this.panel = root.querySelector('.vlj-compare');
    this.rows = this.panel.querySelector('.vlj-ways');
    this.note = this.panel.querySelector('.vlj-ways-note');
    this.forget = this.panel.querySelector('.vlj-reference-forget');
    this.panel.addEventListener('toggle', () => this.refresh());
    this.panel.querySelector('.vlj-reference-file').addEventListener('change', (event) => this.take(event.target));
    this.forget.addEventListener('click', () => { this.reference = null; this.refresh(); });
    this.rows.addEventListener('click', (event) => {
      const mark = event.target.closest('.vlj-mark');
      if (mark) this.seek(Number(mark.dataset.time));
    });
    store.on('film', () => { this.reference = null; this.rows.replaceChildren(); });
    store.on('cut', () => this.refresh());
  }

  async take(input) {
    const [file] = input.files;
    input.value = ''; // the same file can be chosen again
    if (!file) return;
    if (file.size > LARGEST) { this.complain(new Error(`${file.name} is too large for a list of segments.`)); return; }
    this.reference = { name: file.name, text: await file.text() };
    this.refresh();
  }

  // One request at a time; what changed meanwhile is asked next.
  async refresh() {
    if (!this.panel.open || !this.store.film || !this.store.cut) return;
    this.wanted = JSON.stringify({ ...this.request(), reference: this.reference, sample: this.sample() });
    if (this.busy) return;
    this.busy = true;
    try {
      while (this.wanted) {
        const asking = this.wanted;
        this.wanted = null;
        if (!this.rows.children.length) this.note.textContent = 'Reading the pixels …';
        this.show(await this.api.call('compare', JSON.parse(asking)));
      }
    } catch (error) {
      this.reference = null;
      this.note.textContent = '';
      this.complain(error);
    } finally { this.busy = false; }
  }

  show({ cuts, tolerance_s }) {
    if (!this.store.film) return;
    const measured = cuts.some(({ f1 }) => f1 !== null);
    this.rows.replaceChildren(...cuts.map((cut) => this.row(cut)));
    this.forget.hidden = !this.reference;
    const source = this.reference ? this.reference.name : 'the truth that comes with this sample';
    const [{ boundaries_s: ours }] = cuts;
    const alone = ours.length ? '' : 'The film is one segment here, so there are no boundaries to compare: cut it into more. ';
    this.note.textContent = alone + (measured
      ? `F1 of the boundaries against ${source}; within ${tolerance_s} s counts as found.`
      : 'Load where the segments truly begin (JSON or CSV) to measure all three.');
  }

  row({ way, boundaries_s, f1 }) {
    const [name, meaning] = NAMES[way];
    const row = element('div', `vlj-way vlj-way-${way}`);
    const label = element('span', 'vlj-way-name', name);
    label.title = meaning;
    const track = element('span', 'vlj-way-track');
    track.append(...boundaries_s.map((time) => {
      const mark = element('button', 'vlj-mark');
      mark.type = 'button';
      mark.tabIndex = -1; // the timeline above is for the keyboard
      mark.dataset.time = time;
      mark.style.left = `${100 * time / this.store.film.seconds}%`;
      mark.title = clockTime(time, true);
      mark.setAttribute('aria-label', `${name}: boundary at ${clockTime(time, true)}`);
      return mark;
    }));
    row.append(label, track, element('span', 'vlj-way-f1', f1 === null ? '' : `F1 ${f1.toFixed(2)}`));
    return row;
  }
}
