import { createSocket, type Socket } from "node:dgram";
import type { Page } from "@playwright/test";

/** How much is lost on a stretch of network, in percent. */
export interface Losses {
  /** From the browser to the server. */
  up: number;
  /** From the server to the browser. */
  down: number;
}

/** A stretch of network between one page and the server's media. */
export interface Road {
  losses: Losses;
  close: () => void;
}

/** The first byte of RTP and RTCP (RFC 7983): connectivity checks and the handshake pass. */
const isMedia = (datagram: Buffer) => (datagram[0] ?? 0) >= 128 && (datagram[0] ?? 0) <= 191;

/**
 * Leads the page's media over a road that loses packets: the answers that reach it name the road's entrance in place of the server's
 * address. To be called before the page is opened.
 */
export async function openRoad(page: Page, losses: Losses): Promise<Road> {
  const sockets: Socket[] = [];
  const road: Road = {
    losses,
    close: () => {
      for (const socket of sockets) socket.close();
      sockets.length = 0;
    },
  };
  const entrances = new Map<string, Promise<number>>();
  const entrance = async (address: string, port: number): Promise<number> => {
    const [near, far] = [createSocket("udp4"), createSocket("udp4")];
    sockets.push(near, far);
    let browser: { address: string; port: number } | null = null;
    const passes = (datagram: Buffer, percent: number) =>
      !isMedia(datagram) || Math.random() * 100 >= percent;
    near.on("message", (datagram, from) => {
      browser = from;
      if (passes(datagram, road.losses.up)) far.send(datagram, port, address);
    });
    far.on("message", (datagram) => {
      if (browser && passes(datagram, road.losses.down)) near.send(datagram, browser.port, browser.address);
    });
    await new Promise<void>((resolve) => near.bind(0, "0.0.0.0", resolve));
    return near.address().port;
  };
  const led = async (sdp: string): Promise<string> => {
    const lines: string[] = [];
    for (const line of sdp.split("\r\n")) {
      const words = line.split(" ");
      if (!line.startsWith("a=candidate:")) lines.push(line);
      else if (words[2]?.toLowerCase() === "udp") {
        const [address, port] = [words[4] ?? "", words[5] ?? ""];
        const known = entrances.get(`${address} ${port}`) ?? entrance(address, Number(port));
        entrances.set(`${address} ${port}`, known);
        words[5] = String(await known);
        lines.push(words.join(" "));
      }
    }
    return lines.join("\r\n");
  };
  await page.routeWebSocket(/\/ws$/, (socket) => {
    const server = socket.connectToServer();
    socket.onMessage((message) => server.send(message));
    let before = Promise.resolve();
    server.onMessage((message) => {
      // In their order, also while an answer is changed.
      before = before.then(async () => {
        const frame = JSON.parse(String(message));
        if (frame.type !== "call.answer") return socket.send(message);
        frame.data.sdp = await led(frame.data.sdp);
        socket.send(JSON.stringify(frame));
      });
    });
  });
  return road;
}
