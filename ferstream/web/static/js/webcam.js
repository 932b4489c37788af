// Takes a picture with the camera of the visitor's own device; nothing is sent before the button is pressed.
import { h } from "./dom.js";

export function mountWebcam(box, take) {
  let stream = null,
    opening = false;

  async function open() {
    if (stream || opening) return;
    if (!isSecureContext || !navigator.mediaDevices) return explain();
    opening = true;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1280 } }, audio: false });
    } catch (error) {
      box.replaceChildren(h("p", { class: "explain", role: "alert" }, reason(error)));
      opening = false;
      return;
    }
    opening = false;
    const video = h("video", { muted: true, playsinline: true, autoplay: true, "aria-label": "Your camera, only on this screen" });
    video.srcObject = stream;
    const shoot = h("button", { type: "button", class: "primary", onclick: () => capture(video) }, "Take the picture");
    box.replaceChildren(
      h(
        "div",
        { class: "webcam" },
        video,
        h("div", { class: "row" }, shoot, h("button", { type: "button", onclick: close }, "Close the camera")),
      ),
    );
    shoot.focus();
  }

  function capture(video) {
    if (!video.videoWidth) return;
    const canvas = h("canvas");
    canvas.width = video.videoWidth;
    canvas.height = video.videoHeight;
    canvas.getContext("2d").drawImage(video, 0, 0);
    canvas.toBlob((blob) => blob && take(blob), "image/jpeg", 0.92);
  }

  function close() {
    stream?.getTracks().forEach((track) => track.stop());
    stream = null;
    box.replaceChildren();
  }

  function explain() {
    box.replaceChildren(
      h(
        "p",
        { class: "explain", role: "alert" },
        "Browsers let a page use the camera only over https, or when the page is opened as http://localhost. This page came over " +
          "plain http from another machine: choose a picture instead, or put ferstream behind a proxy with TLS.",
      ),
    );
  }

  return { open, close };
}

function reason(error) {
  if (error.name === "NotAllowedError")
    return "The browser does not allow this page to use the camera. Allow it in the browser's address bar and try again.";
  if (error.name === "NotFoundError") return "This device has no camera that the browser can use.";
  return `The camera cannot be opened: ${error.message}`;
}
