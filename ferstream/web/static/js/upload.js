// Sends a file with progress. XMLHttpRequest, because fetch reports no progress of what is sent.
import { ApiError, toLogin } from "./api.js";

/** Send `file` to /api/1/recordings; `onProgress(share)` is called with 0..1. Returns the daemon's answer; abort by `signal`. */
export function upload(file, { onProgress, signal }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `/api/1/recordings?name=${encodeURIComponent(file.name)}`);
    // Not the browser's guess by the name: some endings of recordings also belong to other kinds of files.
    request.setRequestHeader("content-type", file.type.startsWith("video/") ? file.type : "application/octet-stream");
    request.upload.onprogress = (event) => {
      if (event.lengthComputable) onProgress(event.loaded / event.total);
    };
    request.onload = () => {
      if (request.status === 401) toLogin();
      const answer = parse(request.responseText);
      if (request.status >= 200 && request.status < 300 && answer) resolve(answer);
      else reject(new ApiError(answer?.error || `the daemon answered ${request.status}`, request.status));
    };
    request.onerror = () => reject(new ApiError("the connection broke off while the file was sent"));
    request.onabort = () => reject(new ApiError("cancelled"));
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.send(file);
  });
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
