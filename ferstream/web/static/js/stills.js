// The stills view: pictures that the visitor chooses or takes are sent to the daemon, analysed and forgotten there.
import { request } from "./api.js";
import { bytes, h, plural, saveText, setText } from "./dom.js";
import { drawFaces, drawStage, prepare } from "./drawing.js";
import { FaceRow } from "./face-row.js";
import { ABSTAINED, UNKNOWN, legend } from "./labels.js";
import { colours, onTheme } from "./theme.js";
import { mountWebcam } from "./webcam.js";

const RETRIES = 5;

export function mountStills(root, { daemon }) {
  const results = h("div", { class: "results" });
  const refusal = h("p", { class: "explain", hidden: true });
  const said = h("p", { role: "status", class: "muted small" });
  const input = h("input", {
    type: "file",
    accept: "image/*",
    multiple: true,
    class: "visually-hidden",
    id: "still-files",
    tabindex: "-1",
    "aria-label": "Pictures to analyse",
  });
  const choose = h("button", { type: "button", class: "primary", onclick: () => input.click() }, "Choose pictures");
  const webcamBox = h("div");
  const take = h("button", { type: "button", onclick: () => webcam.open() }, "Take a picture");
  const drop = h(
    "div",
    { class: "drop" },
    h("p", {}, "Drop pictures here, paste one, or"),
    h("div", { class: "row" }, choose, take),
    input,
    h("p", { class: "muted small" }, "They are analysed by the daemon in memory and never stored."),
  );
  const webcam = mountWebcam(webcamBox, (blob) => add([new File([blob], "camera.jpg", { type: "image/jpeg" })]));
  const saveAll = h(
    "button",
    {
      type: "button",
      hidden: true,
      onclick: () =>
        saveText(JSON.stringify(pictures.map((picture) => picture.answer).filter(Boolean), null, 1), "faces.json", "application/json"),
    },
    "Download all as JSON",
  );
  root.append(
    h("div", { class: "view-head" }, h("h1", {}, "Stills"), h("p", { class: "lead" }, "Faces in photographs"), saveAll),
    refusal,
    drop,
    webcamBox,
    said,
    results,
    h("div", { class: "row view-foot" }, legend()),
  );

  let pictures = [],
    queue = Promise.resolve(),
    closed = false;
  const cancel = new AbortController();

  function add(files) {
    const images = [...files].filter((file) => file.size > 0);
    for (const file of images) {
      const picture = new Picture(file, () => {
        pictures = pictures.filter((other) => other !== picture);
        picture.close();
        tell();
      });
      pictures.push(picture);
      results.prepend(picture.element);
      queue = queue.then(() => (closed || picture.closed ? null : picture.analyse(daemon, cancel.signal))).then(tell);
    }
    tell();
  }

  function tell() {
    const waiting = pictures.filter((picture) => picture.pending).length;
    const faces = pictures.reduce((sum, picture) => sum + (picture.answer?.faces.length ?? 0), 0);
    saveAll.hidden = pictures.filter((picture) => picture.answer).length < 2;
    setText(
      said,
      pictures.length
        ? `${plural(pictures.length, "picture")}, ${plural(faces, "face")}${waiting ? `, ${waiting} still to analyse` : ""}`
        : "",
    );
  }

  function showState() {
    const state = daemon.state;
    const allowed = Boolean(state?.uploads?.stills) && !state?.aggregate_only;
    drop.hidden = !allowed;
    refusal.hidden = allowed || !state;
    if (!allowed && state)
      setText(
        refusal,
        state.aggregate_only
          ? "privacy.aggregate_only is on: no single face is shown, so pictures are not analysed here."
          : "This daemon does not analyse pictures that are sent to it.",
      );
  }

  const paste = (event) => {
    if (!drop.hidden && event.clipboardData?.files.length) add(event.clipboardData.files);
  };
  input.addEventListener("change", () => {
    add(input.files);
    input.value = "";
  });
  acceptDrops(drop, add);
  addEventListener("paste", paste);
  daemon.addEventListener("state", showState);
  const offTheme = onTheme(() => pictures.forEach((picture) => picture.draw()));
  daemon.refresh(4000);
  showState();
  return () => {
    closed = true;
    cancel.abort();
    removeEventListener("paste", paste);
    daemon.removeEventListener("state", showState);
    offTheme();
    webcam.close();
    pictures.forEach((picture) => picture.close());
  };
}

/** Let files be dropped on an element; a drop beside it does not leave the page. */
export function acceptDrops(element, take) {
  for (const name of ["dragenter", "dragover"])
    element.addEventListener(name, (event) => {
      event.preventDefault();
      element.classList.add("over");
    });
  for (const name of ["dragleave", "drop"])
    element.addEventListener(name, (event) => {
      event.preventDefault();
      element.classList.remove("over");
    });
  element.addEventListener("drop", (event) => {
    if (event.dataTransfer?.files.length) take(event.dataTransfer.files);
  });
}

