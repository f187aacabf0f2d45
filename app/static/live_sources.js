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

  async grab() {
    const { video, canvas } = this;
    if (video.readyState < 2 || !video.videoWidth || video.paused) return null;
    if (!await this.copied()) this.drawn();
    return canvas.toDataURL('image/jpeg', QUALITY).split(',')[1];
  }

  // Through memory: drawing a video asks the graphics card, and where that is busy the whole page waits, half a second
  // with a software one. False where the browser cannot, or the camera is held upright and the frame lies.
  async copied() {
    if (this.noCopy || !window.VideoFrame) return false;
    let frame = null;
    try {
      frame = new VideoFrame(this.video);
      const { width, height } = frame.visibleRect;
      if (frame.rotation || width !== this.video.videoWidth) return false;
      const bytes = frame.allocationSize({ format: 'RGBA' });
      if (this.buffer?.length !== bytes) this.buffer = new Uint8ClampedArray(bytes);
      await frame.copyTo(this.buffer, { format: 'RGBA' });
      this.context.putImageData(shrunk(this.buffer, width, this.part(width, height), this.canvas.width), 0, 0);
      return true;
    } catch {
      this.noCopy = true;
      return false;
    } finally { frame?.close(); }
  }

  drawn() {
    const { video, canvas } = this;
    this.context.drawImage(video, ...this.part(video.videoWidth, video.videoHeight), 0, 0, canvas.width, canvas.height);
  }

  // [left, top, width, height] of what the model looks at.
  part(width, height) {
    const side = Math.min(width, height);
    return this.cropped ? [(width - side) / 2, (height - side) / 2, side, side] : [0, 0, width, height];
  }

  get aspect() { return this.cropped ? 1 : this.video.videoWidth / this.video.videoHeight || 1; }

  pause() { this.video.pause(); }

  async resume() { await this.video.play(); }
}

// A part of an RGBA picture of `stride` pixels a row as a square, bilinearly, as the training photos were.
function shrunk(pixels, stride, [left, top, width, height], side) {
  const square = new ImageData(side, side);
  const place = (i, from, size) => {
    const at = Math.min(Math.max((i + 0.5) * size / side - 0.5, 0), size - 1);
    const low = Math.floor(at);
    return [Math.floor(from) + low, Math.floor(from) + Math.min(low + 1, size - 1), at - low];
  };
  const columns = Array.from({ length: side }, (_, i) => place(i, left, width));
  let out = 0;
  for (let row = 0; row < side; row++) {
    const [y0, y1, down] = place(row, top, height);
    const [a, b] = [y0 * stride, y1 * stride];
    for (const [x0, x1, right] of columns) {
      const [p, q, r, s] = [4 * (a + x0), 4 * (a + x1), 4 * (b + x0), 4 * (b + x1)];
      for (let c = 0; c < 3; c++) {
        const upper = pixels[p + c] + (pixels[q + c] - pixels[p + c]) * right;
        const lower = pixels[r + c] + (pixels[s + c] - pixels[r + c]) * right;
        square.data[out + c] = upper + (lower - upper) * down;
      }
      square.data[out + 3] = 255;
      out += 4;
    }
  }
  return square;
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
    this.loops = true;
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
    this.loops = Boolean(request.sample);
    this.onServer = true;
    this.onTrouble = () => {};
  }

  async open() {}

  async grab() { return null; }

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
