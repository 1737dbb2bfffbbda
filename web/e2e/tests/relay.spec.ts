import type { Kind } from "../browsers.ts";
import { expect, meet, seeAndHearEachOther, test } from "../meeting.ts";
import type { Person } from "../person.ts";

test.use({ settings: { relay: true } });

type Transport = "udp" | "tcp";

declare global {
  /** Every connection of the page, for a look at its statistics. */
  var __connections: RTCPeerConnection[];
}

/** Lets a page use nothing but the relay, by one transport: as if its network blocked everything else. */
function onlyRelay(transport: Transport): void {
  const Free = RTCPeerConnection;
  globalThis.__connections = [];
  globalThis.RTCPeerConnection = class extends Free {
    constructor(configuration: RTCConfiguration = {}) {
      const iceServers = (configuration.iceServers ?? [])
        .map((server) => ({
          ...server,
          urls: [server.urls]
            .flat()
            .filter((url) => url.startsWith("turn:") && url.endsWith(`=${transport}`)),
        }))
        .filter(({ urls }) => urls.length > 0);
      super({ ...configuration, iceServers, iceTransportPolicy: "relay" });
      globalThis.__connections.push(this);
    }
  };
}

/** What the page's own candidate of the pair that carries the media is. */
function selected(person: Person): Promise<{ type: string; transport: string } | null> {
  return person.page.evaluate(async () => {
    const connection = globalThis.__connections.at(-1);
    if (!connection) return null;
    const stats = [...(await connection.getStats()).values()];
    const pair = stats.find(
      (entry) => entry.type === "candidate-pair" && entry.nominated && entry.bytesReceived > 0,
    );
    const local = stats.find((entry) => entry.id === pair?.localCandidateId);
    return local ? { type: local.candidateType, transport: local.relayProtocol } : null;
  });
}

const ways: [Kind, Transport][] = [
  ["chromium", "udp"],
  ["chromium", "tcp"],
  ["firefox", "udp"],
  ["firefox", "tcp"],
];

for (const [kind, transport] of ways) {
  test(`a ${kind} that reaches nothing but the relay over ${transport} is in the call`, async ({
    server,
    person,
  }) => {
    const ada = await person(kind, "ada", { id: 1 });
    const bob = await person("chromium", "bob", { id: 2 });
    await ada.page.context().addInitScript(onlyRelay, transport);
    await meet(server, [ada, bob]);
    await seeAndHearEachOther([ada, bob]);
    await expect.poll(() => selected(ada)).toEqual({ type: "relay", transport });
  });
}
