// What a live session has shown so far: moments, captions by segment, and the pictures of the last of them.

export const KEPT = 3600; // moments: six minutes at ten a second
const PICTURES = 900;

export class History {
  constructor() { this.clear(); }

  clear() {
    this.updates = [];
    this.captions = new Map();
    this.firsts = []; // the first moment of each segment
    this.sent = []; // pictures on their way: [captured, jpeg]
    this.last = -1; // the index of the newest event
  }

  get end() { return this.updates.at(-1)?.t ?? 0; }

  get newest() { return this.updates.at(-1); }

  remember(captured, jpeg) {
    this.sent.push([captured, jpeg]);
    if (this.sent.length > 30) this.sent.shift();
  }

  // Takes a row as the server sends it; false if it is known already.
  add([index, t, captured, novelty, threshold, segment, boundary, blank, x, y, X, Y, Z, ...own]) {
    if (this.updates.length && index <= this.updates.at(-1).index) return false;
    const update = { index, t, captured, novelty, threshold, segment, boundary, blank: Boolean(blank), x, y, X, Y, Z,
      own: own.length ? onMap(own) : null, jpeg: this.picture(captured) };
    if (!this.updates.length || segment !== this.updates.at(-1).segment) {
      this.firsts.push({ index: segment, start_s: boundary ?? t });
      this.recolour(segment, boundary ?? t);
    }
    this.updates.push(update);
    if (this.updates.length > PICTURES) this.updates[this.updates.length - PICTURES - 1].jpeg = null;
    if (this.updates.length > KEPT) this.forget();
    return true;
  }

  // Where moments lie on a map that was fitted to the session, as columns of [index, x, y, X, Y, Z].
  placeAnew([indices, ...columns]) {
    const rows = new Map(indices.map((index, i) => [index, onMap(columns.map((column) => column[i]))]));
    for (const update of this.updates) update.own = rows.get(update.index) ?? update.own;
  }

  // A boundary is found a little after it was: what came since belongs to the new segment.
  recolour(segment, start_s) {
    for (let i = this.updates.length - 1; i >= 0 && this.updates[i].t >= start_s; i--) this.updates[i].segment = segment;
  }

  forget() {
    this.updates.splice(0, this.updates.length - KEPT);
    const first = this.updates[0].segment;
    this.firsts = this.firsts.filter(({ index }) => index >= first);
    for (const index of this.captions.keys()) if (index < first) this.captions.delete(index);
  }

  caption({ segment, text, start_s }) {
    const known = this.captions.has(segment);
    this.captions.set(segment, { text, start_s });
    return !known;
  }

  // Every segment that is kept, as { index, start_s, end_s, caption }.
  segments() {
    return this.firsts.map(({ index, start_s }, i) => ({ index, start_s, end_s: this.firsts[i + 1]?.start_s ?? this.end,
      caption: this.captions.get(index)?.text ?? null }));
  }

  since(second) { return this.updates.slice(this.indexAt(second)); }

  // The index of the newest moment at or before `second`; 0 if there is none.
  indexAt(second) {
    let [low, high] = [0, this.updates.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.updates[middle].t <= second) low = middle; else high = middle - 1;
    }
    return low;
  }

  picture(captured) {
    let best = null;
    for (const [at, jpeg] of this.sent) if (Math.abs(at - captured) < (best?.far ?? 0.06)) best = { far: Math.abs(at - captured), jpeg };
    return best?.jpeg ?? null;
  }
}

const onMap = ([x, y, X, Y, Z]) => ({ x, y, X, Y, Z });
