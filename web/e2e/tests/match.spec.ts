import { expect, test } from "../meeting.ts";
import type { Person } from "../person.ts";
import { ask, openDesk } from "../rest.ts";
import { WATCHFUL } from "../server.ts";
import { comeToMatch, glimpses, keepsLooking, met, search, searching, talksWith } from "../strangers.ts";

test.use({ settings: WATCHFUL });

/** Where the drawn one has her hair, and no word stands over the picture. */
const HAIR = { x: 0.3, y: 0.1, width: 0.4, height: 0.22 };

test("a Chromium and a Firefox stranger meet: blurred first, clear after the first sample; they write; next is told", async ({
  server,
  person,
}) => {
  test.setTimeout(180_000);
  const ada = await person("chromium", "ada", { id: 1, picture: "soft" });
  const bob = await person("firefox", "bob", { id: 2, picture: "soft" });
  for (const one of [ada, bob]) {
    await comeToMatch(server, one);
    await keepsLooking(one);
    await search(one);
  }
  await met(ada, bob);

  await test.step("nobody saw a picture that was not cleared", async () => {
    for (const one of [ada, bob]) {
      const seen = await glimpses(one);
      expect(seen[0], `${one.name}'s first look`).toMatchObject({ cleared: false, blurred: true });
      expect(seen.filter(({ cleared, blurred }) => !cleared && !blurred)).toEqual([]);
      expect(seen.at(-1)).toEqual({ shown: true, cleared: true, blurred: false });
    }
  });

  await test.step("what they write arrives, and there is no history of it", async () => {
    for (const one of [ada, bob]) await one.openChat();
    await ada.says("hello stranger");
    await bob.says("hello yourself");
    for (const one of [ada, bob]) await one.reads(["hello stranger", "hello yourself"]);
  });

  await test.step("accessible", async () => {
    await ada.isAccessible("a match");
  });

  await test.step("next: the other one is told, and can search again", async () => {
    await ada.page.getByTestId("next").click();
    await searching(ada);
    const ended = bob.page.getByTestId("match-ended");
    await expect(ended).toHaveAttribute("data-reason", "partner_next");
    await expect(bob.tile("ada")).toHaveCount(0);
    await bob.isAccessible("the end of a match");
  });

  await test.step("who has just been met is not met again, but somebody else is", async () => {
    await search(bob);
    await searching(bob);
    await searching(ada);
    const cleo = await person("chromium", "cleo", { id: 3, picture: "soft" });
    await comeToMatch(server, cleo);
    await search(cleo);
    // One of the two who had met before goes on waiting.
    await expect(cleo.page.getByTestId("match")).toHaveAttribute("data-state", "talking");
    const lucky = (await cleo.page.getByRole("heading", { level: 1 }).textContent())?.includes("ada")
      ? ada
      : bob;
    const other = lucky === ada ? bob : ada;
    await talksWith(lucky, cleo);
    await expect(other.page.getByTestId("match")).toHaveAttribute("data-state", /searching|timeout/);

    await cleo.page.getByTestId("stop").click();
    await expect(cleo.page.getByTestId("match")).toHaveAttribute("data-state", "idle");
    await expect(lucky.page.getByTestId("match-ended")).toHaveAttribute("data-reason", "partner_left");
  });
});

test("block ends the match for both, and holds: the two are kept apart while a third one is met", async ({
  server,
  person,
}) => {
  test.setTimeout(180_000);
  const dan = await person("chromium", "dan", { id: 4, picture: "soft" });
  const eve = await person("chromium", "eve", { id: 5, picture: "soft" });
  const fay = await person("firefox", "fay", { id: 6, picture: "soft" });
  for (const one of [dan, eve]) await comeToMatch(server, one);

  await test.step("who was blocked before is not met", async () => {
    // They never met: nothing but the block keeps them apart.
    const { user } = await eve.session();
    await ask(server, await dan.session(), "PUT", `/users/${user.id}/block`);
    for (const one of [dan, eve]) {
      await search(one);
      await searching(one);
    }
    await comeToMatch(server, fay);
    await search(fay);
    await expect(fay.page.getByTestId("match")).toHaveAttribute("data-state", "talking");
    await expect
      .poll(async () => {
        const states = await Promise.all(
          [dan, eve].map(({ page }) => page.getByTestId("match").getAttribute("data-state")),
        );
        return states.filter((state) => state === "talking").length;
      })
      .toBe(1);
  });

  await test.step("block is in sight, and ends it", async () => {
    const partner =
      (await dan.page.getByTestId("match").getAttribute("data-state")) === "talking" ? dan : eve;
    await met(fay, partner);
    await fay.page.getByTestId("block").click();
    await expect(fay.page.getByTestId("match-ended")).toHaveAttribute("data-reason", "blocked");
    await expect(partner.page.getByTestId("match-ended")).toBeVisible();
    const { blocks } = await ask<{ blocks: { nickname: string }[] }>(
      server,
      await fay.session(),
      "GET",
      "/users/me/blocks",
    );
    expect(blocks.map(({ nickname }) => nickname)).toEqual([partner.name]);
    for (const one of [dan, eve, fay]) await leaveSearch(one);
  });
});

