// The settings' form: every control writes the store's settings and shows them; undo and reset.

import { DEFAULTS } from './store.js';

const CUT = ['method', 'count', 'interval', 'smoothing_s', 'min_length_s', 'readout', 'decode_at'];
const SAME_GESTURE_MS = 800; // a slider drag is one step to undo

export class Controls {
  constructor(root, store, watchAgain) {
    this.store = store;
    this.form = root.querySelector('.vlj-controls');
    this.undoButton = root.querySelector('.vlj-undo');
    this.amount = root.querySelector('.vlj-amount');
    this.past = [];
    this.form.addEventListener('input', (event) => this.changed(event.target));
    this.form.addEventListener('submit', (event) => { event.preventDefault(); this.closeSheet(); watchAgain(); });
    this.undoButton.addEventListener('click', () => this.undo());
    root.querySelector('.vlj-reset').addEventListener('click', () => this.reset());
    store.on('settings readouts film cut', () => this.show());
    this.show();
  }

  introduce({ readouts, rate_hz, caption_query }) {
    this.form.elements.query.placeholder = caption_query || 'Describe this video.';
    for (const radio of this.form.elements.readout) {
      radio.disabled = !readouts.includes(radio.value);
      radio.parentNode.hidden = radio.disabled;
    }
    this.store.set({ readouts });
    this.defaults = { ...DEFAULTS, rate_hz };
  }

  changed(input) {
    const { name, value } = input;
    const { settings, cut } = this.store;
    const changes = {};
    if (name === 'method') {
      // go on from what is shown, so that choosing a mode changes nothing by itself
      changes.method = value;
      const segments = cut?.segments.length ?? settings.count;
      if (value === 'count') changes.count = segments;
      if (value === 'interval' && this.store.film) changes.interval = Math.max(0.5, Math.round(this.store.film.seconds / segments * 4) / 4);
    } else if (name === 'value') {
      changes[settings.method === 'interval' ? 'interval' : 'count'] = Number(value);
      if (settings.method === 'auto') changes.method = 'count';
    } else {
      changes[name] = input.type === 'range' ? Number(value) : value;
    }
    if (Object.keys(changes).some((key) => CUT.includes(key))) this.remember(name);
    this.store.change(changes);
  }

  remember(name) {
    const now = performance.now();
    const sameGesture = name === this.lastName && now - this.lastAt < SAME_GESTURE_MS;
    [this.lastName, this.lastAt] = [name, now];
    if (!sameGesture) this.past.push(pick(this.store.settings));
    this.undoButton.disabled = false;
  }

  undo() {
    const before = this.past.pop();
    this.lastName = null;
    this.undoButton.disabled = this.past.length === 0;
    if (before) this.store.change(before);
  }

  reset() {
    this.remember('reset');
    this.store.change(pick(this.defaults ?? DEFAULTS));
    this.store.change({ query: '', rate_hz: (this.defaults ?? DEFAULTS).rate_hz });
  }

  closeSheet() { this.form.querySelector('.vlj-advanced').open = false; }

  show() {
    const { settings, film, cut } = this.store;
    const { elements } = this.form;
    elements.method.value = settings.method;
    elements.readout.value = this.store.readout;
    elements.decode_at.value = settings.decode_at;
    for (const name of ['smoothing_s', 'min_length_s', 'rate_hz']) elements[name].value = settings[name];
    if (document.activeElement !== elements.query) elements.query.value = settings.query;
    this.showAmount(settings, film, cut);
    say(elements.smoothing_s, settings.smoothing_s ? `${settings.smoothing_s} s` : 'off');
    say(elements.min_length_s, settings.min_length_s ? `${settings.min_length_s} s` : 'any');
    say(elements.rate_hz, `${settings.rate_hz} Hz`);
  }

  showAmount(settings, film, cut) {
    const slider = this.form.elements.value;
    const byTime = settings.method === 'interval';
    const seconds = film?.seconds ?? 60;
    const steps = film?.steps ?? 60;
    slider.min = byTime ? 0.5 : 1;
    slider.step = byTime ? 0.25 : 1;
    slider.max = byTime ? Math.min(60, Math.max(1, Math.ceil(seconds))) : Math.min(steps, Math.max(2, Math.min(150, Math.round(seconds))));
    const found = cut?.segments.length ?? settings.count;
    slider.value = byTime ? settings.interval : settings.method === 'auto' ? found : settings.count;
    this.amount.classList.toggle('vlj-auto', settings.method === 'auto');
    this.form.querySelector('.vlj-amount-name').textContent = byTime ? 'Seconds each' : 'Segments';
    const number = Number(slider.value);
    const fewer = cut?.asked.value === number && found < number; // this very number was cut, and short ones joined a neighbour
    say(slider, byTime ? `${number} s` : settings.method === 'auto' ? `${found} found` : fewer ? `${found} of ${number} long enough` : String(number));
  }
}

const pick = (settings) => Object.fromEntries(CUT.map((name) => [name, settings[name]]));

function say(input, text) {
  input.closest('.vlj-field').querySelector('.vlj-out').textContent = text;
  input.setAttribute('aria-valuetext', text);
}
