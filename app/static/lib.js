// Small things that every view needs.

// Eight hues of like lightness, so that no segment looks more important; neighbours are far apart.
const HUES = { light: ['#4f6bed', '#e07a2f', '#1c9c74', '#c2478f', '#8a7b18', '#7a58d6', '#0e8fb3', '#cf4b45'],
  dark: ['#7d93ff', '#f0985a', '#45c79c', '#ea78b8', '#c4b04a', '#a98cf5', '#45bde0', '#f27d77'] };

export const isDark = () => document.body.classList.contains('dark');
export const segmentColour = (index) => HUES[isDark() ? 'dark' : 'light'][index % HUES.light.length];

// From dusk to dawn: readable on light and dark alike.
const TIME_STOPS = [[0, [74, 58, 168]], [0.35, [176, 58, 142]], [0.7, [233, 112, 74]], [1, [240, 186, 72]]];
export const TIME_SCALE = TIME_STOPS.map(([at, rgb]) => [at, `rgb(${rgb})`]);
export function timeColour(fraction) {
  const upper = Math.max(1, TIME_STOPS.findIndex(([at]) => at >= fraction));
  const [[a, from], [b, to]] = [TIME_STOPS[upper - 1], TIME_STOPS[upper]];
  return `rgb(${from.map((value, i) => Math.round(value + (to[i] - value) * (fraction - a) / (b - a)))})`;
}

// Rounded to the tenth before it is taken apart, like `clock` of the command line: 59.96 s are 1:00.0. Without tenths it
// is the second that has come, as on any player.
export function clockTime(seconds, tenths = false) {
  const inTenths = Math.floor(seconds * 10 + 0.5);
  const whole = Math.floor(inTenths / 10);
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const text = (h ? `${h}:${String(m).padStart(2, '0')}` : `${m}`) + `:${String(s).padStart(2, '0')}`;
  return tenths ? `${text}.${inTenths % 10}` : text;
}

// Whether the reader asked for no more movement than is needed; looked at anew each time, for it can change.
const calm = matchMedia('(prefers-reduced-motion: reduce)');
export const still = () => calm.matches;

export function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text; // never innerHTML: captions and names are not ours
  return made;
}

export function svg(tag, attributes = {}, text) {
  const made = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text; // never markup: sentences are not ours
  return made;
}

// "1 moment", "2 moments".
export const many = (count, one, several = `${one}s`) => `${count.toLocaleString('en')} ${count === 1 ? one : several}`;

// How far some work is: in its `stage` and on its bar, both in `box`.
export function showShare(box, stage, fraction) {
  const percent = Math.round(100 * fraction);
  const bar = box.querySelector('.vlj-bar');
  bar.setAttribute('aria-valuenow', String(percent));
  bar.firstChild.style.width = `${percent}%`;
  box.querySelector('.vlj-stage').textContent = `${stage} · ${percent} %`;
}

// Hands the user a file of that name.
export function saveAs(name, blob) {
  const link = element('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

// Base64 of little-endian float32, rows of `width`, as arrays of columns.
export function unpack(base64, width) {
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  const values = new Float32Array(bytes.buffer);
  const columns = Array.from({ length: width }, () => new Array(values.length / width));
  for (let i = 0; i < values.length; i++) columns[i % width][Math.floor(i / width)] = values[i];
  return columns;
}

export const cssColour = (node, name) => getComputedStyle(node).getPropertyValue(name).trim();

// The last index whose start is at or before `time`.
export function indexAt(segments, time) {
  let [low, high] = [0, segments.length - 1];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (segments[middle].start_s <= time + 1e-3) low = middle; else high = middle - 1;
  }
  return low;
}

// A canvas as large as its box in device pixels; returns a context in CSS pixels, cleared.
export function canvasContext(canvas) {
  const { width, height } = canvas.getBoundingClientRect();
  const ratio = window.devicePixelRatio || 1;
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w || canvas.height !== h) { canvas.width = w; canvas.height = h; }
  // drawn by the CPU: a few hundred strokes are nothing to it, and waiting for a slow graphics card stops the page
  const context = canvas.getContext('2d', { willReadFrequently: true });
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

// Opens the Explore tab with a film that another tab has for it; Explore takes it when it is there.
export function openInExplore(source) {
  window.vljWanted = source;
  [...document.querySelectorAll('[role=tab]')].find((tab) => tab.textContent.trim() === 'Explore')?.click();
  document.dispatchEvent(new CustomEvent('vlj-open'));
}
