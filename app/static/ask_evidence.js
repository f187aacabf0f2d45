// What a result means, without a page: who leads when, for how long, and where it peaks. Times in seconds.

import { unpack } from './lib.js';

const STEADY_S = 1; // an answer must hold about this long to be a stretch of its own

// The server's view with its packed arrays as plain ones: `values[text][step]`.
export function unpackResult(view) {
  const { times, texts, values, cosines, sure_at } = view.strip;
  const [t] = unpack(times, 1);
  return { ...view, strip: { t, texts, values: unpack(values, texts.length), cosines: unpack(cosines, texts.length), sure_at } };
}

// The last step at or before `time`.
export function stepAt(t, time) {
  let [low, high] = [0, t.length - 1];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (t[middle] <= time + 1e-3) low = middle; else high = middle - 1;
  }
  return low;
}

export const leader = (columns, step) => columns.reduce((best, column, i) => column[step] > columns[best][step] ? i : best, 0);

// Where which text leads, flickers smoothed away: [{ text, start_s, end_s, peak_s, value }] without a gap up to `end_s`.
export function stretches({ t, values }, end_s) {
  const step = t.length > 1 ? t[1] - t[0] : 1;
  const width = Math.max(1, Math.round(STEADY_S / step) | 1);
  const smooth = values.map((column) => average(column, width));
  const found = [];
  t.forEach((time, i) => {
    const text = leader(smooth, i);
    if (found.at(-1)?.text !== text) found.push({ text, start_s: time, from: i });
    found.at(-1).to = i + 1;
  });
  return found.map(({ text, start_s, from, to }) => {
    const peak = highest(values[text], from, to);
    return { text, start_s, end_s: to < t.length ? t[to] : Math.max(end_s, t[to - 1]), peak_s: t[peak], value: values[text][peak] };
  });
}

// How far the best moment stands above the rest of the film, in standard deviations.
export function lead(column) {
  const mean = column.reduce((sum, value) => sum + value, 0) / column.length;
  const spread = Math.sqrt(column.reduce((sum, value) => sum + (value - mean) ** 2, 0) / column.length);
  return spread > 1e-9 ? (Math.max(...column) - mean) / spread : 0;
}

// Texts of a list written with commas, semicolons or line breaks.
export const splitList = (text) => text.split(/[,;\n]/).map((entry) => entry.trim()).filter(Boolean);

export const percent = (value) => value > 0.995 && value < 1 ? '> 99 %' : value < 0.005 && value > 0 ? '< 1 %' : `${Math.round(100 * value)} %`;

export const isYesNo = (texts) => texts.length === 2 && texts.map((text) => text.toLowerCase()).sort().join() === 'no,yes';

function average(column, width) {
  const half = (width - 1) / 2;
  return column.map((_, i) => {
    const [from, to] = [Math.max(0, i - half), Math.min(column.length, i + half + 1)];
    let sum = 0;
    for (let k = from; k < to; k++) sum += column[k];
    return sum / (to - from);
  });
}

function highest(column, from, to) {
  let best = from;
  for (let i = from; i < to; i++) if (column[i] > column[best]) best = i;
  return best;
}
