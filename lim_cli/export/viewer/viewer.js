// Plays animated GLB files. The page holds one <script class="model"> for each: with the file itself in base64, or
// with a data-url to fetch it from.
import * as THREE from "three";
import { OrbitControls } from "three/addons/controls/OrbitControls.js";
import { RoomEnvironment } from "three/addons/environments/RoomEnvironment.js";
import { DRACOLoader } from "three/addons/loaders/DRACOLoader.js";
import { GLTFLoader } from "three/addons/loaders/GLTFLoader.js";

const element = (id) => document.getElementById(id);
const models = [...document.querySelectorAll("script.model")];
const scene = new THREE.Scene();
const camera = new THREE.PerspectiveCamera(35, 1, 0.01, 100);
const renderer = new THREE.WebGLRenderer({ canvas: element("view"), antialias: true, preserveDrawingBuffer: true });
renderer.setPixelRatio(Math.min(window.devicePixelRatio, 2));
const controls = new OrbitControls(camera, renderer.domElement);
controls.enableDamping = true;
controls.autoRotateSpeed = 4;
scene.environment = new THREE.PMREMGenerator(renderer).fromScene(new RoomEnvironment(), 0.04).texture;
const lamp = new THREE.DirectionalLight(0xffffff, 2);
lamp.position.set(-1, 1.5, 1);
camera.add(lamp); // the lamp stands beside the camera: no side is ever dark
scene.add(camera);

const state = { root: null, mixer: null, action: null, clips: [], keys: [0], duration: 0, time: 0, playing: false };

// Files

const decoders = JSON.parse(element("decoders").textContent);
const files = new THREE.LoadingManager();
files.setURLModifier((url) => decoders[url] ?? url);
const loader = new GLTFLoader(files).setDRACOLoader(new DRACOLoader(files).setWorkerLimit(1));

async function bytesOf(entry) {
  if (!entry.dataset.url) return Uint8Array.from(atob(entry.textContent.trim()), (c) => c.charCodeAt(0)).buffer;
  const answer = await fetch(entry.dataset.url);
  if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
  return answer.arrayBuffer();
}

async function load(number) {
  const entry = models[number];
  say("Loading ...");
  try {
    const gltf = await loader.parseAsync(await bytesOf(entry), "");
    if (state.root) discard(state.root);
    state.root = gltf.scene;
    state.root.traverse((object) => (object.frustumCulled = false)); // bounds are taken once, and things move out of them
    scene.add(state.root);
    element("name").textContent = entry.dataset.name;
    element("name").hidden = models.length > 1; // the list shows it
    state.clips = gltf.animations;
    fill(element("clip"), state.clips.map((clip, i) => clip.name || `animation ${i}`));
    choose(0);
    frame();
    paint();
    play(state.duration > 0);
    say("");
  } catch (error) {
    say(`${entry.dataset.name} cannot be shown: ${error.message}`);
  }
}

function discard(root) {
  scene.remove(root);
  root.traverse((object) => {
    if (!object.isMesh) return;
    object.geometry.dispose();
    for (const material of [object.material].flat()) material.dispose();
  });
}

function choose(number) {
  state.mixer?.stopAllAction();
  state.mixer = new THREE.AnimationMixer(state.root);
  const clip = state.clips[number];
  state.duration = clip ? clip.duration : 0;
  const times = clip ? clip.tracks.flatMap((track) => [...track.times]) : [0];
  state.keys = [...new Set(times.map((time) => Math.round(time * 1e5) / 1e5))].sort((a, b) => a - b);
  state.action = clip ? state.mixer.clipAction(clip).play() : null;
  element("time").max = state.duration || 1;
  element("time").disabled = element("play").disabled = !clip;
  let vertices = 0;
  state.root.traverse((object) => (vertices += object.isMesh ? object.geometry.attributes.position.count : 0));
  element("facts").textContent =
    `${vertices.toLocaleString("en")} vertices, ${state.keys.length} frames, ${state.duration.toFixed(2)} s`;
  show(0);
}

function fill(select, names) {
  select.replaceChildren(...names.map((name, i) => new Option(name, i)));
  select.hidden = names.length < 2;
}

// Time

