// What join.mjs runs in its pages.
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

const camera = async () => (await navigator.mediaDevices.getUserMedia({ video: wanted })).getVideoTracks()[0];

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
export async function publish() {
  const { id } = await parlor.api.createRoom({ kind: "call", name: "join", visibility: "public" });
  kept = await callOf(id);
  await kept.call.publish("camera", await camera());
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
