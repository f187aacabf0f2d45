// The answer card: the answer in large, how sure it is, when it holds, and the ranking with true cosines.

import { isYesNo, lead, leader, percent, stepAt } from './ask_evidence.js';
import { clockTime, cssColour, element, segmentColour } from './lib.js';

const ROWS = 50;
const STRETCHES = { changing: 3, yes: 6 }; // as many as leave room for the ranking
const STANDS_OUT = 2; // standard deviations above the film's mean; less is no find to trust

export class AnswerCard {
  constructor(root, store, seek, moreLike) {
    Object.assign(this, { root: root.querySelector('.vlj-answer'), overlay: root.querySelector('.vlj-overlay'), store, seek, moreLike });
    this.listen();
    store.on('result part selected', () => this.draw());
    store.on('time', () => this.moment());
    document.addEventListener('vlj-theme', () => this.draw());
  }

  find(name) { return this.root.querySelector(`.vlj-${name}`); }
  get result() { return this.store.result; }
  // What the bars show: this moment, or the part that was asked about, all on the whole.
  get shown() { return this.store.shown ?? (this.store.part || this.result?.kind === 'search' ? 'part' : 'now'); }

  listen() {
    this.find('when-shown').addEventListener('click', ({ target }) => {
      if (!target.dataset.shown) return;
      this.store.set({ shown: target.dataset.shown });
      this.draw();
    });
    this.root.addEventListener('click', ({ target }) => {
      const like = target.closest('[data-like]');
      if (like) { this.moreLike(JSON.parse(like.dataset.like)); return; }
      const to = target.closest('[data-second]');
      if (to) this.seek(Number(to.dataset.second));
      const row = target.closest('.vlj-row[data-text]');
      if (row) this.store.set({ selected: Number(row.dataset.text) });
    });
    this.root.addEventListener('pointerover', ({ target }) => {
      const to = target.closest('[data-second]');
      if (to) this.store.set({ hover: Number(to.dataset.second) });
    });
    this.root.addEventListener('pointerleave', () => this.store.set({ hover: null }));
  }

  draw() {
    this.find('reply').hidden = !this.result;
    this.find('empty').hidden = Boolean(this.result);
    this.overlay.hidden = !this.result || this.result.kind === 'search';
    if (!this.result) return;
    const { kind } = this.result;
    this.root.dataset.kind = kind;
    this.find('asked').textContent = kind === 'label' ? 'Which label fits?' : this.result.text ? `“${this.result.text}”` : 'More like the chosen moment';
    this.find('when-shown').hidden = kind === 'search';
    this.root.querySelectorAll('[data-shown]').forEach((button) => {
      button.setAttribute('aria-pressed', String(button.dataset.shown === this.shown));
      if (button.dataset.shown === 'part') button.textContent = this.store.part ? 'This part' : 'Whole film';
    });
    this.showStretches();
    this.showDecoded();
    this.showNotes();
    this.rows = null;
    if (kind === 'search') this.showMoments();
    this.moment();
  }

  // Whatever follows the clock.
  moment() {
    if (!this.result || this.result.kind === 'search') return;
    const { strip } = this.result;
    const step = stepAt(strip.t, this.store.time);
    if (step === this.step && this.rows) return; // nothing to say that was not said
    this.step = step;
    const best = leader(strip.values, step);
    // sorted anew only when another one leads: bars that jump about cannot be followed
    if (best !== this.leading || !this.rows) this.order = strip.texts.map((_, i) => i).sort((a, b) => strip.values[b][step] - strip.values[a][step]);
    this.leading = best;
    const answerAt = (i) => ({ text: strip.texts[i], similarity: strip.cosines[i][step], probability: strip.calibrated ? strip.values[i][step] : null });
    const now = this.order.map(answerAt);
    const sureNow = strip.sure_at !== null && strip.values[best][step] >= strip.sure_at;
    this.showOverlay(answerAt(best), sureNow);
    if (this.shown === 'now') {
      this.showHeadline(answerAt(best), sureNow, ` at ${clockTime(this.store.time, true)}`);
      this.showRows(now);
    } else {
      this.showHeadline(this.result.rows[0], this.result.sure, '');
      this.showRows(this.result.rows);
    }
  }