function show(time) {
  state.time = Math.min(Math.max(time, 0), state.duration);
  if (state.action) {
    state.action.time = state.time; // we keep the time: an action that runs over its end would stop or wrap
    state.mixer.update(0);
  }
  element("time").value = state.time;
  element("clock").textContent = `${state.time.toFixed(2)} / ${state.duration.toFixed(2)} s`;
}

function play(on) {
  state.playing = on && state.duration > 0;
  element("play").textContent = state.playing ? "❚❚" : "▶";
  element("play").setAttribute("aria-label", state.playing ? "Pause" : "Play");
}

function step(direction) {
  play(false);
  const margin = 1e-4;
  const next =
    direction > 0
      ? state.keys.find((key) => key > state.time + margin)
      : state.keys.findLast((key) => key < state.time - margin);
  show(next ?? (direction > 0 ? 0 : state.duration));
}

// Looks

function frame() {
  const box = new THREE.Box3();
  const now = state.time;
  for (const share of state.duration ? [0, 0.25, 0.5, 0.75, 1] : [0]) {
    show(share * state.duration);
    state.root.updateMatrixWorld(true);
    box.expandByObject(state.root, true);
  }
  show(now);
  const centre = box.getCenter(new THREE.Vector3());
  const radius = Math.max(0.5 * box.getSize(new THREE.Vector3()).length(), 1e-6);
  const room = Math.min(1, camera.aspect);
  const distance = (0.9 * radius) / (room * Math.sin((0.5 * camera.fov * Math.PI) / 180));
  camera.near = distance / 1000;
  camera.far = distance * 100;
  camera.updateProjectionMatrix();
  camera.position.copy(centre).add(new THREE.Vector3(0.45, 0.3, 1).normalize().multiplyScalar(distance));
  controls.target.copy(centre);
  controls.update();
}

const pressed = (id) => element(id).getAttribute("aria-pressed") === "true";

function press(id) {
  element(id).setAttribute("aria-pressed", String(!pressed(id)));
  paint();
}

function paint() {
  document.documentElement.classList.toggle("dark", pressed("background"));
  scene.background = new THREE.Color(pressed("background") ? 0x17181b : 0xf2f3f5);
  controls.autoRotate = pressed("turn");
  state.root?.traverse((object) => {
    for (const material of object.isMesh ? [object.material].flat() : []) material.wireframe = pressed("wireframe");
  });
}

function say(text) {
  element("message").textContent = text;
  element("message").hidden = !text;
}

function resize() {
  const { innerWidth: width, innerHeight: height } = window;
  renderer.setSize(width, height, false);
  camera.aspect = width / Math.max(height, 1);
  camera.updateProjectionMatrix();
}

// Hands

function onClick(id, action) {
  element(id).onclick = (event) => {
    action();
    if (event.detail) event.currentTarget.blur(); // after a mouse click space plays again
  };
}

onClick("play", () => play(!state.playing));
element("time").oninput = (event) => {
  play(false);
  show(Number(event.target.value));
};
element("model").onchange = (event) => load(Number(event.target.value));
element("clip").onchange = (event) => choose(Number(event.target.value));
for (const id of ["wireframe", "turn", "background"]) onClick(id, () => press(id));
onClick("reset", frame);
window.addEventListener("resize", resize);
window.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "SELECT") return;
  if (event.target.tagName === "BUTTON" && event.key === " ") return; // the button's own key
  const actions = {
    " ": () => play(!state.playing),
    ArrowRight: () => step(1),
    ArrowLeft: () => step(-1),
    Home: () => show(0),
    End: () => show(state.duration),
    w: () => press("wireframe"),
    t: () => press("turn"),
    b: () => press("background"),
    r: frame,
  };
  const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!action) return;
  event.preventDefault(); // a focused button or slider must not act as well
  action();
});

let last = performance.now();
renderer.setAnimationLoop((now) => {
  const seconds = Math.max(0, Math.min((now - last) / 1000, 0.1));
  last = now;
  if (state.playing) {
    const time = state.time + seconds * Number(element("speed").value);
    show(time > state.duration ? time % state.duration : time);
  }
  controls.update(seconds);
  renderer.render(scene, camera);
});

fill(element("model"), models.map((entry) => entry.dataset.name));
resize();
await load(0);
window.viewer = { state, show, play }; // for tests
