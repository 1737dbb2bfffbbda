import type { Kind } from "../browsers.ts";
import { expect, test } from "../meeting.ts";
import type { Person } from "../person.ts";
import type { Server } from "../server.ts";

interface Wanted {
  visibility?: "public" | "unlisted" | "private";
  asking?: boolean;
  pin?: string;
}

/** Makes a group by the dialog, and is in it. */
async function makeGroup(server: Server, who: Person, name: string, wanted: Wanted = {}): Promise<string> {
  const { page } = who;
  await page.goto(server.url);
  await page.getByTestId("create-room").click();
  await who.types("room-name", name);
  await page.getByTestId("kind-group").check();
  await page.getByTestId(`visibility-${wanted.visibility ?? "public"}`).check();
  if (wanted.asking || wanted.pin) await page.getByTestId("create-more").click();
  if (wanted.asking) await page.getByTestId("create-asking").check();
  if (wanted.pin) await who.types("create-pin", wanted.pin);
  await page.getByTestId("create-submit").click();
  await expect(page.getByTestId("room-title")).toHaveText(name);
  return page.url();
}

async function openTab(who: Person, tab: string): Promise<void> {
  if (await who.page.getByTestId("tab-people").isHidden()) await who.page.getByTestId("about").click();
  await who.page.getByTestId(`tab-${tab}`).click();
}

/** Opens the menu about somebody in the list of members. */
async function about(who: Person, name: string): Promise<void> {
  await who.page
    .locator(`[data-testid=member][data-nickname="${name}"]`)
    .getByTestId("member-actions")
    .click();
}

for (const [one, other] of [
  ["chromium", "firefox"],
  ["firefox", "chromium"],
] as const satisfies [Kind, Kind][]) {
  test(`into a private room of ${one} one comes by a link, in ${other}`, async ({ server, person }) => {
    const ada = await person(one, `ada-${one}`, { id: 1 });
    const bob = await person(other, `bob-${other}`, { id: 2 });
    await ada.enter(server.url);
    const room = await makeGroup(server, ada, `Back room ${one}`, { visibility: "private" });
    await bob.enter(room);
    await expect(bob.page.getByTestId("not-found")).toBeVisible();
    await openTab(ada, "invites");
    await ada.page.getByTestId("invite-uses").selectOption("1");
    await ada.page.getByTestId("invite-make").click();
    const link = await ada.page.getByTestId("invite-link").inputValue();
    await ada.isAccessible("the invitations");

    await bob.page.goto(link);
    await expect(bob.page.getByTestId("accept-invite")).toBeVisible();
    await bob.isAccessible("an invitation");
    await bob.page.getByTestId("accept-invite").click();
    await expect(bob.page.getByTestId("room-title")).toHaveText(`Back room ${one}`);
    await bob.says("Thank you");
    for (const each of [ada, bob]) await each.reads(["Thank you"]);

    // The link was for one.
    const eve = await person("chromium", `eve-${one}`, { id: 3 });
    await eve.enter(link);
    await eve.page.getByTestId("accept-invite").click();
    await expect(eve.page.getByRole("alert")).toBeVisible();
    for (const each of [bob, eve]) each.complaints.length = 0;
  });

  test(`in ${other} one asks, gives a PIN, and is told of kick and ban in words`, async ({
    server,
    person,
  }) => {
    const ada = await person(one, `ora-${one}`, { id: 1 });
    const bob = await person(other, `ben-${other}`, { id: 2 });
    await ada.enter(server.url);

    await test.step("who asks waits, and is let in while the page is open", async () => {
      const room = await makeGroup(server, ada, `Knock ${one}`, { asking: true });
      await bob.enter(room);
      await bob.types("ask-note", "I am ben");
      await bob.isAccessible("the door");
      await bob.page.getByTestId("ask").click();
      await expect(bob.page.getByTestId("ask-pending")).toBeVisible();
      await openTab(ada, "requests");
      const asked = ada.page.getByTestId("join-request");
      await expect(asked).toContainText("I am ben");
      await ada.isAccessible("who asks");
      await asked.getByTestId("let-in").click();
      await expect(bob.page.getByTestId("log")).toBeVisible();
    });

    const room = await makeGroup(server, ada, `Locked ${one}`, { pin: "2468" });
    await test.step("a wrong PIN is said to be wrong", async () => {
      await bob.page.goto(room);
      await bob.types("door-pin", "1357");
      await bob.page.getByTestId("door-join").click();
      await expect(bob.page.getByRole("alert")).toContainText("PIN");
      await bob.types("door-pin", "2468");
      await bob.page.getByTestId("door-join").click();
      await expect(bob.page.getByTestId("log")).toBeVisible();
    });

    await test.step("who is kicked reads why, and may come back", async () => {
      await openTab(ada, "people");
      await about(ada, bob.name);
      await ada.page.getByTestId("kick").click();
      await ada.types("measure-reason", "Please calm down");
      await ada.isAccessible("a kick");
      await ada.page.getByTestId("measure-take").click();
      await expect(bob.page.getByTestId("room-out")).toContainText("Please calm down");
      await bob.isAccessible("put out");
      await bob.page.getByTestId("room-again").click();
      await bob.types("door-pin", "2468");
      await bob.page.getByTestId("door-join").click();
      await expect(bob.page.getByTestId("log")).toBeVisible();
    });

    await test.step("who is banned reads why, and stays out until it is lifted", async () => {
      await about(ada, bob.name);
      await ada.page.getByTestId("ban").click();
      await ada.types("measure-reason", "Not again");
      await ada.page.getByTestId("measure-take").click();
      await expect(bob.page.getByTestId("room-out")).toContainText("Not again");
      await bob.page.getByTestId("room-again").click();
      await expect(bob.page.getByRole("alert")).toBeVisible();
      await openTab(ada, "bans");
      await ada.page.getByTestId("outcast").getByTestId("readmit").click();
      await expect(ada.page.getByTestId("outcast")).toHaveCount(0);
      await bob.page.reload();
      await expect(bob.page.getByTestId("door-pin")).toBeVisible();
    });
    for (const each of [ada, bob]) each.complaints.length = 0;
  });
}

