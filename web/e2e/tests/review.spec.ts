import type { Locator } from "@playwright/test";
import { expect, meet, test } from "../meeting.ts";
import type { Person } from "../person.ts";
import { administrator, ask, call, openDesk } from "../rest.ts";
import { WATCHFUL } from "../server.ts";

test.use({ settings: WATCHFUL });

/** The row of a case about somebody. */
function caseOf(moderator: Person, nickname: string): Locator {
  return moderator.page.locator(`[data-testid=case][data-subject="${nickname}"]`);
}

/** Left of the middle: neither the name nor a word over the picture is there. */
const BESIDE = { x: 0.02, y: 0.15, width: 0.2, height: 0.55 };

test("a drawn picture becomes a case, and stopping its track blackens it for the others while the call goes on", async ({
  server,
  person,
}) => {
  test.setTimeout(240_000);
  const ada = await person("chromium", "ada", { id: 1, picture: "soft" });
  const bob = await person("firefox", "bob", { id: 2, picture: "soft" });
  const dora = await person("chromium", "dora", { id: 3, picture: "drawing" });
  const mona = await person("chromium", "mona", { id: 4 });
  await meet(server, [ada, bob, dora], "Drawing class");
  for (const viewer of [ada, bob]) {
    await expect(viewer.tile("dora")).toHaveAttribute("data-shown", "true");
    const { light, spread } = await viewer.looksLike(viewer.tile("dora"));
    expect(light, `${viewer.name} sees a bright picture`).toBeGreaterThan(110);
    expect(spread).toBeGreaterThan(20);
  }

  const evidence: string[] = [];
  mona.page.on("request", (request) => {
    if (request.url().includes("/moderation/evidence/")) evidence.push(request.url());
  });
  await mona.enter(server.url);
  await openDesk(server, mona);
  const { page } = mona;

  await test.step("the case is on the desk, the evidence unseen until it is asked for", async () => {
    await expect(caseOf(mona, "dora")).toContainText("Drawing");
    await expect(caseOf(mona, "dora")).toContainText("Drawing class");
    await caseOf(mona, "dora").click();
    await expect(page.getByTestId("case-view")).toContainText("Camera · Live");
    await expect(page.getByTestId("claimed")).toBeVisible();
    await expect(page.getByTestId("evidence").first()).toHaveAttribute("data-shown", "false");
    await expect(page.getByTestId("picture")).toHaveCount(0);
    expect(evidence, "nothing is fetched before it is asked for").toEqual([]);

    await page.getByTestId("show").first().click();
    const picture = page.getByTestId("picture");
    await expect(picture).toBeVisible();
    await expect
      .poll(() => picture.evaluate((image) => (image as HTMLImageElement).naturalWidth))
      .toBeGreaterThanOrEqual(80);
    expect((await mona.looksLike(picture)).light).toBeGreaterThan(110);
    expect(await picture.evaluate((image) => getComputedStyle(image).filter)).toBe("none");
    await page.getByTestId("grey").check();
    expect(await picture.evaluate((image) => getComputedStyle(image).filter)).toContain("grayscale");
    await expect(page.getByTestId("event").filter({ hasText: "mona looked at the evidence" })).toBeVisible();
  });

  await test.step("the five probabilities stand there with the threshold", async () => {
    const scores = page.getByTestId("scores").first();
    await expect(scores.getByTestId("score")).toHaveCount(5);
    await expect(scores.locator("[data-label=Drawing]")).toContainText(/(7|8|9)\d(\.\d)?%|100%/);
    await expect(scores.getByTestId("threshold")).toContainText("70%");
    await expect(page.getByTestId("evidence").first()).toContainText("nsfwjs-mobilenet-v2");
  });

  await test.step("ordinary pictures make no case", async () => {
    for (const name of ["ada", "bob"]) await expect(caseOf(mona, name)).toHaveCount(0);
  });

  await test.step("the track is stopped, with a reason", async () => {
    await page.getByTestId("action-stopTrack").click();
    await page.getByTestId("confirm").click();
    await expect(page.getByTestId("act")).toContainText("Please give a reason.");
    await page.getByTestId("pick").first().click();
    await page.getByTestId("confirm").click();
    await expect(page.getByTestId("done")).toBeVisible();
    await expect(page.getByTestId("case-view")).toHaveAttribute("data-status", "resolved");
    await expect(caseOf(mona, "dora")).toHaveCount(0);
  });

  await test.step("the others see black in its place", async () => {
    for (const viewer of [ada, bob]) {
      await expect(viewer.tile("dora")).toHaveAttribute("data-shown", "false");
      await expect
        .poll(async () => (await viewer.looksLike(viewer.tile("dora"), BESIDE)).light)
        .toBeLessThan(60);
      expect((await viewer.looksLike(viewer.tile("dora"), BESIDE)).spread).toBeLessThan(5);
    }
  });

  await test.step("the publisher is told why", async () => {
    await expect(dora.page.locator("[data-testid=tile][data-self]")).toHaveAttribute(
      "data-stopped",
      "moderation",
    );
  });

  await test.step("the rest of the call goes on", async () => {
    await ada.sees("bob", 2);
    await bob.sees("ada", 1);
    for (const viewer of [ada, bob]) await viewer.hears("dora", 3);
    await expect(dora.tile("ada")).toHaveAttribute("data-shown", "true");
  });

  await test.step("going and coming again does not bring it back", async () => {
    await dora.page.getByTestId("leave").click();
    await expect(ada.tile("dora")).toHaveCount(0);
    await dora.page.getByTestId("rejoin").click();
    await dora.join();
    // Her voice has arrived, so her pictures would have.
    for (const viewer of [ada, bob]) await viewer.hears("dora", 3);
    await ada.sees("bob", 2);
    await expect(ada.tile("dora")).toHaveAttribute("data-shown", "false");
  });
});

