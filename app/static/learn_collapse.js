// Collapse: two recorded runs, with and without their anti-collapse term, moved through by a slider of training steps.

import { element, still, svg } from './lib.js';

const PLAY_MS = 9000; // for a whole run
const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, FOOT] = [480, 230, 40, 12, 14, 34];
const RUNS = { vljepa_healthy: 'good', vljepa_collapse: 'bad' };
// a mark for each colour, within -1 to 1, so that colour never stands alone
const MARKS = ['M0-1A1 1 0 1 1 0 1A1 1 0 1 1 0-1', 'M-.85-.85H.85V.85H-.85Z', 'M0-1.1L1 .8H-1Z', 'M0 1.1L1-.8H-1Z', 'M0-1.2L1 0 0 1.2-1 0Z',
  'M-.4-1.1H.4V-.4H1.1V.4H.4V1.1H-.4V.4H-1.1V-.4H-.4Z', 'M-1.05-.65L-.65-1.05 0-.4.65-1.05 1.05-.65.4 0 1.05.65.65 1.05 0 .4-.65 1.05-1.05.65-.4 0Z',
  'M0-1.2L.3-.4 1.15-.37.48.16.7 1 0 .5-.7 1-.48.16-1.15-.37-.3-.4Z'];

export class Collapse {
  constructor(root, page) {
    [this.root, this.page, this.at] = [root, page, 0];
    this.find = (name) => root.querySelector(`.vlj-${name}`);
    this.slider = root.querySelector('[name=step]');
    this.slider.addEventListener('input', () => { this.pause(); this.go(Number(this.slider.value) / this.every); });
    this.find('run').addEventListener('click', () => (this.frame ? this.pause() : this.play()));
    new IntersectionObserver(([{ isIntersecting }]) => { if (!isIntersecting) this.pause(); }).observe(root);
    this.load();
  }

  async load() {
    try {
      this.told = await this.page.api.call('collapse');
    } catch (error) { this.page.complain(error); return; }
    const { steps } = this.told;
    this.every = steps[1];
    Object.assign(this.slider, { max: String(steps.at(-1)), step: String(this.every), value: '0' });
    this.draw();
    this.go(0);
    this.root.dataset.told = 'true';
    if (!still()) this.play();
  }

  // --- time ----------------------------------------------------------------------------------------------------

  play() {
    if (!this.told) return;
    const last = this.told.steps.length - 1;
    const from = this.at >= last ? 0 : this.at;
    const began = performance.now();
    this.button('Pause', true);
    const tick = () => {
      const at = Math.min(last, from + (performance.now() - began) / PLAY_MS * last);
      this.go(still() ? Math.floor(at) : at); // from picture to picture, or smoothly
      if (at < last) this.frame = requestAnimationFrame(tick); else this.pause();
    };
    this.frame = requestAnimationFrame(tick);
  }

  pause() {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    this.button('Play', false);
  }

  button(text, pressed) {
    this.find('run').textContent = text;
    this.find('run').setAttribute('aria-pressed', String(pressed));
  }

  // To a picture, or to a share of the way between two: marks move straight from one to the next.
  go(at) {
    this.at = at;
    const [low, share] = [Math.floor(at), at % 1];
    const step = Math.round(at * this.every);
    this.slider.value = String(step);
    this.slider.setAttribute('aria-valuetext', `step ${step} of ${this.told.steps.at(-1)}`);
    this.find('step-number').textContent = `${step} of ${this.told.steps.at(-1)}`;
    for (const run of Object.keys(RUNS)) {
      const { xy, spread, loss } = this.told[run];
      const [here, next] = [xy[low], xy[Math.min(low + 1, xy.length - 1)]];
      this.marks[run].forEach((mark, i) => {
        const [x, y] = [0, 1].map((axis) => here[i][axis] + share * (next[i][axis] - here[i][axis]));
        mark.setAttribute('transform', `translate(${x.toFixed(4)} ${(-y).toFixed(4)}) scale(${this.size})`);
      });
      this.tell(run, spread[low], loss[low - 1]);
    }
    for (const { head, x } of this.heads) for (const end of ['x1', 'x2']) head.setAttribute(end, x(at * this.every));
  }

