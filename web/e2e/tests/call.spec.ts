import type { Kind } from "../browsers.ts";
import { crowd } from "../crowd.ts";
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
  test.setTimeout(300_000);
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

  // The guest has no such rights: anybody may report and block, and no more.
  await guest.page.getByTestId("people").click();
  await expect(guest.page.getByTestId("person")).toHaveCount(2);
  const mayDo = async () => {
    await guest.page.getByTestId("person-actions").click();
    await expect(guest.page.getByRole("menuitem")).toHaveText(["Report", "Block"]);
    await guest.page.keyboard.press("Escape");
  };
  await mayDo();

  // A moderator has some, but none over the host.
  await actions.click();
  await host.page.getByTestId("set-role").click();
  await expect(guest.page.locator('[data-testid=person][data-nickname="guest"]')).toHaveAttribute(
    "data-role",
    "moderator",
  );
  await mayDo();

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
  // A browser raises its bitrate step by step, and the largest layer only when the machine keeps up.
  const width = () =>
    expect.poll(async () => (await viewer.sees("wide", 7, { frames: 3 })).width, { timeout: 60_000 });
  await width().toBeGreaterThanOrEqual(640);
  await viewer.page.setViewportSize({ width: 360, height: 420 });
  await width().toBeLessThanOrEqual(360);
  await viewer.page.setViewportSize({ width: 1900, height: 1000 });
  await viewer.page.getByTestId("close-panel").click();
  await width().toBeGreaterThanOrEqual(960);
});

test("a layout of more than nine tiles gets more slots by one more offer", async ({ server, person }) => {
  const viewer = await person("chromium", "viewer", { id: 15, viewport: { width: 1400, height: 900 } });
  const guests = await person("chromium", "guests", { id: 14 });
  const link = await meet(server, [viewer]);
  await guests.page.goto(server.url);
  const ids = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
  await crowd(guests, new URL(link).pathname.replace("/r/", ""), ids);
  for (const id of ids) await viewer.sees(`guest${id}`, id, { frames: 3 });
  expect(await viewer.page.evaluate(() => globalThis.__media.offers)).toBe(2);
});

test("after a restart of the server everybody is back in the call, and the chat with them", async ({
  server,
  person,
}) => {
  const people = [await person("chromium", "ada", { id: 1 }), await person("firefox", "bob", { id: 2 })];
  const [ada, bob] = people as [(typeof people)[0], (typeof people)[0]];
  await meet(server, people);
  for (const one of people) await one.openChat();
  await ada.says("before");
  await bob.reads(["before"]);
  await server.restart();
  for (const one of people) await one.connected();
  await seeAndHearEachOther(people);
  await bob.says("after");
  for (const one of people) await one.reads(["before", "after"]);
  // A browser says of a refused connection in the console what it is; that is this test's doing.
  for (const one of people) one.complaints.length = 0;
});

for (const kind of ["chromium", "firefox"] as const) {
  test(`a failed connection is mended by new ICE credentials in ${kind}`, async ({ server, person }) => {
    const ada = await person(kind, "ada", { id: 1 });
    const bob = await person("chromium", "bob", { id: 2 });
    await meet(server, [ada, bob]);
    await ada.sees("bob", 2);
    const credentials = () => ada.page.evaluate(() => globalThis.__media.usernames());
    const before = await credentials();
    await ada.page.evaluate(() => globalThis.__media.failConnections());
    await expect.poll(() => ada.page.evaluate(() => globalThis.__media.offers)).toBe(2);
    await ada.connected();
    expect(await credentials()).not.toEqual(before);
    await ada.sees("bob", 2);
    await bob.sees("ada", 1);
    await ada.hears("bob", 2);
    expect(await ada.page.evaluate(() => globalThis.__media.offers)).toBe(2);
  });
}
