// Meaning is geometry: pairs of sentences by shared words and by cosine, and hard negatives with both inequalities.

import { element, many, segmentColour, svg } from './lib.js';

const EXAMPLES = {
  'A lamp': ['the lamp is turned off', 'the room goes dark', 'a dog runs along the beach'],
  'A dog': ['a dog runs along the beach', 'a puppy is racing over the sand', 'a dog sleeps along the beach', 'a man runs along the beach'],
  'A game': ['two teams play football', 'players chase a ball on a field', 'two teams play chess', 'a crowd of people is dancing'],
  'Off and on': ['the lamp is turned off', 'the room goes dark', 'the lamp is turned on'],
};
const WAIT_MS = 250;
const KEY = 'vljepa.sentences'; // kept while the page is: another checkpoint should judge the same ones
const LETTERS = 'ABCDEFGH';

export class Geometry {
  constructor(root, page) {
    [this.root, this.page, this.api] = [root, page, page.api];
    this.find = (name) => root.querySelector(`.vlj-${name}`);
    [this.most] = page.about.limits;
    this.find('add').addEventListener('click', () => { this.addLine('').focus(); this.changed(); });
    this.find('presets').append(...Object.keys(EXAMPLES).map((name) => {
      const button = element('button', 'vlj-chip', name);
      button.type = 'button';
      button.addEventListener('click', () => this.fill(EXAMPLES[name]));
      return button;
    }));
    this.fill(written() ?? Object.values(EXAMPLES)[0]);
    this.trio = root.querySelector('.vlj-trio');
    this.trio.addEventListener('input', () => { this.picked = []; this.showWords(); this.later('trio', () => this.judge()); });
    this.showTriplets();
    this.useTriplet(page.about.ordinary);
    document.addEventListener('vlj-theme', () => this.drawn && this.draw(this.drawn));
  }

  // --- pairs ---------------------------------------------------------------------------------------------------

  fill(texts) {
    this.find('lines').replaceChildren();
    for (const text of texts) this.addLine(text);
    this.compare();
  }

  addLine(text) {
    const line = element('li');
    const input = element('input');
    Object.assign(input, { type: 'text', value: text, maxLength: this.page.about.limits[1], autocomplete: 'off', spellcheck: false });
    input.addEventListener('input', () => this.changed());
    const remove = element('button', 'vlj-icon', '×');
    remove.type = 'button';
    remove.setAttribute('aria-label', 'Take this sentence away');
    remove.addEventListener('click', () => { line.remove(); this.changed(); });
    line.append(element('b', 'vlj-letter'), input, remove);
    this.find('lines').append(line);
    this.letter();
    return input;
  }

  letter() {
    const lines = [...this.find('lines').children];
    lines.forEach((line, i) => {
      line.firstChild.textContent = LETTERS[i];
      line.firstChild.style.setProperty('--vlj-segment', segmentColour(i));
      line.querySelector('input').setAttribute('aria-label', `Sentence ${LETTERS[i]}`);
      line.querySelector('button').disabled = lines.length <= 2;
    });
    this.find('add').disabled = lines.length >= this.most;
  }

  changed() { this.letter(); this.later('pairs', () => this.compare()); }

  later(what, act) {
    this.waiting ??= {};
    clearTimeout(this.waiting[what]);
    this.waiting[what] = setTimeout(act, WAIT_MS);
  }

  async compare() {
    const texts = [...this.find('lines').querySelectorAll('input')].map((input) => input.value.trim()).filter(Boolean);
    if (texts.length < 2) return; // somebody is still writing
    const asked = this.asked = JSON.stringify(texts);
    try { sessionStorage.setItem(KEY, asked); } catch { /* not kept then */ }
    try {
      const view = await this.api.call('compare', { texts });
      if (asked !== this.asked) return;
      this.page.calm();
      const pairs = [];
      for (let i = 0; i < texts.length; i++) for (let j = i + 1; j < texts.length; j++) pairs.push({ i, j, overlap: view.overlap[i][j], cosine: view.cosine[i][j] });
      this.draw({ texts, pairs });
    } catch (error) { this.page.complain(error); }
  }

  draw({ texts, pairs }) {
    this.drawn = { texts, pairs };
    const lowest = Math.min(0, ...pairs.map(({ cosine }) => Math.floor(cosine * 5) / 5));
    const x = (value) => 52 + value * 350;
    const y = (value) => 258 - (value - lowest) / (1 - lowest) * 236;
    const chart = this.find('scatter');
    const parts = [];
    for (let tick = lowest; tick <= 1.001; tick += 0.2) {
      parts.push(svg('line', { x1: 52, x2: 402, y1: y(tick), y2: y(tick), class: 'vlj-grid' }),
        svg('text', { x: 44, y: y(tick) + 4, class: 'vlj-tick', 'text-anchor': 'end' }, tick.toFixed(1)));
    }
    for (const tick of [0, 0.5, 1]) parts.push(svg('text', { x: x(tick), y: 275, class: 'vlj-tick', 'text-anchor': 'middle' }, `${tick * 100} %`));
    parts.push(svg('text', { x: 227, y: 294, class: 'vlj-axis-name', 'text-anchor': 'middle' }, 'words shared'),
      svg('text', { x: -140, y: 13, class: 'vlj-axis-name', 'text-anchor': 'middle', transform: 'rotate(-90)' }, 'cosine'));
    const taken = []; // names of pairs that lie together stand over each other, and none on the axis
    for (const { i, j, overlap, cosine } of pairs) {
      const group = svg('g', { class: 'vlj-pair' });
      const named = free(y(cosine) + 5, (at) => at > 256 || taken.some(([a, b]) => Math.abs(a - x(overlap)) < 40 && Math.abs(b - at) < 15));
      taken.push([x(overlap), named]);
      group.append(svg('circle', { cx: x(overlap), cy: y(cosine), r: 8, fill: segmentColour(i), stroke: segmentColour(j), 'stroke-width': 4 }),
        svg('text', { x: x(overlap) + (overlap > 0.85 ? -16 : 16), y: named, class: 'vlj-dot-name', 'text-anchor': overlap > 0.85 ? 'end' : 'start' }, LETTERS[i] + LETTERS[j]),
        svg('title', {}, `${texts[i]} — ${texts[j]}: ${percent(overlap)} of the words, cosine ${cosine.toFixed(2)}`));
      parts.push(group);
    }
    chart.replaceChildren(...parts);
    this.find('pair-rows').replaceChildren(...[...pairs].sort((a, b) => b.cosine - a.cosine).map(({ i, j, overlap, cosine }) => {
      const row = element('tr');
      const names = element('td');
      names.append(element('b', '', LETTERS[i] + LETTERS[j]), ` ${texts[i]} — ${texts[j]}`);
      row.append(names, bar(overlap, percent(overlap)), bar(Math.max(0, cosine), cosine.toFixed(3)));
      return row;
    }));
  }

