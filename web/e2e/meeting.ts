import type { Browser } from "@playwright/test";
import { test as base, expect, type Kind } from "./browsers.ts";
import { Person } from "./person.ts";
import { type Server, type Settings, startServer } from "./server.ts";

type Options = Parameters<typeof Person.open>[3];

interface Meeting {
  /** The server of this test file. */
  server: Server;
  /** Opens a browser for somebody; it is closed, and must have had nothing to complain of, when the test ends. */
  person: (kind: Kind, name: string, options: Options) => Promise<Person>;
}

interface Worker {
  browsers: (kind: Kind) => Promise<Browser>;
  /** How the server of a test file is set; files that set it alike share one. */
  settings: Settings;
  shared: Server;
}

export const test = base.extend<Meeting, Worker>({
  settings: [{}, { option: true, scope: "worker" }],
  shared: [
    async ({ settings }, use) => {
      const server = await startServer(settings);
      await use(server);
      await server.stop();
    },
    { scope: "worker", timeout: 60_000 },
  ],
  server: async ({ shared }, use, info) => {
    const before = shared.output().length;
    await use(shared);
    if (info.status !== info.expectedStatus)
      process.stdout.write(`${shared.output().slice(before).split("\n").slice(-40).join("\n")}\n`);
  },
  person: async ({ browsers }, use) => {
    const people: Person[] = [];
    await use(async (kind, name, options) => {
      const person = await Person.open(await browsers(kind), kind, name, options);
      people.push(person);
      return person;
    });
    for (const person of people) await person.close();
    for (const { name, complaints } of people)
      expect(complaints, `the page of ${name} complains`).toEqual([]);
  },
});

/** Everybody joins the room that the first one makes. Ids and names are those of the people. */
export async function meet(server: Server, people: Person[], room = "The call"): Promise<string> {
  const [host, ...guests] = people;
  if (!host) throw new Error("a meeting needs somebody");
  await host.enter(server.url);
  const link = await host.createRoom(room);
  await host.join();
  for (const guest of guests) {
    await guest.enter(link);
    await guest.join();
  }
  return link;
}

/** Each one sees and hears each other one. */
export async function seeAndHearEachOther(people: Person[]): Promise<void> {
  for (const viewer of people) {
    for (const other of people) {
      if (other === viewer) continue;
      await viewer.sees(other.name, other.id);
      await viewer.hears(other.name, other.id);
    }
  }
}

export { expect } from "./browsers.ts";