test("two who change a room's settings at once do not overwrite each other", async ({ server, person }) => {
  const ada = await person("chromium", "ada-s", { id: 1 });
  await ada.enter(server.url);
  const room = await makeGroup(server, ada, "Settings");
  await openTab(ada, "settings");
  await ada.isAccessible("the settings");
  // The same person in another tab stands for anybody.
  const tab = await ada.page.context().newPage();
  await tab.goto(room);
  await tab.getByTestId("about").click();
  await tab.getByTestId("tab-settings").click();
  await tab.getByTestId("settings-name").fill("Another name");
  await tab.getByTestId("settings-save").click();
  await expect(tab.getByTestId("notice")).toContainText("saved");
  await ada.page.getByTestId("settings-slow").selectOption("30");
  await ada.page.getByTestId("settings-save").click();
  await expect(ada.page.getByTestId("settings-problem")).toBeVisible();
  await expect(ada.page.getByTestId("settings-name")).toHaveValue("Another name");
  await expect(ada.page.getByTestId("settings-slow")).toHaveValue("30");
  await ada.page.getByTestId("settings-save").click();
  await expect(ada.page.getByTestId("notice")).toContainText("saved");
  await expect(ada.page.getByTestId("room-title")).toHaveText("Another name");
  await tab.close();
  ada.complaints.length = 0;
});

test("an archived room is read, and nobody writes in it; its owner takes it out again", async ({
  server,
  person,
}) => {
  const ada = await person("chromium", "ada-a", { id: 1 });
  await ada.enter(server.url);
  await makeGroup(server, ada, "Old papers");
  await ada.says("Kept");
  await ada.reads(["Kept"]);
  await openTab(ada, "settings");
  await ada.page.getByTestId("archive-room").click();
  await ada.page.getByTestId("end-confirm").click();
  await expect(ada.page.getByTestId("archived")).toBeVisible();
  await ada.reads(["Kept"]);
  await ada.isAccessible("an archived room");
  await ada.page.getByTestId("restore-room").click();
  await expect(ada.page.getByTestId("archived")).toBeHidden();
  await ada.page.getByTestId("delete-room").click();
  await ada.page.getByTestId("end-confirm").click();
  await expect(ada.page.getByTestId("create-room")).toBeVisible();
  await expect(ada.page.locator('[data-testid=my-room][data-name="Old papers"]')).toHaveCount(0);
  ada.complaints.length = 0;
});

test("rooms are found by words and kind, from a page 360 pixels wide, in the dark", async ({
  server,
  person,
}) => {
  const viewport = { width: 360, height: 740 };
  const ada = await person("chromium", "ada-d", { id: 1 });
  const bob = await person("chromium", "bob-d", { id: 2, viewport, colorScheme: "dark" });
  await ada.enter(server.url);
  await makeGroup(server, ada, "Zebra watchers");
  await bob.enter(server.url);
  await bob.page.getByTestId("go-rooms").click();
  await bob.types("room-search", "zebra");
  const found = bob.page.getByTestId("room");
  await expect(found).toHaveCount(1);
  await bob.fits("the directory");
  await bob.isAccessible("the directory");
  await bob.page.getByTestId("room-kind").selectOption("forum");
  await expect(found).toHaveCount(0);
  await bob.page.getByTestId("room-kind").selectOption("group");
  await found.getByTestId("room-join").click();
  await bob.fits("the door");
  await bob.page.getByTestId("door-join").click();
  await bob.says("Stripes");
  await ada.reads(["Stripes"]);
  await bob.fits("the room");
  await bob.isAccessible("the room");
  await bob.page.getByTestId("about").click();
  await expect(bob.page.getByTestId("member")).toHaveCount(2);
  await bob.fits("its people");
  await bob.isAccessible("its people");
  // What only those who keep order may do is not offered.
  await about(bob, "ada-d");
  await expect(bob.page.getByTestId("write-to")).toBeVisible();
  for (const act of ["kick", "ban", "mute", "transfer"])
    await expect(bob.page.getByTestId(act)).toHaveCount(0);
  await bob.page.getByTestId("write-to").click();
  await expect(bob.page.getByTestId("room-title")).toHaveText("ada-d");
  for (const path of ["/", "/messages", "/calls"]) {
    await bob.page.goto(server.url + path);
    await expect(bob.page.getByTestId("go-home")).toBeVisible();
    await bob.fits(path);
    await bob.isAccessible(path);
  }
});
