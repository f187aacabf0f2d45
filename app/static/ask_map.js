// The map with the query on it: a large star for what was asked, small ones for answers or labels.

import { cssColour, segmentColour } from './lib.js';
import { MapView } from './map.js';

const STARS = 5; // the trace after landmarks, words, path, points and cursor

export class StarMap extends MapView {
  constructor(root, store, seek) {
    super(root, store, seek);
    store.on('result', () => this.placeStars());
  }

  get stars() { return this.store.result?.stars ?? []; }

  placeStars() {
    const main = this.stars.find((star) => star.main);
    this.plots[2].setAttribute('aria-label', `The film's path on the map, from above${main ? `, with a star where “${main.text}” lies` : ''}`);
    if (this.dimensions === 2) this.drawOverlay();
    else if (this.drawn[3]) window.Plotly.restyle(this.plots[3], this.starPlaces(), [STARS]);
  }

  traces(d) {
    if (d !== 3) return super.traces(d);
    const places = Object.fromEntries(Object.entries(this.starPlaces()).map(([name, [value]]) => [name, value]));
    return [...super.traces(d), { type: 'scatter3d', mode: 'markers+text', name: 'query', showlegend: false, hoverinfo: 'skip', ...places,
      textposition: 'top center', textfont: { size: 12, color: cssColour(this.root, '--vlj-ink'), family: 'system-ui, sans-serif' },
      marker: { size: 6, symbol: 'diamond', color: cssColour(this.root, '--vlj-star') } }];
  }

  starPlaces() {
    const at = (axis) => [this.stars.map(({ xyz }) => xyz[axis])];
    return { x: at(0), y: at(1), z: at(2), text: [this.stars.map(({ text }) => short(text).replace(/&/g, '&amp;').replace(/</g, '&lt;'))] };
  }

  drawOverlay() {
    super.drawOverlay();
    if (this.dimensions !== 2 || !this.drawn[2] || this.trail.hidden || !this.stars.length) return;
    const context = this.trail.getContext('2d');
    const taken = [];
    [...this.stars].sort((a, b) => b.main - a.main).forEach((star) => this.drawStar(context, star, taken));
  }

  drawStar(context, { text, main, xy }, taken) {
    const [x, y] = this.pixel(...xy);
    const names = this.store.result.strip.texts;
    const place = names.indexOf(text);
    const colour = main || place < 0 ? cssColour(this.root, '--vlj-star') : segmentColour(place);
    const card = cssColour(this.root, '--vlj-card');
    star(context, x, y, main ? 13 : 6.5, colour, card);
    const name = short(text);
    context.font = `${main ? 700 : 600} ${main ? 13 : 11}px system-ui, sans-serif`;
    context.textAlign = 'center';
    context.textBaseline = 'middle';
    const half = context.measureText(name).width / 2 + 4;
    const width = this.trail.clientWidth;
    const at = Math.min(Math.max(x, half + 2), width - half - 2);
    const below = y + (main ? 23 : 15);
    if (!main && taken.some(([a, b, h]) => Math.abs(a - at) < half + h && Math.abs(b - below) < 15)) return;
    taken.push([at, below, half]);
    context.lineJoin = 'round';
    context.lineWidth = 4;
    context.strokeStyle = card;
    context.strokeText(name, at, below);
    context.fillStyle = cssColour(this.root, '--vlj-ink');
    context.fillText(name, at, below);
  }
}

const short = (text) => text.length > 30 ? `${text.slice(0, 29)}…` : text;

function star(context, x, y, radius, fill, edge) {
  context.beginPath();
  for (let i = 0; i < 10; i++) {
    const [r, angle] = [i % 2 ? radius * 0.45 : radius, Math.PI * (i / 5 - 0.5)];
    context.lineTo(x + r * Math.cos(angle), y + r * Math.sin(angle));
  }
  context.closePath();
  context.lineJoin = 'round';
  context.lineWidth = 3.5;
  context.strokeStyle = edge;
  context.stroke();
  context.fillStyle = fill;
  context.fill();
}
