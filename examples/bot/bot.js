// A bot that answers `!ping`, and prints what a webhook tells it. See docs/bots.md.
//
//   PARLOR_URL      the server's address, such as https://parlor.example.org
//   PARLOR_KEY      an API key with rooms:read, rooms:write, messages:read and messages:write
//   PARLOR_ROOM     the room's id
//   WEBHOOK_PORT, WEBHOOK_SECRET   where webhooks arrive, and what they are signed with; left out: none are taken

import { createHmac, randomUUID, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";
import WebSocket from "ws";

const { PARLOR_URL: url, PARLOR_KEY: key, PARLOR_ROOM: room, WEBHOOK_PORT: port, WEBHOOK_SECRET: secret } = process.env;
if (!url || !key || !room) throw new Error("PARLOR_URL, PARLOR_KEY and PARLOR_ROOM say what to do");

let position = {}; // The last event that was seen: where to go on after a lost connection.
let wait = 500;

// Whoever writes belongs to the room.
const joined = await fetch(`${url}/api/v1/rooms/${room}/join`, {
  method: "POST",
  headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
  body: "{}",
});
if (!joined.ok && joined.status !== 409) throw new Error(`the room cannot be joined: ${await joined.text()}`);

function connect() {
  const socket = new WebSocket(`${url.replace(/^http/, "ws")}/ws`);
  const send = (type, data) => socket.send(JSON.stringify({ type, id: randomUUID(), data }));
  let me;
  socket.on("open", () => send("authenticate", { token: key }));
  socket.on("message", (text) => {
    const { type, data, epoch, offset } = JSON.parse(text);
    if (epoch && offset) position = { epoch, offset };
    if (type === "authenticated") {
      me = data.user.id;
      send("join_room", { roomId: room, ...position });
    } else if (type === "room_state") {
      wait = 500;
      console.log("ready");
    } else if (type === "new_message" && data.message.content.text.trim() === "!ping" && data.message.sender.id !== me) {
      // The name of the answer follows from the question: a question that is seen twice is answered once.
      const answer = { clientId: `pong-${data.message.id}`, replyTo: data.message.id, content: { text: "pong" } };
      send("send_message", { roomId: room, ...answer });
    } else if (type === "token_expiring") {
      send("authenticate", { token: key });
    } else if (type === "error") {
      console.error(`${data.code}: ${data.message}`);
    }
  });
  socket.on("error", (error) => console.error(error.message));
  socket.on("close", (code) => {
    // Keys that are revoked (4401) and people who are banned do not come back.
    if (code === 4401 || code === 4403) process.exit(1);
    setTimeout(connect, wait + Math.random() * wait);
    wait = Math.min(wait * 2, 30_000);
  });
}
connect();

/** Whether a webhook is the server's: Standard Webhooks, HMAC-SHA256, no older than five minutes. */
function isSigned(headers, body) {
  const at = Number(headers["webhook-timestamp"]);
  if (!(Math.abs(Date.now() / 1000 - at) < 300)) return false;
  const hmac = createHmac("sha256", Buffer.from(secret.replace("whsec_", ""), "base64"));
  const expected = hmac.update(`${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`).digest();
  return String(headers["webhook-signature"])
    .split(" ")
    .filter((one) => one.startsWith("v1,"))
    .map((one) => Buffer.from(one.slice(3), "base64"))
    .some((given) => given.length === expected.length && timingSafeEqual(given, expected));
}

if (port && secret) {
  const seen = new Set(); // Events come at least once. A real receiver keeps their ids where they outlive it.
  createServer(async (request, response) => {
    const pieces = [];
    for await (const piece of request) pieces.push(piece);
    const body = Buffer.concat(pieces).toString();
    if (!isSigned(request.headers, body)) return response.writeHead(401).end();
    const id = request.headers["webhook-id"];
    if (!seen.has(id)) console.log(`webhook ${JSON.parse(body).type} ${id}`);
    seen.add(id);
    response.writeHead(204).end();
  }).listen(Number(port), "127.0.0.1");
}
