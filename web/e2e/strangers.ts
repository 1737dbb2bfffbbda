import { expect } from "./browsers.ts";
import type { Person } from "./person.ts";
import type { Server } from "./server.ts";

/** What was seen of the stranger's tile, one after the other: whether a picture was shown, and whether it was blurred. */
export interface Glimpse {
  shown: boolean;
  cleared: boolean;
  blurred: boolean;
}

/** Enters and comes to the page where strangers meet. */
export async function comeToMatch(server: Server, person: Person): Promise<void> {
  await person.enter(`${server.url}/match`);
  await expect(person.page.getByTestId("match")).toHaveAttribute("data-state", "idle");
}

/** Searches, from wherever one is on that page. */
export async function search(person: Person): Promise<void> {
  await person.page.getByTestId("start").click();
  await expect(person.page.getByTestId("match")).toHaveAttribute("data-state", /searching|found|talking/);
}

export async function searching(person: Person): Promise<void> {
  await expect(person.page.getByTestId("match")).toHaveAttribute("data-state", "searching");
  // The server has the ticket, so it could have paired.
  await expect(person.page.getByTestId("stage")).not.toHaveAttribute("data-stage", "");
}

/** Talks with exactly this one. */
export async function talksWith(person: Person, partner: Person): Promise<void> {
  await expect(person.page.getByTestId("match")).toHaveAttribute("data-state", "talking");
  await expect(person.page.getByRole("heading", { level: 1 })).toContainText(partner.name);
}

/** Both see and hear each other clearly. */
export async function met(a: Person, b: Person): Promise<void> {
  for (const [one, other] of [
    [a, b],
    [b, a],
  ] as const) {
    await talksWith(one, other);
    await expect(one.tile(other.name)).toHaveAttribute("data-cleared", "true");
    await one.sees(other.name, other.id);
    await one.hears(other.name, other.id);
  }
}

/** Looks at every frame of the page from now on, so that nothing between two looks of the test is missed. */
export async function keepsLooking(person: Person): Promise<void> {
  await person.page.evaluate(() => {
    const glimpses: Glimpse[] = [];
    Object.assign(globalThis, { glimpses });
    const look = () => {
      const tile = document.querySelector<HTMLElement>(
        "[data-testid=tile][data-source=camera]:not([data-self])",
      );
      const video = tile?.querySelector("video");
      if (tile && video) {
        const glimpse = {
          shown: tile.dataset.shown === "true",
          cleared: tile.dataset.cleared === "true",
          blurred: getComputedStyle(video).filter.includes("blur"),
        };
        if (JSON.stringify(glimpses.at(-1)) !== JSON.stringify(glimpse)) glimpses.push(glimpse);
      }
    };
    const always = () => {
      look();
      requestAnimationFrame(always);
    };
    always();
    // A busy browser leaves frames out, and what was there between two of them counts as well.
    new MutationObserver(look).observe(document, { subtree: true, childList: true, attributes: true });
  });
}

export function glimpses(person: Person): Promise<Glimpse[]> {
  return person.page.evaluate(() => (globalThis as unknown as { glimpses: Glimpse[] }).glimpses);
}
