import { expect, meet, test } from "../meeting.ts";

test("someone under eighteen is refused, and the form says what is missing", async ({ server, person }) => {
  const kid = await person("chromium", "kid", { id: 1 });
  const { page } = kid;
  await page.goto(server.url);
  await page.getByTestId("enter").click();
  await expect(page.getByTestId("nickname")).toBeFocused();
  await kid.types("nickname", "kid");
  await kid.types("birth-year", String(new Date().getFullYear() - 10));
  await page.getByTestId("adult").check();
  await page.getByTestId("enter").click();
  await expect(page.getByRole("alert")).toBeVisible();
  await expect(page.getByTestId("enter")).toBeVisible();
  // The refusal is a 403, which the browser notes by itself.
  kid.complaints.length = 0;
});

test("a public room is listed, an unlisted one opens by its link only", async ({ server, person }) => {
  const ada = await person("chromium", "ada-pages", { id: 1 });
  const bob = await person("firefox", "bob-pages", { id: 2 });
  await ada.enter(server.url);
  await ada.createRoom("Open house", "public");
  await ada.page.goto(server.url);
  const link = await ada.createRoom("Back room", "unlisted");
  await bob.enter(server.url);
  await expect(bob.page.getByTestId("room").filter({ hasText: "Open house" })).toBeVisible();
  await expect(bob.page.getByText("Back room")).toHaveCount(0);
  await bob.page.goto(link);
  await expect(bob.page.getByRole("heading", { name: "Back room" })).toBeVisible();
});

test("a session outlives a reload, and ends with signing out", async ({ server, person }) => {
  const ada = await person("chromium", "ada-pages", { id: 1 });
  await ada.enter(server.url);
  await expect(ada.page.getByTestId("create-room")).toBeVisible();
  await ada.page.reload();
  await expect(ada.page.getByTestId("create-room")).toBeVisible();
  // The page's scripts never see the refresh token.
  expect(await ada.page.evaluate(() => document.cookie)).toBe("");
  await ada.page.getByTestId("account-menu").click();
  await ada.page.getByTestId("sign-out").click();
  await expect(ada.page.getByTestId("enter")).toBeVisible();
  await ada.page.reload();
  await expect(ada.page.getByTestId("enter")).toBeVisible();
});

test("the administrator's link works once", async ({ server, person }) => {
  const path = new URL(server.adminLink()).pathname;
  const admin = await person("chromium", "root", { id: 1 });
  await admin.enter(server.url + path);
  await admin.isAccessible("the administrator's page");
  await admin.page.getByTestId("claim").click();
  await expect(admin.page.getByTestId("claimed")).toBeVisible();
  const late = await person("chromium", "late", { id: 2 });
  await late.enter(server.url + path);
  await late.page.getByTestId("claim").click();
  await expect(late.page.getByRole("alert")).toBeVisible();
  late.complaints.length = 0;
});

for (const colorScheme of ["light", "dark"] as const) {
  test(`axe finds nothing on any page, ${colorScheme}`, async ({ server, person }) => {
    const ada = await person("chromium", `ada-${colorScheme}`, { id: 1, colorScheme });
    const bob = await person("chromium", "bob-pages", { id: 2 });
    const { page } = ada;
    await page.goto(server.url);
    await expect(page.getByTestId("enter")).toBeVisible();
    await ada.isAccessible("the door");
    await page.getByTestId("enter").click();
    await ada.isAccessible("the door with a complaint");
    await ada.enter(server.url);
    await expect(page.getByTestId("create-room")).toBeVisible();
    await ada.isAccessible("the rooms");
    await page.getByTestId("create-room").click();
    await ada.isAccessible("the new room");
    await page.keyboard.press("Escape");
    const link = await ada.createRoom("Accessible");
    await ada.isAccessible("the lobby");
    await ada.join();
    await ada.openChat();
    await ada.says("hello");
    await ada.reads(["hello"]);
    await bob.enter(link);
    await bob.join();
    await ada.sees(bob.name, 2);
    await ada.isAccessible("the call with chat");
    await page.getByTestId("people").click();
    await ada.isAccessible("the call with people");
    await page.getByTestId("person-actions").click();
    await expect(page.getByTestId("remove")).toBeVisible();
    await ada.isAccessible("a person's menu");
    await page.getByTestId("remove").click();
    await ada.isAccessible("the removal");
    await page.keyboard.press("Escape");
    await page.getByTestId("devices").click();
    await ada.isAccessible("the devices");
    await page.keyboard.press("Escape");
    await page.getByTestId("leave").click();
    await expect(page.getByTestId("ended")).toBeVisible();
    await ada.isAccessible("the end");
    await page.goto(`${server.url}/no/such/page`);
    await expect(page.getByTestId("not-found")).toBeVisible();
    await ada.isAccessible("nothing here");
  });
}