  showHeadline({ text, probability, similarity }, sure, when) {
    const { strip, several } = this.result;
    const headline = this.find('headline');
    const known = strip.calibrated;
    headline.classList.toggle('vlj-unsure', known && !sure && !several);
    headline.firstChild.textContent = known && !sure && !several ? 'Not sure' : capital(text);
    const value = known ? percent(probability) : `cosine ${similarity.toFixed(2)}`;
    this.find('sureness').textContent = known && !sure && !several ? `leans to “${text}”, ${value}${when}` : `${value}${when}`;
  }

  showOverlay({ text, probability }, sure) {
    const [question, answer] = this.overlay.children;
    const doubtful = this.result.strip.calibrated && !sure && !this.result.several;
    question.textContent = this.result.kind === 'question' ? this.result.text : '';
    answer.textContent = doubtful ? `${capital(text)}?` : capital(text);
    this.overlay.classList.toggle('vlj-unsure', doubtful);
    answer.dataset.probability = probability === null ? '' : percent(probability);
  }

  // The same rows only get new bars.
  showRows(answers) {
    const shown = answers.slice(0, ROWS);
    const names = JSON.stringify(shown.map(({ text }) => text));
    const list = this.find('rows');
    if (this.rows !== names) {
      this.rows = names;
      list.replaceChildren(...shown.map((answer) => this.newRow(answer.text)));
    }
    const all = shown.map(({ similarity }) => similarity);
    const [low, high] = [Math.min(...all), Math.max(...all)];
    const top = shown.reduce((best, answer, i) => rank(answer) > rank(shown[best]) ? i : best, 0);
    shown.forEach(({ text, similarity, probability }, i) => {
      const item = list.children[i];
      const share = probability ?? (high > low ? 0.1 + 0.9 * (similarity - low) / (high - low) : 1);
      item.style.setProperty('--vlj-share', share.toFixed(4));
      item.classList.toggle('vlj-top', i === top);
      item.querySelector('.vlj-value').textContent = probability === null ? '' : percent(probability);
      item.querySelector('.vlj-cosine').textContent = similarity.toFixed(3);
      this.showBlank(item, text);
    });
  }

  newRow(text) {
    const item = element('li', 'vlj-row-item');
    const row = element('button', 'vlj-row');
    row.type = 'button';
    const index = this.result.strip.texts.indexOf(text);
    if (index >= 0) row.dataset.text = index; else row.disabled = true;
    row.classList.toggle('vlj-selected', index === this.store.selected);
    row.title = index >= 0 ? `Show ${text.slice(0, 80)} over time` : '';
    row.style.setProperty('--vlj-segment', index < 0 || text.toLowerCase() === 'no' ? cssColour(this.root, '--vlj-faint') : segmentColour(index));
    const bar = element('span', 'vlj-measure');
    bar.append(element('i'), element('em'));
    row.append(element('span', 'vlj-text', text), element('span', 'vlj-value'), element('span', 'vlj-cosine'), bar);
    item.append(row);
    return item;
  }

  // What a blank picture got, as a mark on the bar.
  showBlank(item, text) {
    const blank = this.result.blank?.find((answer) => answer.text === text);
    const mark = item.querySelector('em');
    mark.hidden = !blank || blank.probability === null;
    if (blank && blank.probability !== null) {
      mark.style.left = `${100 * blank.probability}%`;
      mark.title = `A blank picture gets ${percent(blank.probability)}`;
    }
  }

  showStretches() {
    const box = this.find('stretches');
    const { kind, strip } = this.result;
    box.hidden = kind !== 'question' || this.store.stretches.length < 2 || Boolean(this.store.part);
    if (box.hidden) { box.replaceChildren(); return; }
    const yesNo = isYesNo(strip.texts);
    const shown = yesNo ? this.store.stretches.filter(({ text }) => strip.texts[text].toLowerCase() === 'yes') : this.store.stretches;
    const chips = shown.slice(0, STRETCHES[yesNo ? 'yes' : 'changing']).map(({ text, start_s, end_s, peak_s }) => {
      const chip = element('button', 'vlj-when-chip', `${yesNo ? '' : `${strip.texts[text]} `}${clockTime(start_s)}–${clockTime(end_s)}`);
      chip.type = 'button';
      chip.dataset.second = peak_s;
      chip.style.setProperty('--vlj-segment', segmentColour(text));
      return chip;
    });
    const rest = shown.length - chips.length;
    const first = yesNo ? (shown.length ? 'Yes at' : 'At no time yes') : 'It changes:';
    box.replaceChildren(element('span', '', first), ...chips, ...rest > 0 ? [element('span', '', `and ${rest} more`)] : []);
  }

