// Records packet sizes and gaps of a Chromium VP8 sender: `node record.mjs > ../../../media/fixtures/trace-chromium-vp8.csv`.
// Needs root (capture.py opens a packet socket), Debian's chromium and python3, and `npm ci` in web/.
// One page calls itself over loopback with Chromium's fake camera at 1280×720 and 30 frames/s. The first 30 s are left out:
// the sender's bandwidth estimate is still climbing.
import { spawn } from "node:child_process";
import { createServer } from "node:http";
import { chromium } from "../../../web/node_modules/playwright-core/index.mjs";

const args = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-background-networking",
  "--use-fake-device-for-media-stream=fps=30",
  "--use-fake-ui-for-media-stream",
  "--allow-loopback-in-peer-connection",
  "--disable-features=WebRtcHideLocalIpsWithMdns",
];
const server = createServer((_, answer) => {
  answer.setHeader("content-type", "text/html");
  answer.end("<video autoplay muted></video>");
});
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args });
const page = await browser.newPage();
await page.goto(`http://localhost:${server.address().port}/`); // a secure context, so that there is a camera
const payloadType = await page.evaluate(async () => {
  const stream = await navigator.mediaDevices.getUserMedia({ video: { width: 1280, height: 720, frameRate: 30 } });
  const [sender, receiver] = [new RTCPeerConnection(), new RTCPeerConnection()];
  globalThis.kept = [sender, receiver]; // or the garbage collector ends the call
  sender.onicecandidate = ({ candidate }) => candidate && receiver.addIceCandidate(candidate);
  receiver.onicecandidate = ({ candidate }) => candidate && sender.addIceCandidate(candidate);
  receiver.ontrack = ({ streams }) => {
    document.querySelector("video").srcObject = streams[0];
  };
  const transceiver = sender.addTransceiver(stream.getVideoTracks()[0], { direction: "sendonly", streams: [stream] });
  const { codecs } = RTCRtpSender.getCapabilities("video");
  transceiver.setCodecPreferences(codecs.filter(({ mimeType }) => /VP8|rtx/i.test(mimeType)));
  await sender.setLocalDescription();
  await receiver.setRemoteDescription(sender.localDescription);
  await receiver.setLocalDescription();
  await sender.setRemoteDescription(receiver.localDescription);
  return Number(/rtpmap:(\d+) VP8/.exec(sender.localDescription.sdp)[1]);
});
await new Promise((warm) => setTimeout(warm, 30_000));
const script = new URL("capture.py", import.meta.url).pathname;
const capture = spawn("python3", [script, String(payloadType), "10"], { stdio: ["ignore", "inherit", "inherit"] });
const code = await new Promise((ended) => capture.on("exit", ended));
await browser.close();
server.close();
process.exitCode = code;