test("people are reported from their tile and by their message; a case is dismissed by keyboard alone", async ({
  server,
  person,
}) => {
  test.setTimeout(240_000);
  const ada = await person("chromium", "anna", { id: 1, picture: "soft" });
  const ben = await person("chromium", "ben", { id: 2, picture: "soft" });
  await meet(server, [ada, ben], "Quarrel");
  await ada.sees("ben", 2);
  const mona = await person("chromium", "mona2", { id: 3, colorScheme: "dark" });
  await mona.enter(server.url);
  const login = await openDesk(server, mona);
  await mona.isAccessible("the empty desk");

  await test.step("from the tile", async () => {
    await ada.tile("ben").hover();
    await ada.tile("ben").getByTestId("tile-actions").click();
    await ada.page.getByTestId("report").click();
    await ada.page.getByTestId("report-reason-nudity").check();
    await ada.isAccessible("the report");
    await ada.page.getByTestId("report-submit").click();
    await expect(ada.page.getByTestId("report-done")).toBeVisible();
    await ada.page.keyboard.press("Escape");
    await expect(caseOf(mona, "ben")).toContainText("Nudity");
  });

  await test.step("by the message", async () => {
    for (const one of [ada, ben]) await one.openChat();
    await ben.says("Hello");
    await ben.says("You are a fool");
    await ada.reads(["Hello", "You are a fool"]);
    const { accessToken } = await ada.session();
    const roomId = new URL(ada.page.url()).pathname.replace("/r/", "");
    const reporter = { accessToken, user: { id: "", nickname: "anna", role: "member" } };
    const { messages } = await ask<{ messages: { id: string; content: { text: string } }[] }>(
      server,
      reporter,
      "GET",
      `/rooms/${roomId}/messages?limit=10`,
    );
    const targetId = messages.find(({ content }) => content.text.includes("fool"))?.id;
    await ask(server, reporter, "POST", "/reports", {
      targetType: "message",
      targetId,
      roomId,
      reason: "harassment",
      description: "He insults me.",
    });
    await expect(caseOf(mona, "ben")).toHaveCount(2);
    // The desk needs them no more, and their pictures need the machine.
    for (const one of [ada, ben]) await one.page.goto("about:blank");
  });

  const { page } = mona;
  const focused = () => page.evaluate(() => (document.activeElement as HTMLElement | null)?.dataset.testid);
  const outline = () => page.evaluate(() => getComputedStyle(document.activeElement as Element).outlineWidth);
  const harassment = caseOf(mona, "ben").filter({ hasText: "Harassment" });

  await test.step("by keyboard alone: the list", async () => {
    await page.keyboard.press("j");
    expect(await focused()).toBe("case");
    expect(await outline(), "the focus is seen").toBe("3px");
    await page.keyboard.press("k");
    expect(await focused()).toBe("case");
    for (let step = 0; step < 5; step += 1) {
      if (await harassment.evaluate((row) => row === document.activeElement)) break;
      await page.keyboard.press(step % 2 ? "ArrowDown" : "j");
    }
    await expect(harassment).toBeFocused();
    await page.keyboard.press("Enter");
    await expect(page.getByTestId("case-title")).toBeFocused();
  });

  await test.step("by keyboard alone: the evidence is the message and what was around it", async () => {
    await page.keyboard.press("s");
    await expect(page.getByTestId("messages")).toContainText("Hello");
    await expect(page.locator("[data-reported=true]")).toContainText("You are a fool");
    await expect(page.getByTestId("report-item")).toContainText("He insults me.");
    await mona.isAccessible("a case");
  });

  const nina = await person("firefox", "nina", { id: 4, viewport: { width: 360, height: 740 } });
  await test.step("a second moderator sees who has the case, and cannot act on it", async () => {
    await nina.enter(server.url);
    const second = await openDesk(server, nina);
    await nina.fits("the list");
    const row = caseOf(nina, "ben").filter({ hasText: "Harassment" });
    await expect(row.getByTestId("claimed-by")).toHaveText("mona2 has it");
    await row.click();
    await expect(nina.page.getByTestId("conflict")).toContainText("mona2 has this case");
    await expect(nina.page.getByTestId("action-dismiss")).toBeDisabled();
    await nina.fits("a case that somebody else has");
    const caseId = await nina.page.getByTestId("case-view").getAttribute("data-case");
    const refusal = await call(server, second, "POST", `/moderation/cases/${caseId}/actions`, {
      action: "dismiss",
      reason: "mine",
    });
    expect([refusal.status, refusal.body.code]).toEqual([409, "conflict"]);
    const claim = await call(server, second, "POST", `/moderation/cases/${caseId}/claim`);
    expect(claim.body.code).toBe("conflict");
  });

  await test.step("what the first one leaves, the second one has", async () => {
    await page.keyboard.press("Escape");
    await expect(harassment).toBeFocused();
    await expect(nina.page.getByTestId("claimed")).toBeVisible();
    await expect(nina.page.getByTestId("action-dismiss")).toBeEnabled();
    const caseId = await nina.page.getByTestId("case-view").getAttribute("data-case");
    await nina.page.getByTestId("back-to-list").click();
    await expect
      .poll(async () => (await ask(server, login, "GET", `/moderation/cases/${caseId}`)).claimedBy)
      .toBeNull();
  });

  await test.step("by keyboard alone: dismissed, and found again among the dismissed", async () => {
    await page.keyboard.press("Enter");
    await expect(page.getByTestId("claimed")).toBeVisible();
    await page.keyboard.press("b");
    await expect(page.getByTestId("reason")).toBeFocused();
    await mona.isAccessible("a ban");
    await page.keyboard.press("Escape");
    await expect(page.getByTestId("action-ban")).toBeFocused();
    await page.keyboard.press("d");
    await expect(page.getByTestId("reason")).toBeFocused();
    await page.keyboard.type("They know each other, d and b are letters here");
    await page.keyboard.press("Enter");
    await expect(page.getByTestId("done")).toBeVisible();
    await expect(page.getByTestId("case-view")).toHaveAttribute("data-status", "dismissed");
    await page.keyboard.press("Escape");
    await expect(page.getByTestId("case-view")).toHaveCount(0);
    await expect(harassment).toHaveCount(0);
    await page.keyboard.press("Shift+Tab");
    while ((await focused()) !== "filter") await page.keyboard.press("Shift+Tab");
    await page.keyboard.type("Dism");
    await expect(harassment).toHaveAttribute("data-status", "dismissed");
  });

  await test.step("by keyboard alone: every control is reached, and none keeps the focus", async () => {
    const order: (string | undefined)[] = [];
    await page.keyboard.press("Tab");
    for (let step = 0; step < 40 && !(order.length > 3 && order.at(-1) === undefined); step += 1) {
      const now = await focused();
      order.push(now);
      if (now) expect(await outline(), `${now} shows its focus`).toBe("3px");
      await page.keyboard.press("Tab");
    }
    expect(order).toEqual(expect.arrayContaining(["case"]));
    expect(order.length, "Tab goes round").toBeLessThan(40);
  });

  await test.step("the keys are on the page, and letters can be switched off", async () => {
    await page.keyboard.press("Escape");
    await page.getByTestId("filter").blur();
    await page.keyboard.press("?");
    await expect(page.getByTestId("keys-list")).toBeVisible();
    await mona.isAccessible("the keys");
    await page.keyboard.press("Space");
    await expect(page.getByTestId("letters")).not.toBeChecked();
    await page.keyboard.press("Escape");
    await expect(page.getByTestId("keys-list")).toBeHidden();
    await page.keyboard.press("?");
    await expect(page.getByTestId("keys-list")).toBeHidden();
  });

  await test.step("the log says who did what, and why", async () => {
    const { entries } = await ask<{
      entries: { action: string; by: { nickname: string } | null; reason: string | null }[];
    }>(server, login, "GET", "/moderation/log?limit=50");
    expect(entries).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          action: "dismiss",
          by: expect.objectContaining({ nickname: "mona2" }),
          reason: "They know each other, d and b are letters here",
        }),
      ]),
    );
    await page.getByTestId("tab-log").click();
    await expect(page.getByTestId("log-entries")).toContainText("mona2 dismissed");
    await mona.isAccessible("the log");
    await nina.page.getByTestId("tab-log").click();
    await nina.fits("the log");
    await nina.page.getByTestId("tab-bans").click();
    await expect(nina.page.getByText("Nobody is banned.")).toBeVisible();
    await nina.isAccessible("no bans");
  });
});

