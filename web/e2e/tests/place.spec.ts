import { expect, test } from "../meeting.ts";

const OFF = ["matching", "directMessages", "forums", "files", "video", "share", "recording", "moderation"];

// One cluster, at whatever address one comes from.
test.use({
  settings: {
    clusters: `
[[clusters]]
id = "lounge"
name = "The Lounge"
theme = { accent = "#ff0050", background = "#101014", text = "#ffffff" }
features = { ${OFF.map((feature) => `${feature} = false`).join(", ")} }
`,
  },
});

test("a place has a name and colours of its own, and shows nothing of what it does not offer", async ({
  server,
  person,
}) => {
  const ada = await person("chromium", "ada-place", { id: 1 });
  const bob = await person("firefox", "bob-place", { id: 2, viewport: { width: 360, height: 740 } });
  const { page } = ada;

  await test.step("the door, and the rooms", async () => {
    for (const each of [ada, bob]) {
      await each.page.goto(server.url);
      await expect(each.page.locator("body")).toHaveCSS("background-color", "rgb(16, 16, 20)");
      await expect(each.page.getByRole("banner")).toContainText("The Lounge");
      await each.isAccessible("the door of a place");
      await each.enter(server.url);
      await expect(each.page).toHaveTitle(/The Lounge$/);
      await expect(each.page.getByTestId("create-room")).toBeVisible();
      for (const missing of ["go-match", "go-messages"])
        await expect(each.page.getByTestId(missing)).toHaveCount(0);
      await each.isAccessible("the rooms of a place");
      await each.fits("the rooms of a place");
    }
  });

  await test.step("a call by voice alone", async () => {
    await page.getByTestId("create-room").click();
    await expect(page.getByTestId("kind-call")).toBeVisible();
    await expect(page.getByTestId("kind-forum")).toHaveCount(0);
    await page.keyboard.press("Escape");
    const link = await ada.createRoom("Voices");
    await expect(page.getByTestId("microphone")).toBeVisible();
    await expect(page.getByTestId("camera")).toHaveCount(0);
    await ada.join();
    for (const missing of ["camera", "share", "record"])
      await expect(page.getByTestId(missing)).toHaveCount(0);
    await bob.page.goto(link);
    await bob.join();
    await bob.hears(ada.name, 1);
    await page.getByTestId("leave").click();
    await bob.page.getByTestId("leave").click();
  });

  await test.step("a group rings by voice alone, and takes no files", async () => {
    await page.goto(server.url);
    await page.getByTestId("create-room").click();
    await ada.types("room-name", "Words");
    await page.getByTestId("kind-group").check();
    await page.getByTestId("create-submit").click();
    await expect(page.getByTestId("call-voice")).toBeVisible();
    await expect(page.getByTestId("call-video")).toHaveCount(0);
    await page.getByTestId("add").click();
    await expect(page.getByTestId("ask")).toBeVisible();
    await expect(page.getByTestId("attach")).toHaveCount(0);
  });

  await test.step("an address of what is not offered says so", async () => {
    for (const path of ["/match", "/messages"]) {
      await page.goto(`${server.url}${path}`);
      await expect(page.getByText("This is not offered here.")).toBeVisible();
    }
  });
});
