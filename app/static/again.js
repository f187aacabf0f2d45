// What a page takes along when it is loaded anew because the checkpoint was changed: its tab, its film, what ran.

import { session } from './session.js';

const KEY = 'vljepa.again';

export const again = taken(); // each part is used up by whoever goes on with it

export const tabButton = (name) => [...document.querySelectorAll('#vlj-tabs [role="tab"]')].find((tab) => tab.textContent.trim() === name);

let wish = null; // what the page is to show then, instead of what it shows now

export function wishAgain(wanted) { wish = wanted; }

// Every tab begins anew with the other model: a reload is the one way that forgets nothing by mistake. `chosen` is the
// checkpoint that somebody else chose, if it was not this page.
export function beginAgain(chosen = null) {
  const live = ['running', 'frozen', 'opening'].includes(document.querySelector('.vlj-live')?.dataset.state);
  const kept = {
    tab: document.querySelector('#vlj-tabs [role="tab"][aria-selected="true"]')?.textContent.trim(),
    film: session.source, settings: session.settings, time: session.time,
    live, chosen: wish ? null : chosen, wasLive: live, followsLive: session.followsLive, asked: session.asked, ...wish };
  try { sessionStorage.setItem(KEY, JSON.stringify(kept)); } catch { /* storage can be forbidden: then the page begins at its start */ }
  location.reload();
}

// Opens the film that was open, by whichever tab is there first.
export function reopen(api) {
  const { film, settings } = again;
  again.film = null;
  if (film && session.state === 'start') session.open(api, film, settings);
}

function taken() {
  try {
    const found = JSON.parse(sessionStorage.getItem(KEY));
    sessionStorage.removeItem(KEY);
    return found ?? {};
  } catch { return {}; }
}
