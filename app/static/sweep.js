// The film decoded at many rates, selectively and by the clock: the paper's figure 4 on the user's own video.

import { element, saveAs, showShare } from './lib.js';
import { SweepChart, WAYS, sample } from './sweep_chart.js';

const POLL_MS = 150;
const LEAST = 1.05; // times fewer that are told as fewer
const LARGEST = 2_000_000; // bytes of annotations
const COLUMNS = ['rate_hz', 'decodes', 'uniform', 'selective', 'uniform_pool', 'selective_pool'];
const WRITERS = { decoder: 'written by the decoder', bank: 'picked from the bank' };

export class Sweep {
  constructor(root, store, api, complain) {
    Object.assign(this, { store, api, complain, generation: 0, annotations: null });
    this.panel = root.querySelector('.vlj-sweep');
    this.chart = new SweepChart(this.find('sweep-chart'), (point) => this.read(point));
    this.find('sweep-go').addEventListener('click', () => this.run());
    this.find('sweep-stop').addEventListener('click', () => { this.stop(); this.find('sweep-go').focus(); });
    this.find('annotations-forget').addEventListener('click', () => this.run(null));
    this.find('sweep-csv').addEventListener('click', () => this.download());
    this.find('annotations-file').addEventListener('change', ({ target }) => {
      const [file] = target.files;
      target.value = ''; // the same file can be chosen again
      if (file) this.take(file);
    });
    store.on('film', () => this.begin());
  }

  find(name) { return this.panel.querySelector(`.vlj-${name}`); }

  // Nothing of another film stays.
  begin() {
    this.stop();
    this.annotations = this.sweep = null;
    this.find('sweep-found').hidden = true;
    this.showTools();
  }

  // The annotations in a file that was chosen or dropped.
  async take(file) {
    this.panel.open = true;
    this.find('format').open = false;
    if (file.size > LARGEST) { this.complain(new Error(`${file.name} is too large for annotations: ${LARGEST / 1e6} MB are the most that are read.`)); return; }
    this.run({ name: file.name, text: await file.text() });
  }

  // One sweep at a time, the newest; a file that cannot be read leaves what was shown before.
  async run(annotations = this.annotations) {
    this.stop();
    const { film, readout } = this.store;
    const generation = this.generation;
    if (!film) return;
    this.showWork({ stage: 'Beginning', fraction: 0 });
    try {
      const { job } = await this.api.call('sweep', { film: film.key, readout, annotations });
      if (generation !== this.generation) { this.api.call('cancel', { job }).catch(() => {}); return; }
      this.job = job;
      const told = await this.watch(job, generation);
      if (generation !== this.generation) return;
      if (told.sweep) { this.annotations = annotations; this.show(told.sweep, readout); }
    } catch (error) { if (generation === this.generation) this.complain(error); }
    if (generation === this.generation) { this.job = null; this.stop(); }
  }

  async watch(job, generation) {
    for (;;) {
      const told = await this.api.call('sweep_progress', { job });
      if (told.done || generation !== this.generation) return told;
      this.showWork(told);
      await new Promise((resolve) => { setTimeout(resolve, POLL_MS); });
    }
  }

  stop() {
    this.generation += 1;
    if (this.job) this.api.call('cancel', { job: this.job }).catch(() => {}); // it may have ended meanwhile
    this.job = null;
    this.find('sweep-work').hidden = true;
    this.find('sweep-go').disabled = false;
  }

  showWork({ stage, fraction }) {
    this.find('sweep-work').hidden = false;
    this.find('sweep-go').disabled = true;
    showShare(this.find('sweep-work'), stage, fraction);
  }

  show(sweep, readout) {
    this.sweep = sweep;
    this.find('sweep-found').hidden = false; // first, so that the chart has a size
    this.find('sweep-headline').replaceChildren(...headline(sweep));
    this.find('sweep-score').textContent = meaning(sweep, readout);
    this.chart.show(sweep);
    this.showTools();
  }

  showTools() {
    this.find('annotations-forget').hidden = !this.annotations;
    this.find('sweep-csv').hidden = !this.sweep;
  }

  // The values of one rate.
  read(point) {
    this.find('sweep-rate').textContent = `${point.rate_hz} a second · ${point.decodes} ${point.decodes === 1 ? 'decode' : 'decodes'}`;
    this.find('sweep-values').replaceChildren(...[...WAYS].reverse().map(([way, name]) => {
      const row = element('div');
      row.append(sample(way), element('dd', '', name), element('dd', 'vlj-sweep-value', point[way].toFixed(3)));
      return row;
    }));
  }

  download() {
    const lines = [COLUMNS, ...this.sweep.points.map((point) => COLUMNS.map((column) => point[column]))];
    const stem = this.store.film.title.replace(/\.[^.]*$/, '').replace(/[^\w-]+/g, '-').slice(0, 60) || 'film';
    saveAs(`${stem}-${this.sweep.score}.csv`, new Blob([lines.map((line) => `${line.join(',')}\n`).join('')], { type: 'text/csv' }));
  }
}

const times = (value) => `${value.toFixed(1)} times`;

// Whether it speaks less often for the same, and where it pays most.
function headline({ score, points, fewer, interval, pays }) {
  const clock = points.find(({ rate_hz: rate }) => rate === 1);
  if (!clock) return ['This stream has less than one moment a second, so there is no decoding once a second to compare with.'];
  const same = score === 'cider' ? 'CIDEr' : `coverage (${clock.uniform.toFixed(3)})`;
  const most = pays?.times >= LEAST ? ` Within what the clock reaches, it pays most at ${pays.rate_hz} a second: there the clock needs ${times(pays.times)} as many for as much.` : '';
  if (!(fewer.selective >= LEAST)) {
    return ['Selective decoding ', element('b', '', 'does not get by with fewer'), ` decodes here than the clock at one a second for the same ${same}.${most}`];
  }
  const pooled = fewer.selective_pool >= LEAST ? ` Both pooled: ${times(fewer.selective_pool)}.` : '';
  const sure = interval ? ` 95 % interval over the annotations: ${interval[0].toFixed(1)} to ${times(interval[1])}${interval[0] < LEAST ? ', so it may be chance' : ''}.` : '';
  return ['Selective decoding needs ', element('b', '', `${times(fewer.selective)} fewer`), ` decodes than the clock at one a second for the same ${same}.${pooled}${sure}${most}`];
}

function meaning({ score, annotations, name }, readout) {
  const what = score === 'coverage' ? 'Coverage: mean cosine of every moment to the decoded embedding nearest in time. It needs no annotations, and does not tell whether a sentence is right.'
    : `CIDEr of the sentence nearest in time to each annotation, against ${name}, ${annotations} ${annotations === 1 ? 'annotation' : 'annotations'}; sentences ${WRITERS[readout]}.`;
  return `${what} “The same” is meant as in the paper: within 0.6 %${score === 'cider' ? ', of curves made monotone' : ''}.`;
}
