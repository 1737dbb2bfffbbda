import { execFileSync } from "node:child_process";
import { expect, seeAndHearEachOther, test } from "../meeting.ts";
import type { Person } from "../person.ts";

// scripts/networks starts this where these are the machine's only addresses, and the server is elsewhere.
const BEFORE = "10.77.0.2";
const AFTER = "10.77.0.3";

declare global {
  /** Every connection of the page. */
  var __calls: RTCPeerConnection[];
}

function keepConnections(): void {
  const Free = RTCPeerConnection;
  globalThis.__calls = [];
  globalThis.RTCPeerConnection = class extends Free {
    constructor(configuration?: RTCConfiguration) {
      super(configuration);
      globalThis.__calls.push(this);
    }
  };
}

/** How many connections the page has made, and the address that its media leaves from. */
function line(person: Person): Promise<{ made: number; from: string }> {
  return person.page.evaluate(async () => {
    const connection = globalThis.__calls.at(-1);
    const stats = connection ? [...(await connection.getStats()).values()] : [];
    const transport = stats.find((entry) => entry.type === "transport");
    const pair = stats.find((entry) => entry.id === transport?.selectedCandidatePairId);
    const local = stats.find((entry) => entry.id === pair?.localCandidateId);
    return { made: globalThis.__calls.length, from: local?.address ?? "" };
  });
}

function ip(...words: string[]): void {
  execFileSync("ip", words);
}

test("two Chromium whose addresses change stay in the call", async ({ server, person }) => {
  const way = await server.line();
  const people = [await person("chromium", "ada", { id: 1 }), await person("chromium", "bob", { id: 2 })];
  const [ada, bob] = people as [Person, Person];
  for (const { page } of people) await page.context().addInitScript(keepConnections);
  await ada.enter(way.url);
  const link = await ada.createRoom("On the way");
  await ada.join();
  await bob.enter(link);
  await bob.join();
  await seeAndHearEachOther(people);
  for (const one of people) await expect.poll(() => line(one)).toEqual({ made: 1, from: BEFORE });

  // The sockets are gone with the address, as on a telephone that leaves the house.
  way.cut();
  ip("address", "del", `${BEFORE}/24`, "dev", "wire");
  ip("address", "add", `${AFTER}/24`, "dev", "wire");
  ip("route", "replace", "default", "via", "10.77.0.1", "dev", "wire");
  way.mend();

  // The same connections, from the new address, and nobody twice.
  for (const one of people) {
    await expect.poll(() => line(one), { timeout: 40_000 }).toEqual({ made: 1, from: AFTER });
    one.complaints.length = 0;
  }
  await seeAndHearEachOther(people);
  await expect(ada.tile("bob")).toHaveCount(1);
  await expect(bob.tile("ada")).toHaveCount(1);
});
