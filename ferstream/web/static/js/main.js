// The shell: views by the hash of the address, the state of the connection, the node's name, the notice line.
import { Daemon } from "./api.js";
import { h, setText } from "./dom.js";
import { startTheme } from "./theme.js";
import { mountLive } from "./live.js";
import { mountStatus } from "./status.js";
import { mountStills } from "./stills.js";
import { mountRecording } from "./recording.js";

const VIEWS = {
  live: ["Live", mountLive],
  status: ["Status", mountStatus],
  stills: ["Stills", mountStills],
  recording: ["Recording", mountRecording],
};
const main = document.getElementById("main-content");
const pill = document.getElementById("connection");
const notice = document.getElementById("notice");
const daemon = new Daemon();
let unmount = null;
let shown = "";
let version = null;

function route() {
  const [name, ...rest] = location.hash.slice(1).split("/");
  if (location.hash === "#main-content") return main.focus();
  const view = name in VIEWS ? name : "live";
  show(view, rest.join("/"));
}

function show(view, rest) {
  const address = `${view}/${rest}`;
  if (address === shown) return;
  const moved = shown !== "";
  shown = address;
  unmount?.();
  const [title, mount] = VIEWS[view];
  document.title = `${title} · ferstream`;
  for (const link of document.querySelectorAll(".top nav a")) {
    if (link.hash === `#${view}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const root = h("div", { class: `view ${view}-view` });
  main.replaceChildren(root);
  unmount = mount(root, { daemon, argument: argument(rest) }) ?? null;
  if (moved) {
    main.focus({ preventScroll: true });
    scrollTo(0, 0);
  }
}

/** Decode the part of the hash behind the view's name; one that is not encoded well is taken as it is. */
function argument(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function showConnection() {
  const live = daemon.connection === "live";
  const words = { live: "connected", connecting: "connecting", reconnecting: "reconnecting …" };
  setText(pill, words[daemon.connection]);
  pill.className = `pill ${live ? "good" : "warn"}`;
  document.body.dataset.connection = daemon.connection;
}

function showState() {
  const { node, login } = daemon.state;
  setText(document.getElementById("node"), node);
  document.getElementById("logout").hidden = !login;
  version ??= daemon.state.version;
  if (version !== daemon.state.version && notice.hidden) {
    notice.replaceChildren(
      `The daemon is now version ${daemon.state.version}. `,
      h("button", { onclick: () => location.reload() }, "Load its page"),
    );
    notice.hidden = false;
  }
}

startTheme(document.getElementById("theme"));
daemon.addEventListener("connection", showConnection);
daemon.addEventListener("state", showState);
addEventListener("hashchange", route);
showConnection();
daemon.start().finally(route);
