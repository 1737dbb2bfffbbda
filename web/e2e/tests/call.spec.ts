import type { Kind } from "../browsers.ts";
import { expect, meet, seeAndHearEachOther, test } from "../meeting.ts";

const pairs: [string, Kind, Kind][] = [
  ["two Chromium", "chromium", "chromium"],
  ["two Firefox", "firefox", "firefox"],
];

for (const [title, first, second] of pairs) {
  test(`${title} see and hear each other`, async ({ server, person }) => {
    const people = [await person(first, "ada", { id: 1 }), await person(second, "bob", { id: 2 })];
    await meet(server, people);
    await seeAndHearEachOther(people);
  });
}

test("four in mixed browsers: each sees each other's own picture and hears their tone; one leaves and rejoins; one mutes; one shares", async ({
  server,
  person,
}) => {
  const ada = await person("chromium", "ada", { id: 1, screenId: 41 });
  const bob = await person("chromium", "bob", { id: 2 });
  const cleo = await person("chromium", "cleo", { id: 3 });
  const dan = await person("firefox", "dan", { id: 4 });
  const people = [ada, bob, cleo, dan];
  const link = await meet(server, people);
  await seeAndHearEachOther(people);

  await test.step("who makes a sound is marked", async () => {
    for (const name of ["bob", "dan"]) await expect(ada.tile(name)).toHaveAttribute("data-speaking", "true");
  });

  await test.step("nobody's coming renegotiated anybody", async () => {
    for (const { page, name } of people) {
      expect(await page.evaluate(() => globalThis.__media.offers), `offers of ${name}`).toBe(1);
    }
  });

  await test.step("one leaves and rejoins", async () => {
    await cleo.page.getByTestId("leave").click();
    for (const other of [ada, bob, dan]) await expect(other.tile("cleo")).toHaveCount(0);
    await cleo.page.getByTestId("rejoin").click();
    await cleo.join();
    expect(cleo.page.url()).toBe(link);
    await seeAndHearEachOther(people);
    for (const { page } of [ada, bob, dan])
      expect(await page.evaluate(() => globalThis.__media.offers)).toBe(1);
  });

  await test.step("one mutes, and is heard again", async () => {
    await bob.page.getByTestId("microphone").click();
    for (const other of [ada, cleo, dan]) {
      await other.hearsNot("bob", 2);
      await expect(other.tile("bob")).toHaveAccessibleName("bob, microphone off");
    }
    await dan.hears("ada", 1);
    await bob.page.getByTestId("microphone").click();
    for (const other of [ada, cleo, dan]) await other.hears("bob", 2);
  });

  await test.step("one turns the camera off and on, and switches to another", async () => {
    await bob.page.getByTestId("camera").click();
    for (const other of [ada, cleo, dan])
      await expect(other.tile("bob")).toHaveAttribute("data-shown", "false");
    await bob.page.getByTestId("camera").click();
    for (const other of [ada, cleo, dan]) await other.sees("bob", 2);
    await bob.page.getByTestId("devices").click();
    await bob.page.getByTestId("choose-camera").selectOption("camera-2");
    for (const other of [ada, dan]) {
      await expect.poll(async () => (await other.looksAt("bob"))?.id).toBe(18);
    }
    await bob.page.keyboard.press("Escape");
  });

  await test.step("a share is seen, large, and ends", async () => {
    await ada.page.getByTestId("share").click();
    for (const other of [bob, cleo, dan]) {
      await other.sees("ada", 41, { source: "screen", frames: 4 });
      const [screen, camera] = [
        await other.tile("ada", "screen").boundingBox(),
        await other.tile("ada").boundingBox(),
      ];
      expect(screen?.width ?? 0).toBeGreaterThan(3 * (camera?.width ?? Number.POSITIVE_INFINITY));
    }
    await ada.page.getByTestId("share").click();
    for (const other of [bob, cleo, dan]) await expect(other.tile("ada", "screen")).toHaveCount(0);
  });
});

test("the host mutes a track and removes a participant", async ({ server, person }) => {
  const host = await person("chromium", "host", { id: 5 });
  const guest = await person("chromium", "guest", { id: 6 });
  const link = await meet(server, [host, guest]);
  await seeAndHearEachOther([host, guest]);

  await host.page.getByTestId("people").click();
  const actions = host.page
    .locator('[data-testid=person][data-nickname="guest"]')
    .getByTestId("person-actions");
  await actions.click();
  await host.page.getByTestId("mute-microphone").click();
  await host.hearsNot("guest", 6);
  await expect(guest.page.getByTestId("notice")).toHaveText("The host muted your microphone.");
  // The guest's page goes on sending; it is the server that drops.
  await host.sees("guest", 6);
  await actions.click();
  await host.page.getByTestId("mute-microphone").click();
  await host.hears("guest", 6);

  // The guest has no such rights.
  await guest.page.getByTestId("people").click();
  await expect(guest.page.getByTestId("person")).toHaveCount(2);
  await expect(guest.page.getByTestId("person-actions")).toHaveCount(0);

  await actions.click();
  await host.page.getByTestId("remove").click();
  await host.types("remove-reason", "Enough for today");
  await host.page.getByTestId("remove-confirm").click();
  await expect(guest.page.getByTestId("ended")).toContainText("Enough for today");
  await expect(host.tile("guest")).toHaveCount(0);
  await expect(host.page.getByTestId("person")).toHaveCount(1);
  await guest.page.goto(link);
  await expect(guest.page.getByRole("alert")).toBeVisible();
  await expect(guest.page.getByTestId("join")).toHaveCount(0);
  // The refusal is a 403, which the browser notes by itself.
  guest.complaints.length = 0;
});

test("a larger tile gets a larger layer", async ({ server, person }) => {
  const publisher = await person("chromium", "wide", { id: 7, width: 1280, height: 720, fps: 10 });
  const viewer = await person("chromium", "viewer", { id: 8, viewport: { width: 1400, height: 900 } });
  await meet(server, [publisher, viewer]);
  const widths = async () => (await viewer.sees("wide", 7, { frames: 3 })).width;
  // Alone with oneself, the grid has two large tiles.
  await expect.poll(widths).toBeGreaterThanOrEqual(640);
  await viewer.page.setViewportSize({ width: 360, height: 420 });
  await expect.poll(widths).toBeLessThanOrEqual(360);
  await viewer.page.setViewportSize({ width: 1900, height: 1000 });
  await viewer.page.getByTestId("close-panel").click();
  await expect.poll(widths).toBe(1280);
});
