// When each pass ended, on one axis of milliseconds; plays the answers at that pace, or slower.

import { svg } from './lib.js';

const [LEFT, RIGHT, LANE, TOP] = [112, 14, 30, 8];

export class Race {
  constructor(node, arms) { [this.node, this.arms] = [node, arms]; }

  stop() { cancelAnimationFrame(this.frame); }

  // Replays what was measured, `slow` times slower; `still` shows the end at once.
  play(slow, still) {
    this.stop();
    this.running = this.arms.filter(({ view }) => view);
    if (!this.running.length) { this.node.replaceChildren(); return; }
    this.longest = Math.max(...this.running.map((arm) => arm.ends.at(-1)));
    this.draw();
    const began = performance.now();
    const tick = () => {
      const at = still ? this.longest : (performance.now() - began) / slow;
      this.show(Math.min(at, this.longest));
      if (at < this.longest) this.frame = requestAnimationFrame(tick);
    };
    tick();
  }

  x(ms) { return LEFT + (this.width - LEFT - RIGHT) * ms / this.longest; }

  draw() {
    this.width = Math.max(280, this.node.clientWidth);
    const height = TOP + LANE * this.running.length + 22;
    const chart = svg('svg', { viewBox: `0 0 ${this.width} ${height}`, 'aria-hidden': 'true' });
    this.ticks = this.running.flatMap((arm, lane) => this.drawLane(chart, arm, TOP + lane * LANE));
    const foot = height - 8;
    for (const share of [0, 0.5, 1]) {
      chart.append(svg('text', { x: this.x(share * this.longest), y: foot, class: 'vlj-tick', 'text-anchor': ['start', 'middle', 'end'][2 * share] }, `${format(share * this.longest)} ms`));
    }
    this.head = svg('line', { y1: TOP, y2: height - 22, class: 'vlj-race-head' });
    chart.append(this.head);
    this.node.replaceChildren(chart);
    this.node.setAttribute('aria-label', `When each pass ended: ${this.running.map((arm) => `${arm.name} ${arm.ends.length} ${arm.ends.length === 1 ? 'piece' : 'pieces'} in ${format(arm.ends.at(-1))} milliseconds`).join(', ')}.`);
  }

  drawLane(chart, arm, y) {
    chart.append(svg('text', { x: 0, y: y + 19, class: 'vlj-race-name' }, arm.name),
      svg('rect', { x: LEFT, y: y + 4, width: this.width - LEFT - RIGHT, height: LANE - 8, rx: 5, class: 'vlj-race-lane' }));
    if (arm.before_ms) chart.append(svg('rect', { x: LEFT, y: y + 4, width: Math.max(2, this.x(arm.before_ms) - LEFT), height: LANE - 8, rx: 2, class: 'vlj-race-encoder' }));
    return arm.ends.map((end, i) => {
      const from = this.x(arm.ends[i - 1] ?? arm.before_ms);
      const block = svg('rect', { x: from, y: y + 4, width: Math.max(1.5, this.x(end) - from - 0.8), height: LANE - 8, rx: 1.5, class: 'vlj-race-pass' });
      chart.append(block);
      return { end, block };
    });
  }

  show(at) {
    for (const arm of this.running) arm.show(at);
    for (const { end, block } of this.ticks) block.classList.toggle('vlj-past', end <= at);
    const x = this.x(at);
    this.head.setAttribute('x1', x);
    this.head.setAttribute('x2', x);
  }
}

export const format = (ms) => (ms < 10 ? ms.toFixed(1) : ms.toFixed(0));