test("the review desk is for moderators", async ({ server, person }) => {
  const cleo = await person("chromium", "cleo", { id: 5 });
  await cleo.enter(`${server.url}/review`);
  await expect(cleo.page.getByTestId("not-for-you")).toBeVisible();
  await cleo.isAccessible("not for you");
  for (const path of ["/moderation/cases", "/moderation/log", "/moderation/bans", "/moderation/status"]) {
    const { status, body } = await call(server, await cleo.session(), "GET", path);
    expect([status, body.code], path).toEqual([403, "forbidden"]);
  }
});

test("who is made a moderator of the site hosts at once, until that is taken", async ({ server, person }) => {
  const host = await person("chromium", "olga", { id: 7, picture: "soft" });
  const guest = await person("chromium", "ada", { id: 8, picture: "soft" });
  await meet(server, [host, guest]);
  const { user } = await guest.session();
  const give = async (role: string) =>
    ask(server, await administrator(server), "PUT", `/users/${user.id}/role`, { role });
  const panel = guest.page.getByTestId("host");
  await expect(panel).toHaveCount(0);
  await give("moderator");
  await panel.click();
  await guest.page.getByTestId("lock").click();
  await expect(host.page.getByTestId("notice")).toHaveText("ada locked the room.");
  await give("member");
  await expect(panel).toHaveCount(0);
  await expect(guest.page.getByTestId("host-panel")).toHaveCount(0);
});