  // --- hard negatives ------------------------------------------------------------------------------------------

  texts() { return ['a', 'b', 'n'].map((name) => this.trio.querySelector(`[name=${name}]`).value.trim()); }

  useTriplet(texts) {
    ['a', 'b', 'n'].forEach((name, k) => { this.trio.querySelector(`[name=${name}]`).value = texts[k]; });
    this.picked = [];
    this.showWords();
    this.judge();
  }

  showWords() {
    const words = this.texts()[0].split(/\s+/).filter(Boolean);
    this.find('words').replaceChildren(...words.map((word, i) => {
      const button = element('button', 'vlj-chip', word);
      button.type = 'button';
      button.setAttribute('aria-pressed', String(this.picked.includes(i)));
      button.addEventListener('click', () => this.pick(i, words));
      return button;
    }));
  }

  pick(index, words) {
    this.picked = this.picked.includes(index) ? this.picked.filter((i) => i !== index) : [...this.picked, index];
    if (this.picked.length === 2) {
      const [i, j] = this.picked;
      [words[i], words[j]] = [words[j], words[i]];
      this.trio.querySelector('[name=n]').value = words.join(' ');
      this.picked = [];
      this.judge();
    }
    this.showWords();
    this.find('words').children[index]?.focus();
  }

  async judge() {
    const row = this.texts();
    if (row.some((text) => !text)) return;
    const asked = this.judging = JSON.stringify(row);
    try {
      const { rows: [found] } = await this.api.call('triplet', { rows: [row] });
      if (asked !== this.judging) return;
      this.page.calm();
      const lines = [['cos(a, b)', found.pair, 'cos(a, n)', found.one], ['cos(a, b)', found.pair, 'cos(b, n)', found.other]];
      this.find('verdicts').replaceChildren(...lines.map(([left, own, right, wrong]) => {
        const line = element('p', own > wrong ? 'vlj-holds' : 'vlj-fails');
        line.append(element('span', '', `${left} ${own.toFixed(3)}`), element('b', '', own > wrong ? '>' : '≤'),
          element('span', '', `${right} ${wrong.toFixed(3)}`), element('em', '', own > wrong ? 'holds' : 'fails'));
        return line;
      }));
    } catch (error) { this.page.complain(error); }
  }

  async showTriplets() {
    try {
      const { ordinary, triplets, checkpoint } = this.page.about;
      const { rows } = await this.api.call('triplet', { rows: [ordinary] });
      const { rows: hard } = await this.api.call('triplet', { rows: triplets });
      this.find('ordinary').replaceChildren(this.tripletItem(ordinary, rows[0]));
      this.find('hard').replaceChildren(...triplets.map((triplet, i) => this.tripletItem(triplet, hard[i])));
      this.find('score').textContent = `${hard.filter(passes).length} of ${hard.length} passed by ${checkpoint}`;
      this.find('why-hard').textContent = whyHard(this.page.about);
    } catch (error) { this.page.complain(error); }
  }

  tripletItem(triplet, found) {
    const item = element('li');
    const button = element('button', passes(found) ? 'vlj-holds' : 'vlj-fails');
    button.type = 'button';
    button.append(element('em', '', passes(found) ? 'passes' : 'fails'), element('span', '', triplet[0]), element('span', 'vlj-quiet', triplet[2]));
    button.addEventListener('click', () => this.useTriplet(triplet));
    item.append(button);
    return item;
  }
}

const passes = ({ pair, one, other }) => pair > one && pair > other;

// Why most of them fail, with the share that was measured, if it was.
function whyHard({ measured, checkpoint }) {
  const said = 'This is what the paper’s table of hard negatives measures';
  return measured ? `${said}, and the small text encoder of ${checkpoint} mostly fails it: it goes by the words of a sentence more `
    + `than by who does what to whom. Of ${many(measured.of, 'triplet')} with a hard negative it passes ${measured.percent.toFixed(1)} %.` : `${said}.`;
}

// The height nearest to the one wished for that is not taken, in lines of text.
function free(wished, isTaken) {
  for (let line = 0; ; line++) for (const at of [wished + 15 * line, wished - 15 * line]) if (!isTaken(at)) return at;
}

const percent = (share) => `${Math.round(share * 100)} %`;

function bar(share, text) {
  const cell = element('td', 'vlj-bar-cell');
  const fill = element('i');
  fill.style.width = `${share * 100}%`;
  cell.append(fill, element('span', '', text));
  return cell;
}

function written() {
  try { return JSON.parse(sessionStorage.getItem(KEY)); } catch { return null; }
}
