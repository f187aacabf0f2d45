// The menu of checkpoints: opened from the header, switches the server's model, then every open page goes on with it.

import { again, beginAgain } from './again.js';
import { element, many, showShare } from './lib.js';
import { Api } from './server.js';

const POLL_MS = 300;
const LOOK_MS = 5000; // at what others may have changed

export function mount({ element: root, server }) {
  return new Menu(root.querySelector('.vlj-checkpoints'), new Api(server));
}

class Menu {
  constructor(root, api) {
    [this.root, this.api] = [root, api];
    this.dialog = this.find('menu');
    this.find('menu-close').addEventListener('click', () => this.dialog.close());
    this.find('menu-stop').addEventListener('click', () => this.stop());
    this.dialog.addEventListener('cancel', (event) => { if (this.job) event.preventDefault(); }); // Escape is no way out of a switch
    this.dialog.addEventListener('click', (event) => { if (event.target === this.dialog && !this.job) this.dialog.close(); }); // beside it
    this.find('menu-rows').addEventListener('click', (event) => {
      const button = event.target.closest('button[data-name]');
      if (button) this.switchTo(button.dataset.name);
    });
    document.addEventListener('click', (event) => { if (event.target.closest?.('.vlj-choose')) this.open(); });
    this.find('changed-close').addEventListener('click', () => { this.find('changed').hidden = true; });
    if (again.chosen) this.tellChange(again);
    this.begin();
  }

  find(name) { return this.root.querySelector(`.vlj-${name}`); }

  // The header was drawn when the app started, and somebody else may change what is used.
  async begin() {
    const { name, version } = await this.api.call('using').catch(() => ({}));
    const shown = document.querySelector('.vlj-choose b');
    if (name && shown) shown.textContent = name;
    this.root.dataset.ready = 'true';
    setInterval(async () => {
      if (document.hidden || this.job) return;
      const now = await this.api.call('using').catch(() => null); // an app that is gone is told by the tabs
      if (now && version && now.version !== version) beginAgain(now.name);
    }, LOOK_MS);
  }

  // Somebody else chose another checkpoint, and the page was loaded anew.
  tellChange({ chosen, wasLive }) {
    this.find('changed-text').textContent = `Somebody chose the checkpoint ${chosen} for this app: ${wasLive ? 'Live' : 'the page'} began anew.`;
    this.find('changed').hidden = false;
  }

  async open() {
    this.find('alert').hidden = true;
    this.dialog.showModal();
    try {
      const { rows, closed } = await this.api.call('listing');
      this.find('menu-rows').replaceChildren(...rows.map((about) => row(about, closed)));
      if (closed) this.complain(new Error(`${closed}.`));
      for (const { name, broken } of rows) if (!broken) await this.showSpeed(name);
    } catch (error) { this.complain(error); }
  }

  // One after the other, and later than the rest: the first time each takes the arithmetic of a whole model.
  async showSpeed(name) {
    const { hz } = await this.api.call('speed', { name });
    const line = [...this.root.querySelectorAll('.vlj-menu-row')].find((one) => one.dataset.name === name);
    if (line) line.querySelector('.vlj-menu-speed').textContent = hz >= 1 ? ` · about ${hz} moments a second here` : ` · about ${many(Math.round(1 / hz), 'second')} a moment here`;
  }

  async switchTo(name) {
    this.find('alert').hidden = true;
    this.busy(true);
    try {
      this.job = (await this.api.call('switch', { name })).job;
      let view;
      do {
        view = await this.api.call('switching', { job: this.job });
        showShare(this.find('menu-work'), view.stage, view.fraction);
        await new Promise((resolve) => { setTimeout(resolve, POLL_MS); });
      } while (!view.done);
      if (!view.cancelled) { beginAgain(); return; }
    } catch (error) { this.complain(error); }
    this.job = null;
    this.busy(false);
  }

  stop() {
    this.find('stage').textContent = 'Stopping';
    if (this.job) this.api.call('stop', { job: this.job }).catch(() => {}); // it may have ended meanwhile
  }

  busy(on) {
    this.find('menu-work').hidden = !on;
    showShare(this.find('menu-work'), 'Beginning', 0);
    for (const button of this.root.querySelectorAll('.vlj-menu-rows button, .vlj-menu-close')) button.disabled = on;
    if (on) this.find('menu-stop').focus();
  }

  complain(error) {
    this.find('alert-text').textContent = error.message;
    this.find('alert').hidden = false;
  }
}

function row({ name, title, megabytes, licence, fetch, notice, current, says, broken }, closed) {
  const line = element('li', 'vlj-menu-row');
  Object.assign(line.dataset, { name, current: String(current) });
  const head = element('p', 'vlj-menu-name');
  head.append(element('b', '', name), ` ${title}`);
  const size = megabytes >= 1000 ? `${(megabytes / 1000).toFixed(1)} GB` : `${Math.round(megabytes)} MB`;
  const facts = element('p', 'vlj-menu-facts', [size, says].filter(Boolean).join(' · '));
  facts.append(element('span', 'vlj-menu-speed'));
  line.append(head, facts);
  if (fetch) line.append(element('p', 'vlj-menu-small', `To fetch once, from ${fetch}.`));
  if (licence) line.append(element('p', 'vlj-menu-small', `Licence: ${licence}.`));
  if (notice) line.append(element('p', 'vlj-menu-small', notice));
  const act = current ? element('span', 'vlj-in-use', 'in use') : element('button', 'vlj-button', fetch ? 'Fetch and use' : 'Use');
  if (!current) {
    act.type = 'button';
    act.disabled = Boolean(closed || broken);
    act.dataset.name = name;
    act.setAttribute('aria-label', `${act.textContent} ${name}`);
  }
  line.append(act);
  return line;
}
