// The live stream of this page's Live tab, asked again and again while it goes on: its last half minute is the film.

import { unpack } from './lib.js';
import { session } from './session.js';

const EVERY_MS = 700;

export class LiveFollower {
  // `told` gets { running, seconds, jpeg, path, view? }; `failed` an Error, after which it goes on.
  constructor(api, told, failed) {
    Object.assign(this, { api, told, failed, request: null, following: false });
  }

  // Whether this page has a live stream.
  async running() {
    try { return (await this.api.call('live', { token: window.vljToken })).running; } catch { return false; }
  }

  async start() {
    if (this.following) return;
    this.following = session.followsLive = true;
    while (this.following) {
      const request = this.request;
      try {
        const answer = await this.api.call('live', { token: window.vljToken, ...request ?? { kind: 'look' } });
        if (this.following && request === this.request) this.told({ ...answer, request });
      } catch (error) {
        if (request === this.request) this.request = null; // not the same mistake again at every turn
        if (this.following) this.failed(error);
      }
      await new Promise((resolve) => { setTimeout(resolve, EVERY_MS); });
    }
  }

  stop() {
    this.following = session.followsLive = false;
    this.request = null;
  }
}

export function livePath(packed) {
  if (!packed) return null;
  const [t, x, y, X, Y, Z] = unpack(packed, 6);
  return { t, x, y, X, Y, Z };
}
