// What the views share: one film, one cut, one clock. Views listen; only the page's own code writes.

// As the library has them: the page and the command line cut alike.
export const DEFAULTS = Object.freeze({ method: 'auto', count: 6, interval: 5, smoothing_s: 0, min_length_s: 1,
  readout: 'decoder', decode_at: 'mean', query: '', rate_hz: 4, dimensions: 2, colour: 'segment' });

export class Store extends EventTarget {
  film = null;
  cut = null; // { segments, strength, missing, decodes }
  time = 0;
  hover = null; // a second that the pointer is over, anywhere
  readouts = ['decoder', 'bank']; // that the checkpoint has

  // Settings are remembered under `key`; what is remembered counts only where `defaults` has its like.
  constructor(key = 'vljepa.explore', defaults = DEFAULTS) {
    super();
    this.key = key;
    this.settings = { ...defaults, ...remembered(key, defaults) };
  }

  // By what captions are read: as was wished, where the checkpoint can; the wish outlives a checkpoint that cannot.
  get readout() { return this.readouts.includes(this.settings.readout) ? this.settings.readout : this.readouts[0]; }

  set(changes) {
    Object.assign(this, changes);
    for (const name of Object.keys(changes)) this.dispatchEvent(new CustomEvent(name));
  }

  change(settings) {
    this.set({ settings: { ...this.settings, ...settings } });
    try { localStorage.setItem(this.key, JSON.stringify(this.settings)); } catch { /* not remembered then */ }
  }

  on(names, listener) {
    for (const name of names.split(' ')) this.addEventListener(name, listener);
  }
}

function remembered(key, defaults) {
  try {
    const kept = JSON.parse(localStorage.getItem(key)) ?? {};
    return Object.fromEntries(Object.entries(kept).filter(([k, v]) => typeof v === typeof defaults[k]));
  } catch { return {}; }
}
