// The caption list: every caption as text, the current one marked and kept in sight.

import { clockTime, element, indexAt, segmentColour } from './lib.js';

export class CaptionList {
  constructor(root, store, seek) {
    this.store = store;
    this.list = root.querySelector('.vlj-captions');
    this.count = root.querySelector('.vlj-count');
    this.said = root.querySelector('.vlj-said');
    this.rows = [];
    this.list.addEventListener('click', (event) => {
      const row = event.target.closest('.vlj-caption');
      if (row) seek(this.store.cut.segments[Number(row.dataset.index)].start_s);
    });
    this.list.addEventListener('pointerover', (event) => {
      const row = event.target.closest('.vlj-caption');
      if (row) store.set({ hover: this.store.cut.segments[Number(row.dataset.index)].start_s });
    });
    this.list.addEventListener('pointerleave', () => store.set({ hover: null }));
    store.on('cut', () => this.draw());
    store.on('time', () => this.mark());
    document.addEventListener('vlj-theme', () => this.draw());
  }

  draw() {
    const segments = this.store.cut?.segments ?? [];
    while (this.rows.length > segments.length) this.rows.pop().parentNode.remove();
    while (this.rows.length < segments.length) {
      const item = element('li');
      this.rows.push(item.appendChild(newRow(this.rows.length)));
      this.list.append(item);
    }
    segments.forEach((segment, index) => fill(this.rows[index], segment, index));
    const missing = this.store.cut?.missing ?? 0;
    this.count.textContent = missing ? `${segments.length - missing} of ${segments.length}` : String(segments.length || '');
    this.current = null;
    this.mark();
  }

  mark() {
    const segments = this.store.cut?.segments;
    if (!segments?.length) return;
    const index = indexAt(segments, this.store.time);
    if (index === this.current) return;
    this.current = index;
    this.rows.forEach((row, i) => {
      row.classList.toggle('vlj-now', i === index);
      row.toggleAttribute('aria-current', i === index);
      row.tabIndex = i === index ? 0 : -1;
    });
    this.said.textContent = segments[index].caption ?? '';
    this.keepInSight(this.rows[index]);
  }

  keepInSight(row) {
    // not scrollIntoView: that would move the page as well
    const [box, inner] = [this.list.getBoundingClientRect(), row.getBoundingClientRect()];
    if (inner.top < box.top || inner.bottom > box.bottom) {
      this.list.scrollTop += inner.top - box.top - (box.height - inner.height) / 2;
    }
  }
}

function newRow(index) {
  const row = element('button', 'vlj-caption');
  row.type = 'button';
  row.dataset.index = index;
  row.append(element('span', 'vlj-when'), element('span', 'vlj-what'));
  return row;
}

function fill(row, segment, index) {
  row.style.setProperty('--vlj-segment', segmentColour(index));
  row.firstChild.textContent = clockTime(segment.start_s, true);
  row.lastChild.textContent = segment.caption ?? '';
  row.classList.toggle('vlj-unread', segment.caption === null);
  row.title = segment.similarity === null ? '' :
    `${clockTime(segment.start_s, true)} to ${clockTime(segment.end_s, true)} · cosine to the prediction ${segment.similarity.toFixed(2)}`;
}