test("a drawing stays blurred for the stranger, and is a case; the moderator ends it", async ({
  server,
  person,
}) => {
  test.setTimeout(180_000);
  const gus = await person("chromium", "gus", { id: 7, picture: "soft" });
  const dora = await person("chromium", "dora", { id: 8, picture: "drawing" });
  const mona = await person("chromium", "mona", { id: 9 });
  for (const one of [gus, dora]) {
    await comeToMatch(server, one);
    await keepsLooking(one);
    await search(one);
  }
  await talksWith(gus, dora);
  await expect(gus.tile("dora")).toHaveAttribute("data-shown", "true");
  await expect(dora.tile("gus")).toHaveAttribute("data-cleared", "true");
  await mona.enter(server.url);
  await openDesk(server, mona);
  const row = mona.page.locator("[data-testid=case][data-subject=dora]");
  await expect(row).toContainText("Drawing");

  await test.step("in pixels: the drawing cannot be made out", async () => {
    const tile = gus.tile("dora");
    await expect(tile).toHaveAttribute("data-cleared", "false");
    expect(await tile.locator("video").evaluate((video) => getComputedStyle(video).filter)).toContain("blur");
    expect((await glimpses(gus)).filter(({ cleared, blurred: hidden }) => cleared || !hidden)).toEqual([]);
    const blurred = await gus.looksLike(tile, HAIR);
    // The stylesheet's blur taken away shows what it hides.
    await tile.locator("video").evaluate((video) => video.classList.remove("veiled"));
    const plain = await gus.looksLike(tile, HAIR);
    expect(blurred.edge).toBeLessThan(plain.edge / 3);
    await tile.locator("video").evaluate((video) => video.classList.add("veiled"));
  });

  await test.step("removed by the moderator: both are told that it is over", async () => {
    await row.click();
    await mona.page.getByTestId("action-remove").click();
    await mona.types("reason", "Drawings are not for strangers");
    await mona.page.getByTestId("confirm").click();
    await expect(mona.page.getByTestId("done")).toBeVisible();
    await expect(gus.page.getByTestId("match-ended")).toHaveAttribute("data-reason", "violation");
    await expect(dora.page.getByTestId("match-ended")).toHaveAttribute("data-reason", "violation");
  });
});

test("the page where strangers meet is accessible, and fits a telephone", async ({ server, person }) => {
  const viewport = { width: 360, height: 740 };
  const ida = await person("chromium", "ida", { id: 10, viewport, colorScheme: "dark", picture: "soft" });
  const jon = await person("chromium", "jon", { id: 11, picture: "soft" });
  await comeToMatch(server, ida);
  await ida.isAccessible("the wishes");
  await ida.fits("the wishes");
  await ida.page.getByTestId("confirm").check();
  await search(ida);
  await searching(ida);
  await ida.isAccessible("the search");
  await ida.fits("the search");
  await comeToMatch(server, jon);
  await search(jon);
  for (const one of [ida, jon])
    await expect(one.page.getByTestId("match")).toHaveAttribute("data-state", "found");
  await ida.isAccessible("somebody found");
  await ida.fits("somebody found");
  for (const one of [ida, jon]) await one.page.getByTestId("accept").click();
  await met(ida, jon);
  await ida.fits("a match");
  await ida.isAccessible("a match on a telephone");
  for (const control of ["next", "stop", "report", "block", "microphone", "camera", "chat"]) {
    const box = await ida.page.getByTestId(control).boundingBox();
    expect(box, control).not.toBeNull();
    if (!box) continue;
    expect(box.x, control).toBeGreaterThanOrEqual(0);
    expect(box.x + box.width, control).toBeLessThanOrEqual(viewport.width);
    expect(box.y + box.height, control).toBeLessThanOrEqual(viewport.height);
  }
  await jon.page.close();
  await expect(ida.page.getByTestId("match-ended")).toHaveAttribute("data-reason", /partner_l/);
  await ida.fits("the end");
});

/** Whoever still searches would meet the people of the next test. */
async function leaveSearch({ page }: Person): Promise<void> {
  const state = await page.getByTestId("match").getAttribute("data-state");
  if (state === "searching") await page.getByTestId("stop").click();
  else if (state === "ended" || state === "timeout") await page.getByTestId("change").click();
  await expect(page.getByTestId("match")).toHaveAttribute("data-state", "idle");
}
