// What the page asks of its own server. A failure is an Error whose message is the sentence to show.

export class Api {
  constructor(server) { this.server = server; }

  async call(name, request = {}) {
    let answer = null;
    try {
      answer = await this.server[name](request);
    } catch { /* told below, as an answer that never came */ }
    if (!answer) {
      throw Object.assign(new Error('The app does not answer. Is it still running in its terminal?'), { lost: true });
    }
    if (answer.error) throw new Error(answer.error);
    return answer;
  }

  // Sends a file; returns its path on the server. `signal` stops it, `onProgress` gets 0 to 1.
  upload(file, onProgress, signal) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      const form = new FormData();
      form.append('files', file);
      request.open('POST', '/gradio_api/upload');
      request.upload.onprogress = (event) => onProgress(event.loaded / (event.total || 1));
      request.onload = () => {
        if (request.status === 200) resolve(JSON.parse(request.responseText)[0]);
        else reject(new Error(request.status === 413 ? 'This file is larger than the app takes.' : 'The upload failed; try again.'));
      };
      request.onerror = () => reject(new Error('The upload failed. Is the app still running in its terminal?'));
      request.onabort = () => reject(new DOMException('cancelled', 'AbortError'));
      signal.addEventListener('abort', () => request.abort());
      request.send(form);
    });
  }
}
