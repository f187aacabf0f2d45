// The film itself: the clock that everything follows, and its subtitles.

export class Player {
  constructor(root, store) {
    this.video = root.querySelector('.vlj-video');
    this.absent = root.querySelector('.vlj-no-player');
    this.store = store;
    this.track = this.video.addTextTrack('subtitles', 'Captions', 'en');
    this.track.mode = 'showing';
    for (const name of ['seeking', 'seeked', 'loadeddata', 'pause']) this.video.addEventListener(name, () => this.tell());
    this.video.addEventListener('play', () => this.follow());
    this.video.addEventListener('error', () => this.cannotPlay());
    store.on('cut', () => this.subtitle());
  }

  load(url) {
    this.absent.hidden = Boolean(url);
    this.video.hidden = !url;
    if (!url) { this.video.removeAttribute('src'); this.video.load(); return; }
    if (this.video.getAttribute('src') !== url) this.video.src = url;
  }

  seek(seconds) {
    const end = this.store.film?.seconds ?? seconds;
    const time = Math.min(Math.max(seconds, 0), end);
    // just before the end: at the very end some browsers show nothing
    if (!this.video.hidden) this.video.currentTime = Math.min(time, Math.max(0, end - 0.02));
    this.store.set({ time });
  }

  toggle() {
    if (this.video.hidden) return;
    if (this.video.paused) this.video.play().catch(() => {}); else this.video.pause();
  }

  tell() { if (!this.video.hidden) this.store.set({ time: this.video.currentTime }); }

  follow() {
    const step = () => {
      this.tell();
      if (!this.video.paused && !this.video.ended) requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  }

  cannotPlay() {
    if (!this.video.getAttribute('src')) return;
    this.absent.hidden = false;
    this.video.hidden = true;
  }

  subtitle() {
    for (const cue of [...this.track.cues ?? []]) this.track.removeCue(cue);
    for (const { start_s, end_s, caption } of this.store.cut?.segments ?? []) {
      if (!caption || end_s <= start_s) continue;
      // a cue's text is markup of its own; escaped, it is what it says
      const text = caption.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
      this.track.addCue(new VTTCue(start_s, Math.max(end_s - 0.001, start_s), text));
    }
    const { mode } = this.track; // a film that stands still shows new cues only after a change of mode
    this.track.mode = 'hidden';
    this.track.mode = mode;
  }
}