test("a page 360 pixels wide shows all, and every control can be reached", async ({ server, person }) => {
  const viewport = { width: 360, height: 640 };
  const ada = await person("chromium", "ada-pages", { id: 1, viewport });
  const bob = await person("chromium", "bob-pages", { id: 2, screenId: 42 });
  const { page } = ada;
  await page.goto(server.url);
  await ada.fits("the door");
  await ada.enter(server.url);
  await ada.fits("the rooms");
  const link = await ada.createRoom("A room whose name is much longer than any telephone is wide");
  await ada.fits("the lobby");
  await ada.join();
  await bob.enter(link);
  await bob.join();
  await ada.sees(bob.name, 2);
  await ada.fits("the call");
  for (const control of ["microphone", "camera", "share", "devices", "host", "people", "chat", "leave"]) {
    const box = await page.getByTestId(control).boundingBox();
    expect(box, control).not.toBeNull();
    if (!box) continue;
    expect(box.x, control).toBeGreaterThanOrEqual(0);
    expect(box.x + box.width, control).toBeLessThanOrEqual(viewport.width);
    expect(box.y + box.height, control).toBeLessThanOrEqual(viewport.height);
    expect(Math.min(box.width, box.height), `${control} is large enough for a finger`).toBeGreaterThanOrEqual(
      44,
    );
  }
  await ada.openChat();
  await ada.says("A very long word: ".concat("x".repeat(200)));
  await ada.fits("the chat");
  await page.getByTestId("close-panel").click();
  await bob.page.getByTestId("share").click();
  await ada.sees(bob.name, 42, { source: "screen", frames: 3 });
  await ada.fits("a share");
  await page.getByTestId("leave").click();
  await ada.fits("the end");
});

test("the call can be used by keyboard alone", async ({ server, person }) => {
  const ada = await person("chromium", "ada-pages", { id: 1 });
  await meet(server, [ada]);
  const { page } = ada;
  await page.getByTestId("microphone").focus();
  await page.keyboard.press("Enter");
  await expect(page.getByTestId("microphone")).toHaveAccessibleName("Unmute microphone");
  for (const next of ["camera", "share", "devices", "host", "people", "chat", "leave"]) {
    await page.keyboard.press("Tab");
    await expect(page.getByTestId(next)).toBeFocused();
    const outline = await page
      .getByTestId(next)
      .evaluate((element) => getComputedStyle(element).outlineWidth);
    expect(outline, `${next} shows its focus`).toBe("3px");
  }
  await page.keyboard.press("Enter");
  await expect(page.getByTestId("ended")).toBeVisible();
});

test("without camera and microphone one can still join, watch and write", async ({ server, person }) => {
  const ada = await person("chromium", "ada-pages", { id: 1 });
  const shy = await person("chromium", "shy", { id: 2, refuse: true });
  const link = await meet(server, [ada]);
  await shy.enter(link);
  await expect(shy.page.getByRole("alert")).toContainText("did not give access");
  await shy.join();
  await shy.sees(ada.name, 1);
  await shy.hears(ada.name, 1);
  await expect(ada.tile("shy")).toHaveAccessibleName("shy, microphone off");
});