class Picture {
  pending = true;
  answer = null;
  closed = false;
  #file;
  #url;
  #image = new Image();
  #canvas;
  #note;
  #faces;
  #save;
  #split;
  #resize;

  constructor(file, remove) {
    this.#file = file;
    this.#url = URL.createObjectURL(file);
    this.#canvas = h("canvas", { role: "img", "aria-label": `${file.name}, not analysed yet` });
    this.#note = h("p", { class: "muted", role: "status" }, "waiting …");
    this.#faces = h("ul", { class: "faces" });
    this.#save = h(
      "button",
      {
        type: "button",
        hidden: true,
        onclick: () => saveText(JSON.stringify(this.answer, null, 1), `${file.name}.faces.json`, "application/json"),
      },
      "Download JSON",
    );
    this.#split = h(
      "div",
      { class: "split" },
      this.#canvas,
      h("div", { tabindex: "0", role: "region", "aria-label": `Faces in ${file.name}` }, this.#note, this.#faces),
    );
    this.element = h(
      "section",
      { class: "card result", "aria-label": file.name },
      h(
        "header",
        {},
        h("h2", {}, file.name),
        h(
          "span",
          { class: "side" },
          bytes(file.size),
          this.#save,
          h("button", { type: "button", class: "quiet", "aria-label": `Remove ${file.name}`, onclick: remove }, "Remove"),
        ),
      ),
      this.#split,
    );
    this.#resize = new ResizeObserver(() => this.draw());
    this.#resize.observe(this.#canvas);
  }

  close() {
    this.closed = true;
    this.#resize.disconnect();
    URL.revokeObjectURL(this.#url);
    this.element.remove();
  }

  async analyse(daemon, signal) {
    setText(this.#note, "analysing …");
    this.#image.src = this.#url;
    await this.#image.decode().catch(() => {}); // a format that the browser cannot show: boxes on grey
    try {
      const limit = daemon.state?.uploads?.max_bytes;
      if (limit && this.#file.size > limit) throw new Error(`${bytes(this.#file.size)} is more than the daemon takes (${bytes(limit)})`);
      const answer = await send(this.#file, signal);
      this.answer = { file: this.#file.name, ...answer };
      this.#show();
    } catch (error) {
      this.#note.className = "error";
      setText(this.#note, `Not analysed: ${error.message}`);
    }
    this.pending = false;
    this.draw();
  }

  #show() {
    const faces = this.answer.faces;
    setText(this.#note, faces.length ? plural(faces.length, "face") : "No face was found.");
    this.#save.hidden = false;
    this.#faces.replaceChildren(
      ...faces.map((face, index) => {
        const row = new FaceRow(`face ${index + 1}`);
        row.set({ label: face.label, confidence: face.confidence, abstained: face.abstained, probabilities: face.probabilities });
        return row.element;
      }),
    );
    this.#canvas.setAttribute(
      "aria-label",
      `${this.#file.name}: ${plural(faces.length, "face")}${faces.length ? `: ${faces.map((face) => face.label).join(", ")}` : ""}`,
    );
  }

  draw() {
    if (!this.#canvas.isConnected) return;
    const shown = this.#image.naturalWidth > 0;
    const size = this.answer ?? { width: this.#image.naturalWidth || 16, height: this.#image.naturalHeight || 9 };
    const aspect = shown ? this.#image.naturalWidth / this.#image.naturalHeight : size.width / size.height;
    this.#canvas.style.maxWidth = `min(100%, calc(${aspect.toFixed(4)} * 80vh))`; // a tall picture fits on the screen
    const view = prepare(this.#canvas, aspect);
    if (shown) view.context.drawImage(this.#image, 0, 0, view.width, view.height);
    else drawStage(view.context, view.width, view.height, colours());
    const faces = (this.answer?.faces ?? []).filter((face) => face.box);
    drawFaces(
      view,
      size,
      faces.map((face) => ({ ...face, note: face.label === UNKNOWN && face.abstained ? ABSTAINED[face.abstained] : "" })),
      { onPicture: shown },
    );
  }
}

/** Send one picture; while the daemon is busy with another, try again when it says. */
async function send(file, signal) {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await request("/stills", {
        method: "POST",
        body: file,
        headers: { "content-type": file.type.startsWith("image/") ? file.type : "application/octet-stream" },
        signal,
        timeoutMs: 60_000,
      });
    } catch (error) {
      if (error.status !== 503 || attempt >= RETRIES) throw error;
      await new Promise((resolve) => setTimeout(resolve, 1000 * Math.min(5, error.retryAfter || 1)));
    }
  }
}
