// The page's side of the conversation: a frame goes up, what it brought comes down. A slow server makes it slower, never
// late: one frame is on its way at a time, and the next one taken is the newest.

const WAIT_S = 2; // the server answers earlier, as soon as there is news
const NEWS_OF_COST_S = 1;
const SIGN_OF_LIFE_S = 10;
const AGAIN_MS = [500, 1000, 2000, 4000];

export class Link {
  // `onLost(sentence)` when the server does not answer, `onLost(null)` when it does again; `onOver()` when it knows this
  // page no more; `onTrouble(sentence)` for what it says is wrong.
  constructor(api, history, { onNews, onLost, onOver, onTrouble }) {
    Object.assign(this, { api, history, onNews, onLost, onOver, onTrouble });
    this.generation = 0;
  }

  // Goes on with the same session and another source; `rate()` is the most frames a second, `resting()` tells when none
  // are wanted.
  open(source, rate, resting) {
    this.pictureAt = 0;
    this.generation += 1;
    this.run(this.generation, source, rate, resting);
  }

  close() { this.generation += 1; }

  async run(generation, source, rate, resting) {
    let [due, toldAt, costAt, failures] = [0, 0, 0, 0];
    while (generation === this.generation) {
      const at = now();
      const rest = resting();
      const wait = rest ? 0.2 : due - at;
      if (wait > 0) await sleep(wait);
      const captured = now();
      const jpeg = rest ? null : await source.grab();
      if (generation !== this.generation) return;
      if (!jpeg && !(source.onServer && !rest) && captured - toldAt < SIGN_OF_LIFE_S) { if (!rest) await sleep(0.03); continue; }
      due = captured + 1 / rate();
      toldAt = captured;
      const request = { token: window.vljToken, since: this.history.last, wait_s: jpeg || (source.onServer && !rest) ? WAIT_S : 0 };
      if (jpeg) { this.history.remember(captured, jpeg); Object.assign(request, { jpeg, captured_s: captured }); }
      if (source.onServer) request.picture_s = this.pictureAt;
      if (captured - costAt > NEWS_OF_COST_S) { costAt = captured; request.ledger = true; }
      try {
        const news = await this.api.call('exchange', { ...request, at_s: now() });
        if (generation !== this.generation) return;
        if (failures) { failures = 0; this.onLost(null); }
        if (news.over) { this.generation += 1; this.onOver(); return; }
        this.take(news);
      } catch (error) {
        if (generation !== this.generation) return;
        if (error.lost) this.onLost(`${error.message} It goes on by itself when the app is back.`); else this.onTrouble(error.message);
        await sleep(AGAIN_MS[Math.min(failures, AGAIN_MS.length - 1)] / 1000);
        failures += 1;
      }
    }
  }

  take(news) {
    if (news.picture) {
      this.pictureAt = news.picture_s;
      this.history.remember(news.picture_s, news.picture);
    }
    this.history.last = Math.max(this.history.last, news.last);
    const fresh = news.updates.filter((row) => this.history.add(row)).length;
    this.onNews({ ...news, fresh: fresh ? this.history.updates.slice(-fresh) : [] });
  }
}

const now = () => performance.now() / 1000;
const sleep = (seconds) => new Promise((resolve) => { setTimeout(resolve, 1000 * seconds); });
