// The page of `edgecnn demo --view web`: a picture that streams by itself, numbers as server-sent events, three settings.
// Labels may hold markup: they are written as text, always.

const PHASES = ["capture", "preprocess", "invoke", "postprocess"];
const TRY_AGAIN_MS = 2000;
const HELD_MS = 600; // after a viewer moved the slider, before it follows others again

const at = (id) => document.getElementById(id);
const element = (tag, className) => Object.assign(document.createElement(tag), { className });
const share = (score) => Math.min(1, Math.max(0, score ?? 0));
const fixed = (value, digits) => (value == null ? "–" : value.toFixed(digits));

let events = null;
let visits = 0;
let pictureHasCome = false;
let serverNotice = null;
let ownNotice = null;
let wanted = null; // a threshold that is still to be sent
let touched = 0;
let photos = { needed: 0, good: 0 }; // of a class, for a build to take it, and to begin well with

function show(id, text) {
  if (at(id).textContent !== text) at(id).textContent = text;
}

function showNotice() {
  const waiting = pictureHasCome ? null : "waiting for the first picture";
  const text = ownNotice ?? serverNotice ?? waiting;
  show("notice", text ?? "");
  at("notice").hidden = !text;
}

function drawBars(best) {
  const bars = at("bars");
  while (bars.children.length < best.length) {
    const row = element("li", "");
    row.append(element("span", "fill"), element("span", "name"), element("span", "value"));
    bars.append(row);
  }
  while (bars.children.length > best.length) bars.lastChild.remove();
  best.forEach(({ label, score }, rank) => {
    const [fill, name, value] = bars.children[rank].children;
    fill.style.setProperty("--share", share(score));
    name.textContent = name.title = label;
    value.textContent = fixed(score, 3);
  });
}

function drawPhases(phases) {
  if (!phases) return;
  const total = PHASES.reduce((sum, name) => sum + phases[name], 0);
  show("total", `${total.toFixed(2)} ms`);
  for (const name of PHASES) {
    at(`bar-${name}`).style.flexGrow = String(total ? phases[name] / total : 0);
    show(`ms-${name}`, phases[name].toFixed(2));
  }
}

function drawThreshold(threshold) {
  show("threshold", threshold.toFixed(2));
  at("mark").style.setProperty("--share", share(threshold));
  at("mark").hidden = threshold === 0;
}

function drawHealth({ temperature_c: temperature, throttled }) {
  at("temperature").parentElement.hidden = temperature == null;
  show("temperature", `${fixed(temperature, 1)} °C`);
  at("throttled").parentElement.hidden = throttled == null;
  show("throttled", throttled?.length ? throttled.join(", ") : "nothing");
  at("throttled").classList.toggle("bad", Boolean(throttled?.length));
}

function draw(state) {
  if (state.size) at("picture").style.aspectRatio = `${state.size[1]} / ${state.size[0]}`;
  if (state.frame != null) {
    show("shown", state.shown ? state.shown.label : "unknown");
    show("score", state.shown ? fixed(state.shown.score, 3) : "");
    document.querySelector("h1").classList.toggle("unknown", !state.shown);
  }
  drawBars(state.best);
  drawPhases(state.phases_ms);
  drawHealth(state);
  show("fps", state.fps == null ? "–" : `${fixed(state.fps, 1)} FPS`);
  show("age", state.age_ms == null ? "–" : `${fixed(state.age_ms, 0)} ms`);
  show("dropped", state.dropped == null ? "–" : String(state.dropped));
  at("pause").setAttribute("aria-pressed", String(state.paused));
  show("pause", state.paused ? "Continue" : "Pause");
  at("overlay").setAttribute("aria-pressed", String(state.overlay));
  if (wanted === null && Date.now() - touched > HELD_MS) {
    at("slider").value = state.threshold;
    drawThreshold(state.threshold);
  }
  serverNotice = state.notice;
  showNotice();
}

