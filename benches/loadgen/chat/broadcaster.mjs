// A minimal broadcaster on Node's `ws`: whatever one says goes to everybody. What `fanout_vs_node_ws` compares with.
import { WebSocketServer } from "../../../web/node_modules/ws/wrapper.mjs";

const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false });
server.on("connection", (socket) => {
  socket.on("message", (text) => {
    for (const client of server.clients) client.send(text, { binary: false });
  });
});
server.on("listening", () => console.log(`127.0.0.1:${server.address().port}`));
