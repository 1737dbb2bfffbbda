import { expect, meet, test } from "../meeting.ts";
import { ask, openDesk } from "../rest.ts";

// A server of its own: a ban holds for the address too, and all browsers of the tests have the same one.
test.use({ settings: { sampleEveryMs: 500 } });

test("who is banned is told why, and does not come back in until the ban is lifted", async ({
  server,
  person,
}) => {
  test.setTimeout(180_000);
  const ada = await person("chromium", "ada", { id: 1, picture: "soft" });
  const vic = await person("firefox", "vic", { id: 2, picture: "soft" });
  const mona = await person("chromium", "mona", { id: 3, viewport: { width: 360, height: 740 } });
  const link = await meet(server, [ada, vic], "Before the ban");
  await ada.sees("vic", 2);
  await mona.enter(server.url);
  const login = await openDesk(server, mona);
  const { user } = await vic.session();
  await ask(server, await ada.session(), "POST", "/reports", {
    targetType: "user",
    targetId: user.id,
    roomId: new URL(link).pathname.replace("/r/", ""),
    reason: "threats",
  });
  const { page } = mona;

  await test.step("banned from the desk", async () => {
    await page.locator('[data-testid=case][data-subject="vic"]').click();
    await page.getByTestId("action-ban").click();
    await page.getByTestId("duration-week").check();
    await mona.types("reason", "Threats against others");
    await mona.fits("a ban");
    await mona.isAccessible("a ban on a telephone");
    await page.getByTestId("confirm").click();
    await expect(page.getByTestId("done")).toBeVisible();
    await expect(page.getByTestId("decision")).toContainText("mona banned: Threats against others");
  });

  await test.step("the banned one is out at once, and reads why", async () => {
    await expect(vic.page.getByTestId("banned")).toContainText("Threats against others");
    await expect(ada.tile("vic")).toHaveCount(0);
    await vic.isAccessible("the ban");
  });

  await test.step("coming again, under another name too, is refused with the reason", async () => {
    await vic.page.goto(server.url);
    await expect(vic.page.getByTestId("enter").or(vic.page.getByTestId("banned")).first()).toBeVisible();
    if (await vic.page.getByTestId("enter").isVisible()) {
      await vic.types("nickname", "victor");
      await vic.types("birth-year", "1990");
      await vic.page.getByTestId("adult").check();
      await vic.page.getByTestId("enter").click();
    }
    await expect(vic.page.getByTestId("banned")).toContainText("Threats against others");
    // The refusal is a 403, which the browser notes by itself.
    vic.complaints.length = 0;
  });

  await test.step("the ban is listed, and lifted with a reason", async () => {
    await page.getByTestId("tab-bans").click();
    const ban = page.locator('[data-testid=ban][data-nickname="vic"]');
    await expect(ban).toContainText("Threats against others");
    await mona.fits("the bans");
    await mona.isAccessible("the bans");
    await ban.getByTestId("lift").click();
    await mona.isAccessible("the lifting");
    await page.getByTestId("lift-confirm").click();
    await expect(page.locator("dialog")).toContainText("Please give a reason.");
    await mona.types("lift-reason", "It was a quotation");
    await page.getByTestId("lift-confirm").click();
    await expect(ban).toHaveCount(0);
    const { entries } = await ask<{ entries: { action: string; reason: string }[] }>(
      server,
      login,
      "GET",
      "/moderation/log?limit=10",
    );
    expect(entries).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ action: "ban", reason: "Threats against others" }),
        expect.objectContaining({ action: "liftBan", reason: "It was a quotation" }),
      ]),
    );
  });

  await test.step("then they may come in again", async () => {
    await vic.enter(server.url);
    await expect(vic.page.getByTestId("create-room")).toBeVisible();
    vic.complaints.length = 0;
  });
});
