// The columns of "Three answers": each takes what its arm answered and shows as much of it as was there at a time.

import { SmallMap, showCost } from './learn_draw.js';
import { element, many, svg } from './lib.js';

const FRAMES = 4; // of the painted part

// What the columns share. `ends`: when each piece was there, in ms; `before_ms`: what the encoder took before the first.
class Answer {
  constructor(root, three) {
    [this.root, this.three, this.ends, this.before_ms] = [root, three, [], 0];
    this.find = (name) => root.querySelector(`.vlj-${name}`);
    this.body = this.find('body');
  }

  wait() {
    this.view = null;
    this.root.classList.add('vlj-waiting');
  }

  take(view) {
    this.view = view;
    this.root.classList.remove('vlj-waiting', 'vlj-failed');
    this.before_ms = view.encoder?.ms ?? 0;
    let sum = this.before_ms;
    this.ends = view.spans_ms.map((span) => (sum += span));
    this.said = undefined;
    this.mark('');
    showCost(this.find('cost'), view, this.passes(view));
    if (view.encoder) this.find('cost').append(element('small', 'vlj-quiet', `before it, the shared encoder: ${many(view.encoder.passes, 'pass', 'passes')}, ${view.encoder.mflop.toFixed(0)} MFLOPs, ${view.encoder.ms.toFixed(1)} ms`));
  }

  passes({ passes }) { return passes === 1 ? 'forward pass' : 'forward passes'; }

  // How many of its pieces were there after so many ms.
  there(at) { return this.ends.filter((end) => end <= at + 1e-6).length; }

  fail(sentence) {
    this.root.classList.remove('vlj-waiting');
    this.root.classList.add('vlj-failed');
    this.find('cost').replaceChildren();
    this.mark(sentence);
  }

  mark(text) { mark(this.find('verdict'), text); }
}

export class Painted extends Answer {
  name = 'Flow matching';

  take(view) {
    super.take(view);
    const rows = [['Painted', view.pictures[0]], ['Truth', view.truth]].map(([name, source]) => {
      const row = element('figure', 'vlj-row-of-frames');
      const picture = element('img');
      Object.assign(picture, { src: source, alt: '' });
      row.append(picture, element('figcaption', '', name));
      return row;
    });
    [this.picture, this.truth] = rows.map((row) => row.querySelector('img'));
    this.truth.alt = `The true ${FRAMES} frames`;
    this.body.replaceChildren(...rows);
    for (const source of view.pictures) new Image().src = source; // decoded before they are needed
  }

  show(at) {
    const step = this.there(at);
    if (step === this.said) return;
    this.said = step;
    const { view } = this;
    this.picture.src = view.pictures[step];
    const done = step === this.ends.length;
    this.picture.alt = `The ${FRAMES} hidden frames after ${step} of ${this.ends.length} steps`;
    this.body.querySelector('figcaption').textContent = step ? `Painted, step ${step} of ${this.ends.length}` : 'Noise';
    if (!done) { this.mark(''); return; }
    const words = this.three.asked.hidden.length ? 'It says no word of what happens.' : 'It has no words for this question: it can only paint, here the second half of the clip.';
    this.mark(`${words} PSNR ${view.psnr.toFixed(1)} dB against the true pixels (higher is nearer); had everything stood still, ${view.still.toFixed(1)} dB.`);
  }
}

export class Written extends Answer {
  name = 'Token VLM';

  passes() { return 'forward passes, one a token'; }

  fail(sentence) {
    super.fail(sentence);
    this.find('written').replaceChildren();
  }

  show(at) {
    const there = this.there(at);
    if (there === this.said) return;
    this.said = there;
    const { view } = this;
    const done = there === this.ends.length;
    const words = view.words.slice(0, there).map((word, i) => {
      const written = element('span', 'vlj-token', word);
      written.append(element('small', '', `${view.spans_ms[i].toFixed(1)} ms`));
      return written;
    });
    this.find('written').replaceChildren(...words, element('span', 'vlj-end', !done ? '▍' : view.ended ? 'end' : 'no end within what it may write'));
    if (done) showVerdict(this.find('verdict'), view); else this.mark('');
  }
}

export class Pointed extends Answer {
  name = 'VL-JEPA';

  constructor(root, three) {
    super(root, three);
    this.readout = new Readout(three.root.querySelector('.vlj-readout'));
    this.find('read').addEventListener('click', () => this.read());
  }

  passes({ passes }) { return passes === 1 ? 'forward pass, and it is done' : 'forward passes'; }

  take(view) {
    super.take(view);
    this.map ??= new SmallMap(this.find('map-svg'), this.three.shapes.landmarks);
    this.map.clear();
    this.find('read').disabled = true;
  }

  wait() {
    super.wait();
    this.find('read').disabled = true;
    this.readout.hide();
  }

