// What was asked before: kept in this browser alone, asked again with a click.

import { element } from './lib.js';

const KEY = 'vljepa.ask.history';
const [KEPT, SHOWN] = [30, 6];

export class History {
  constructor(root, again, undo) {
    Object.assign(this, { root, again, undo, requests: remembered(), undoable: false });
    root.addEventListener('click', ({ target }) => {
      const chip = target.closest('button');
      if (chip?.dataset.index) this.again(this.requests[Number(chip.dataset.index)]);
      else if (chip?.dataset.undo) this.undo();
    });
    this.draw();
  }

  of(kind) { return this.requests.filter((request) => request.kind === kind); }

  add(request) {
    if (request.like) return; // it means nothing in another film
    const same = (other) => named(other) === named(request) && other.kind === request.kind;
    this.requests = [request, ...this.requests.filter((other) => !same(other))].slice(0, KEPT);
    try { localStorage.setItem(KEY, JSON.stringify(this.requests)); } catch { /* not remembered then */ }
    this.draw();
  }

  canUndo(can) {
    this.undoable = can;
    this.draw();
  }

  draw() {
    const chips = this.requests.slice(0, SHOWN).map((request, index) => {
      const chip = element('button', 'vlj-past', named(request));
      chip.type = 'button';
      chip.dataset.index = index;
      chip.title = `Ask again: ${named(request).slice(0, 300)}`;
      return chip;
    });
    const undo = element('button', 'vlj-button', '↶ Undo');
    undo.type = 'button';
    undo.dataset.undo = 'yes';
    undo.title = 'Back to the answer before (Ctrl+Z)';
    undo.disabled = !this.undoable;
    this.root.replaceChildren(undo, ...chips);
  }
}

const named = (request) => request.kind === 'label' ? request.labels.join(', ') : request.text;

function remembered() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY)) ?? [];
    return kept.filter((request) => (request.kind === 'label' && Array.isArray(request.labels))
      || (request.kind === 'search' && typeof request.text === 'string')
      || (request.kind === 'question' && typeof request.text === 'string' && Array.isArray(request.answers)));
  } catch { return []; }
}