  showDecoded() {
    const { decoded, decoded_similarity: similarity, kind } = this.result;
    const box = this.find('decoded');
    box.hidden = kind !== 'question';
    if (box.hidden) return;
    box.replaceChildren(element('b', '', 'Decoded freely'), ` “${decoded}” `, element('span', '', `cosine ${similarity.toFixed(2)}`));
  }

  showNotes() {
    const { kind, source, blank, notes, rows } = this.result;
    const told = [...notes];
    if (kind === 'question' && source === 'vocabulary' && !isYesNo(this.result.strip.texts)) told.unshift('Ranked: the nearest of the built-in answers. Give answers of your own to choose from.');
    if (blank) told.unshift(blankSentence(blank, rows));
    if (kind === 'search' && lead(this.result.strip.values[0]) < STANDS_OUT) {
      told.unshift('Not sure: no moment of this film stands out for this. What follows is merely the nearest.');
    }
    this.find('notes').hidden = !told.length;
    this.find('notes').textContent = told.join(' ');
  }

  showMoments() {
    const { moments, strip } = this.result;
    const headline = this.find('headline');
    const thin = lead(strip.values[0]) < STANDS_OUT;
    headline.classList.toggle('vlj-unsure', thin);
    headline.firstChild.textContent = !moments.length ? 'Nothing here' : thin ? 'Not sure' : clockTime(moments[0].start_s, true);
    this.find('sureness').textContent = moments.length ? `${thin ? `perhaps ${clockTime(moments[0].start_s, true)}, ` : ''}cosine ${moments[0].similarity.toFixed(2)}` : 'no segment lies in this part';
    const [low, high] = [Math.min(...strip.values[0]), Math.max(...strip.values[0])];
    this.find('rows').replaceChildren(...moments.map((moment, index) => this.newMoment(moment, index, low, high)));
  }

  newMoment({ start_s, end_s, peak_s, similarity, also }, index, low, high) {
    const item = element('li', 'vlj-row-item vlj-moment');
    item.style.setProperty('--vlj-share', Math.max(0.02, Math.min(1, (similarity - low) / (high - low || 1))).toFixed(4));
    const row = element('button', 'vlj-row');
    row.type = 'button';
    row.dataset.second = peak_s;
    row.style.setProperty('--vlj-segment', cssColour(this.root, '--vlj-accent'));
    const bar = element('span', 'vlj-measure');
    bar.append(element('i'));
    const caption = this.store.captionAt(peak_s);
    row.append(element('b', 'vlj-number', String(index + 1)), element('span', 'vlj-text', `${clockTime(start_s, true)}–${clockTime(end_s, true)}${caption ? ` ${caption}` : ''}`),
      element('span', 'vlj-cosine', similarity.toFixed(3)), bar);
    if (also.length) row.append(element('span', 'vlj-also', `much the same at ${also.map(([second]) => clockTime(second)).join(', ')}`));
    const like = element('button', 'vlj-like', 'More like this');
    like.type = 'button';
    like.dataset.like = JSON.stringify([start_s, end_s]);
    item.append(row, like);
    return item;
  }
}

const rank = ({ probability, similarity }) => probability ?? similarity;
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

function blankSentence(blank, rows) {
  const [alone, seen] = [blank[0].text, rows[0].text];
  const value = blank[0].probability === null ? '' : `, ${percent(blank[0].probability)}`;
  return alone === seen ? `Without any picture the answer would be the same (“${alone}”${value}): the question's words alone suggest it.`
    : `Without any picture it would be “${alone}”${value}: what is seen changes the answer.`;
}