async function post(path, document) {
  const headers = { "content-type": "application/json", "x-edgecnn": "1" };
  const answer = await fetch(path, { method: "POST", headers, body: JSON.stringify(document) });
  if (!answer.ok) throw new Error(await answer.text());
  return answer;
}

async function set(setting) {
  try {
    await post("/controls", setting);
    ownNotice = null;
  } catch (error) {
    ownNotice = `That could not be set: ${error.message}`;
    showNotice();
  }
}

function photosOf({ saved, photos: count }) {
  const number = `${count} photo${count > 1 ? "s" : ""} of ${saved.split("/")[0]}`;
  if (count < photos.needed) return `${number}, a build needs about ${photos.needed}`;
  return count < photos.good ? `${number}, ${photos.good} are a good start` : number;
}

async function keep(label) {
  try {
    const kept = await (await post("/photos", { label })).json();
    show("kept", `Kept ${kept.saved}; ${photosOf(kept)}`);
    at("kept").classList.remove("bad");
  } catch (error) {
    show("kept", error.message);
    at("kept").classList.add("bad");
  }
}

async function describe() {
  const about = await (await fetch("/about.json")).json();
  if (!about) return;
  show("camera", about.camera);
  show("runtime", `${about.runtime}, ${about.threads} thread${about.threads > 1 ? "s" : ""}`);
  at("overlay").hidden = !about.class_maps;
  at("teach").hidden = !about.collects;
  if (about.collects && !photos.needed) {
    photos = about.collects;
    show("kept", `A build needs about ${photos.needed} photos of a class; ${photos.good} are a good start`);
  }
  at("labels").replaceChildren(...about.labels.map((label) => Object.assign(element("option", ""), { value: label })));
  document.title = `${about.camera} · edgecnn`;
}

function connect() {
  if (events || document.hidden) return;
  events = new EventSource("/numbers");
  events.addEventListener("open", () => {
    ownNotice = null;
    at("picture").src = `/live.mjpeg?${(visits += 1)}`;
    describe().catch(() => {});
  });
  events.addEventListener("message", (message) => draw(JSON.parse(message.data)));
  events.addEventListener("end", () => lost("the run has ended; this page waits for the next"));
  events.addEventListener("error", () => lost(ownNotice ?? "no connection; trying again"));
}

function disconnect() {
  events?.close();
  events = null;
  at("picture").removeAttribute("src"); // ends the stream: what nobody sees is not sent
}

function lost(why) {
  events?.close();
  events = null;
  ownNotice = why;
  showNotice();
  setTimeout(connect, TRY_AGAIN_MS);
}

for (const name of PHASES) {
  at("timeline").append(Object.assign(element("span", name), { id: `bar-${name}` }));
  const row = element("li", "");
  row.append(element("i", name), name, Object.assign(element("b", ""), { id: `ms-${name}`, textContent: "–" }));
  at("phases").append(row);
}
drawThreshold(0);

at("picture").addEventListener("load", () => {
  pictureHasCome = true;
  at("picture").classList.add("come");
  showNotice();
});
at("picture").addEventListener("error", () => at("picture").classList.remove("come"));
for (const [id, name] of [["pause", "paused"], ["overlay", "overlay"]]) {
  at(id).addEventListener("click", () => set({ [name]: at(id).getAttribute("aria-pressed") !== "true" }));
}
at("slider").addEventListener("input", async () => {
  const sending = wanted !== null;
  wanted = at("slider").valueAsNumber;
  touched = Date.now();
  drawThreshold(wanted);
  if (sending) return; // who sends already sends this one next
  for (let sent = null; sent !== wanted; ) {
    sent = wanted;
    await set({ threshold: sent });
  }
  wanted = null;
});
at("teach").addEventListener("submit", (event) => {
  event.preventDefault();
  keep(at("label").value);
});
document.addEventListener("visibilitychange", () => (document.hidden ? disconnect() : connect()));
connect();
