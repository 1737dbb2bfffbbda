// What the scripts beside it run in their pages.
import { Call, Parlor } from "/bench/index.js";

const parlor = new Parlor();
const video = document.querySelector("video");
const wanted = { width: 640, height: 360, frameRate: 30 };
let kept; // what must not be collected while it is used

const once = (emitter, event, test) =>
  new Promise((resolve) => {
    const off = emitter.on(event, (value) => {
      if (!test(value)) return;
      off();
      resolve(value);
    });
  });

const camera = async (size = wanted) =>
  (await navigator.mediaDevices.getUserMedia({ video: size })).getVideoTracks()[0];

export async function enter(nickname) {
  await parlor.api.enter({ nickname, birthYear: 1990, adult: true });
  const ready = once(parlor.socket, "authenticated", () => true);
  parlor.socket.connect();
  await ready;
}

/** A room's call, with the room joined. */
async function callOf(roomId) {
  const room = parlor.room(roomId);
  const call = new Call(room);
  const joined = once(room, "change", ({ state }) => state === "joined");
  room.join();
  await joined;
  return { room, call };
}

/** Makes a room and sends a camera into its call; gives the room's id. */
export async function publish(size = wanted) {
  const { id } = await parlor.api.createRoom({ kind: "call", name: "join", visibility: "public" });
  kept = await callOf(id);
  await kept.call.publish("camera", await camera(size));
  const connected = once(kept.call, "change", ({ phase }) => phase === "connected");
  await kept.call.join();
  await connected;
  return id;
}

/** Milliseconds from joining the room and its call to the first frame of somebody's camera. */
export async function join(roomId) {
  const start = performance.now();
  const { room, call } = await callOf(roomId);
  let detach;
  const shown = new Promise((resolve) => {
    const attach = ({ participants }) => {
      const track = participants.flatMap(({ tracks }) => tracks).find(({ source, active }) => source === "camera" && active);
      if (track && !detach) detach = call.attach(track.trackId, video, { onShown: (is) => is && resolve(performance.now()) });
    };
    call.on("change", attach);
  });
  await call.join();
  const took = (await shown) - start;
  detach();
  call.leave();
  room.leave();
  return took;
}

/** Milliseconds from the first line of a call of this page with itself to its first frame. */
export async function direct() {
  const track = await camera();
  const start = performance.now();
  const [sender, receiver] = [new RTCPeerConnection(), new RTCPeerConnection()];
  sender.onicecandidate = ({ candidate }) => candidate && receiver.addIceCandidate(candidate);
  receiver.onicecandidate = ({ candidate }) => candidate && sender.addIceCandidate(candidate);
  const shown = new Promise((resolve) => {
    receiver.ontrack = ({ track: remote }) => {
      video.requestVideoFrameCallback(() => resolve(performance.now()));
      video.srcObject = new MediaStream([remote]);
      video.play().catch(() => undefined); // the next picture may come first
    };
  });
  sender.addTransceiver(track, { direction: "sendonly" });
  await sender.setLocalDescription();
  await receiver.setRemoteDescription(sender.localDescription);
  await receiver.setLocalDescription();
  await sender.setRemoteDescription(receiver.localDescription);
  const took = (await shown) - start;
  sender.close();
  receiver.close();
  track.stop();
  video.srcObject = null;
  return took;
}

/** Shows somebody's camera of a room as large as it comes, until the page ends. */
export async function watch(roomId) {
  kept = await callOf(roomId);
  video.style.width = "1280px";
  const shown = new Promise((resolve) => {
    let attached = false;
    kept.call.on("change", ({ participants }) => {
      const track = participants.flatMap(({ tracks }) => tracks).find(({ source, active }) => source === "camera" && active);
      if (!track || attached) return;
      attached = true;
      kept.call.attach(track.trackId, video, { onShown: (is) => is && resolve() });
    });
  });
  await kept.call.join();
  await shown;
}

const NativePeerConnection = globalThis.RTCPeerConnection;
const connections = [];
globalThis.RTCPeerConnection = class extends NativePeerConnection {
  constructor(...options) {
    super(...options);
    connections.push(this);
  }
};

/** Bytes of media that this page's camera has sent so far, in how many layers, with how many key frames. */
export async function sent() {
  const streams = [];
  for (const connection of connections) {
    for (const stats of (await connection.getStats()).values()) {
      if (stats.type === "outbound-rtp" && stats.kind === "video" && stats.framesEncoded > 0) streams.push(stats);
    }
  }
  const sum = (of) => streams.reduce((total, stats) => total + of(stats), 0);
  return {
    ms: performance.now(),
    bytes: sum((stats) => stats.bytesSent - (stats.retransmittedBytesSent ?? 0)),
    keyframes: sum((stats) => stats.keyFramesEncoded ?? 0),
    layers: streams.length,
    limited: streams.some((stats) => stats.qualityLimitationReason === "bandwidth"),
  };
}

/** Waits until so many layers are sent and nothing but the layers' own bounds limits them. */
export async function settled(layers) {
  for (;;) {
    const now = await sent();
    if (now.layers === layers && !now.limited) return;
    await new Promise((rested) => setTimeout(rested, 500));
  }
}
