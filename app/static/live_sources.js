// Where the page's frames come from. Each source has: `open()`, `close()`, `pause()`, `resume()`, `grab()` for a frame
// as base64 JPEG (null: none yet, or the server takes its own), `request` for the server, and `onTrouble(sentence)`.

const QUALITY = 0.7;
const CAMERA = { width: { ideal: 1280 }, height: { ideal: 720 } };

// A <video> of this page: its frames are squashed (or, as the checkpoint has it, cropped) to the model's square.
class PageVideo {
  constructor(video, { side, fit }) {
    this.video = video;
    this.cropped = fit.startsWith('crop');
    this.request = {};
    this.canvas = document.createElement('canvas');
    this.canvas.width = this.canvas.height = side;
    this.context = this.canvas.getContext('2d', { willReadFrequently: true });
    this.onTrouble = () => {};
  }

  grab() {
    const { video, canvas } = this;
    if (video.readyState < 2 || !video.videoWidth || video.paused) return null;
    const { videoWidth: width, videoHeight: height } = video;
    const [w, h] = this.cropped ? [Math.min(width, height), Math.min(width, height)] : [width, height];
    this.context.drawImage(video, (width - w) / 2, (height - h) / 2, w, h, 0, 0, canvas.width, canvas.height);
    return canvas.toDataURL('image/jpeg', QUALITY).split(',')[1];
  }

  get aspect() { return this.cropped ? 1 : this.video.videoWidth / this.video.videoHeight || 1; }

  pause() { this.video.pause(); }

  async resume() { await this.video.play(); }
}

export class BrowserCamera extends PageVideo {
  constructor(video, look, deviceId) {
    super(video, look);
    this.deviceId = deviceId;
    this.mirrored = true;
  }

  async open() {
    if (!window.isSecureContext || !navigator.mediaDevices?.getUserMedia) {
      throw new Error('Browsers open a camera only on a safe address. Open this page as https://… or as http://localhost, '
        + 'or play the sample film.');
    }
    const wanted = { ...CAMERA, ...(this.deviceId ? { deviceId: { exact: this.deviceId } } : {}) };
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({ video: wanted, audio: false });
    } catch (error) { throw new Error(cameraTrouble(error)); }
    const [track] = this.stream.getVideoTracks();
    track.addEventListener('ended', () => this.lost());
    this.video.loop = false;
    this.video.removeAttribute('src');
    this.video.srcObject = this.stream;
    await this.video.play();
  }

  // Unplugged, or taken away: it comes back by itself when the browser sees a camera again.
  lost() {
    if (this.closed) return;
    this.onTrouble('The camera is gone: plug it in again and it goes on by itself, or play the sample film.');
    this.again = async () => {
      try {
        await this.open();
        navigator.mediaDevices.removeEventListener('devicechange', this.again);
        this.onTrouble(null);
      } catch { /* not yet */ }
    };
    navigator.mediaDevices.addEventListener('devicechange', this.again);
  }

  close() {
    this.closed = true;
    if (this.again) navigator.mediaDevices.removeEventListener('devicechange', this.again);
    this.stream?.getTracks().forEach((track) => track.stop());
    if (this.video.srcObject === this.stream) this.video.srcObject = null; // else another source has it by now
  }
}

export class BrowserFilm extends PageVideo {
  constructor(video, look, url) {
    super(video, look);
    this.url = url;
  }

  async open() {
    this.video.srcObject = null;
    this.video.loop = true;
    this.video.src = this.url;
    try {
      await this.video.play();
    } catch (error) {
      if (error.name === 'NotSupportedError') throw new Error('This browser cannot play the sample film.');
      throw error;
    }
  }

  close() {
    if (this.video.srcObject || this.video.getAttribute('src') !== this.url) return;
    this.video.removeAttribute('src');
    this.video.load();
  }
}

// A camera, an address or a file of the server, which takes the frames itself; the page shows what it is sent.
export class ServerSource {
  constructor(request) {
    this.request = request;
    this.onServer = true;
    this.onTrouble = () => {};
  }

  async open() {}

  grab() { return null; }

  close() {}

  pause() {}

  async resume() {}
}

export async function cameras() {
  if (!navigator.mediaDevices?.enumerateDevices) return [];
  const devices = await navigator.mediaDevices.enumerateDevices();
  return devices.filter(({ kind, deviceId }) => kind === 'videoinput' && deviceId);
}

function cameraTrouble(error) {
  const sentences = {
    NotAllowedError: 'The camera is blocked for this page. Allow it beside the address at the top of the browser, then '
      + 'press Start again, or play the sample film.',
    NotFoundError: 'No camera was found. Plug one in and press Start again, or play the sample film.',
    NotReadableError: 'Another program uses the camera. Close it and press Start again, or play the sample film.',
    OverconstrainedError: 'This camera is not there any more. Choose another one, or play the sample film.',
  };
  return sentences[error.name] ?? `The camera does not start (${error.name}). Choose another one, or play the sample film.`;
}