  tell(run, spread, loss) {
    const what = run === 'vljepa_healthy' ? 'loss: InfoNCE' : 'loss: 1 − cosine with its text';
    const figure = this.root.querySelector(`[data-run=${run}]`);
    figure.querySelector('svg').setAttribute('aria-label', `64 predictions as marks, their spread ${spread.toFixed(3)}`);
    figure.querySelector('dl').replaceChildren(...[[spread.toFixed(3), 'spread of the predictions'], [loss === undefined ? '–' : loss.toFixed(3), what]].map(([value, name]) => {
      const pair = element('div');
      pair.append(element('dt', '', value), element('dd', '', name));
      return pair;
    }));
  }

  // --- drawing -------------------------------------------------------------------------------------------------

  draw() {
    const { told } = this;
    const reach = 1.1 * Math.max(...Object.keys(RUNS).flatMap((run) => told[run].xy.flat(2).map(Math.abs)));
    this.size = reach * 0.026;
    this.marks = {};
    for (const run of Object.keys(RUNS)) {
      const cloud = this.root.querySelector(`[data-run=${run}] svg`);
      cloud.setAttribute('viewBox', `${-reach} ${-reach} ${2 * reach} ${2 * reach}`);
      this.marks[run] = told.colour.map((colour) => this.mark(colour));
      cloud.replaceChildren(...this.marks[run]);
    }
    this.find('colours').replaceChildren(...told.colours.map(({ name }, i) => {
      const item = element('li');
      const picture = svg('svg', { viewBox: '-1.4 -1.4 2.8 2.8', 'aria-hidden': 'true' });
      picture.append(this.mark(i));
      item.append(picture, element('span', '', name));
      return item;
    }));
    const last = told.steps.at(-1);
    this.heads = [
      this.chart('spread', Object.entries(RUNS).map(([run, kind]) => ({ kind, points: told[run].spread.map((value, i) => [told.steps[i], value]) })), last),
      this.chart('variance', [['vjepa', 'good'], ['vjepa_collapse', 'bad']].map(([run, kind]) => ({ kind, points: told[run].variance.filter(([step]) => step <= last) })), last)];
  }

  mark(colour) {
    const { name, rgb } = this.told.colours[colour];
    const mark = svg('path', { d: MARKS[colour], fill: `rgb(${rgb})`, class: 'vlj-mark-of-colour' });
    mark.append(svg('title', {}, name));
    return mark;
  }

  chart(which, lines, last) {
    const node = this.root.querySelector(`[data-curves=${which}]`);
    const top = 1.12 * Math.max(...lines.flatMap(({ points }) => points.map(([, value]) => value)));
    const x = (step) => LEFT + (WIDTH - LEFT - RIGHT) * step / last;
    const y = (value) => HEIGHT - FOOT - (HEIGHT - FOOT - TOP) * value / top;
    node.replaceChildren();
    for (const share of [0, 0.5, 1]) {
      const value = share * top;
      node.append(svg('line', { x1: LEFT, x2: WIDTH - RIGHT, y1: y(value), y2: y(value), class: 'vlj-grid' }),
        svg('text', { x: LEFT - 6, y: y(value) + 4, class: 'vlj-tick', 'text-anchor': 'end' }, value.toFixed(top < 0.2 ? 3 : 2)),
        svg('text', { x: x(share * last), y: HEIGHT - FOOT + 16, class: 'vlj-tick', 'text-anchor': ['start', 'middle', 'end'][2 * share] }, String(Math.round(share * last))));
    }
    node.append(svg('text', { x: x(last / 2), y: HEIGHT - 3, class: 'vlj-axis-name', 'text-anchor': 'middle' }, 'training step'));
    const head = svg('line', { y1: TOP, y2: HEIGHT - FOOT, class: 'vlj-race-head' });
    node.append(head);
    for (const { kind, points } of lines) {
      const [step, value] = points.at(-1);
      node.append(svg('polyline', { points: points.map(([s, v]) => `${x(s).toFixed(1)},${y(v).toFixed(1)}`).join(' '), class: `vlj-line-${kind}` }),
        svg('text', { x: x(step) - 4, y: y(value) - 9, class: `vlj-dot-name vlj-key-${kind}`, 'text-anchor': 'end' }, kind === 'good' ? 'with its term' : 'without'));
    }
    node.setAttribute('aria-label', `${which} over training steps: with the anti-collapse term it ends at ${lines[0].points.at(-1)[1].toFixed(3)}, without it at ${lines[1].points.at(-1)[1].toFixed(3)}`);
    return { head, x };
  }
}
