// What all tabs share: light and dark, remembered.

import { again, tabButton } from './again.js';

const KEY = 'vljepa.theme';

function apply(theme) {
  document.body.classList.toggle('dark', theme === 'dark');
  document.dispatchEvent(new CustomEvent('vlj-theme'));
}

function remembered() {
  try { return localStorage.getItem(KEY); } catch { return null; } // storage can be forbidden
}

document.addEventListener('click', (event) => {
  if (!event.target.closest?.('.vlj-theme')) return;
  const theme = document.body.classList.contains('dark') ? 'light' : 'dark';
  try { localStorage.setItem(KEY, theme); } catch { /* not remembered then */ }
  apply(theme);
});

// After a switch of the checkpoint the page is loaded anew, and is where it was.
const looking = again.tab && setInterval(() => {
  if (!tabButton(again.tab)) return;
  clearInterval(looking);
  tabButton(again.tab).click();
}, 50);

// gradio sets its own theme while it starts, so ours comes once the header stands
const waiting = setInterval(() => {
  if (!document.querySelector('.vlj-theme')) return;
  clearInterval(waiting);
  if (remembered()) apply(remembered());
}, 50);