  show(at) {
    const there = this.there(at);
    if (there === this.said) return;
    this.said = there;
    this.map.clear();
    if (!there) return;
    this.map.landed(this.view.xy, 'the predicted meaning');
    if (this.view.words) this.markTruth(); else this.find('read').disabled = false;
  }

  async read() {
    const { view } = this;
    const { seed, kind } = this.three.request;
    this.find('read').disabled = true;
    try {
      const words = await this.three.api.call('three_read', { seed, kind });
      if (view !== this.view) return;
      view.words = words;
      this.markTruth();
      this.readout.take(words);
    } catch (error) { this.mark(error.message); this.find('read').disabled = false; }
  }

  markTruth() {
    const { truth_xy, truth } = this.view.words;
    if (truth_xy) this.map.label(truth_xy, 'T', `the truth: ${truth}`, 'vlj-end-mark');
  }
}

// What VL-JEPA's point says, once somebody asks.
class Readout {
  constructor(root) {
    this.root = root;
    this.find = (name) => root.querySelector(`.vlj-${name}`);
  }

  hide() { this.root.hidden = true; }

  take({ nearest, sentence, of, passes, mflop, ms, truth_xy }) {
    this.root.hidden = false;
    const told = sentence ?? nearest[0];
    this.root.querySelector('h3 span').textContent = sentence ? 'by its decoder' : 'by the nearest answer';
    this.find('written').textContent = told.text;
    showVerdict(this.find('verdict'), told);
    this.find('hint').textContent = sentence ? `The nearest of ${of} stored sentences, and their cosines:` : `The nearest of the ${of} answers that there can be, and their cosines:`;
    this.find('nearest').replaceChildren(...nearest.map(({ text, cosine, right }) => {
      const item = element('li');
      item.append(element('span', '', text), element('b', '', cosine.toFixed(2)), element('i', right ? 'vlj-yes' : 'vlj-no', right ? '✓ true' : '✗ not so'));
      return item;
    }));
    this.root.querySelector('small').textContent = `Reading took ${many(passes, 'pass', 'passes')}, ${mflop.toFixed(1)} MFLOPs and ${ms.toFixed(1)} ms more, only because you asked. ${truth_xy ? 'T on the map marks the truth.' : 'The map is of captions: an answer lies somewhere between them.'}`;
  }
}

export class Features extends Answer {
  name = 'V-JEPA';

  passes() { return 'forward passes: encoder and predictor'; }

  take(view) {
    super.take(view);
    const { cosine, frames, side, mean, still, numbers } = view;
    this.body.replaceChildren(...cosine.map((cells, k) => {
      const map = element('figure');
      const grid = svg('svg', { viewBox: `0 0 ${side * 40} ${side * 40}`, role: 'img', 'aria-label': `Cosines of frames ${frames[k].join(' and ')}: ${Math.min(...cells).toFixed(2)} to ${Math.max(...cells).toFixed(2)}` });
      cells.forEach((value, i) => {
        const [x, y] = [40 * (i % side), 40 * Math.floor(i / side)];
        const cell = svg('g');
        const tile = svg('rect', { x: x + 1, y: y + 1, width: 38, height: 38, rx: 5, class: 'vlj-tile' });
        tile.style.setProperty('--vlj-share', String(Math.max(0, Math.min(1, (value - 0.4) / 0.6)))); // most lie above 0.4
        cell.append(tile, svg('text', { x: x + 20, y: y + 24, 'text-anchor': 'middle' }, value.toFixed(2)));
        grid.append(cell);
      });
      map.append(grid, element('figcaption', '', `frames ${frames[k].join(' and ')}`));
      return map;
    }));
    this.find('features-said').textContent = `It neither paints nor speaks: for each of the ${side * side} places of a moment it predicts ${numbers} numbers, what the encoder would see there. The maps show each place's cosine with what the encoder did see when the part was shown.`;
    this.mark(`On average ${mean.toFixed(2)}; if everything stayed as in the nearest visible frames it would be ${still.toFixed(2)}.`);
  }
}

// Of a caption each claim by itself; of an answer, right or wrong; with the truth where it is wrong.
function showVerdict(node, { claims, right, truth }) {
  const parts = Object.entries(claims).map(([name, holds]) => `${name}\u00a0${holds ? '✓' : '✗'}`);
  const verdict = right ? '✓ True.' : parts.length ? '✗ Not all true:' : '✗ Wrong.';
  mark(node, [verdict, parts.join('  '), right ? '' : `Truth: ${truth}.`].filter(Boolean).join(' '), right);
}

function mark(node, text, right) {
  node.textContent = text;
  node.classList.toggle('vlj-holds', right === true);
  node.classList.toggle('vlj-fails', right === false);
}

