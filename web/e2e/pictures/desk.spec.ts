import { fileURLToPath } from "node:url";
import { expect, meet, test } from "../meeting.ts";
import { ask, openDesk } from "../rest.ts";
import { WATCHFUL } from "../server.ts";

// Not a test: takes docs/review.png, and looks at the new pages in other sizes.
const docs = fileURLToPath(new URL("../../../docs/", import.meta.url));
const scratch = process.env.PICTURES ?? fileURLToPath(new URL("../test-results/", import.meta.url));

test.use({ settings: WATCHFUL });

test("the picture of the review desk", async ({ server, person }) => {
  const ada = await person("chromium", "ada", { id: 1, picture: "soft" });
  const dora = await person("chromium", "dora", { id: 2, picture: "drawing" });
  const mona = await person("chromium", "mona", { id: 3, viewport: { width: 1280, height: 800 } });
  const link = await meet(server, [ada, dora], "Friday evening");
  const roomId = new URL(link).pathname.replace("/r/", "");
  await mona.enter(server.url);
  await openDesk(server, mona);
  const { page } = mona;
  const row = page.locator("[data-testid=case][data-subject=dora]");
  await expect(row).toBeVisible();
  const { user } = await ada.session();
  const witness = await dora.session();
  for (const reason of ["impersonation", "underage"])
    await ask(server, witness, "POST", "/reports", { targetType: "user", targetId: user.id, roomId, reason });
  await expect(page.getByTestId("case").nth(1)).toBeVisible();
  await row.click();
  await page.getByTestId("show").first().click();
  await expect(page.getByTestId("picture")).toBeVisible();
  await page.getByTestId("case-title").evaluate((title) => (title as HTMLElement).blur());
  await page.mouse.move(900, 20);
  await page.screenshot({ path: `${docs}review.png` });
  await page.setViewportSize({ width: 360, height: 740 });
  await page.screenshot({ path: `${scratch}narrow-case.png`, fullPage: true });

  const [one, two] = [
    await person("chromium", "iris", { id: 4, picture: "soft" }),
    await person("chromium", "jon", { id: 5, picture: "soft", viewport: { width: 360, height: 740 } }),
  ];
  for (const stranger of [one, two]) await stranger.enter(`${server.url}/match`);
  await one.page.screenshot({ path: `${scratch}match.png` });
  for (const stranger of [one, two]) await stranger.page.getByTestId("start").click();
  await expect(one.tile("jon")).toHaveAttribute("data-cleared", "true");
  await expect(two.tile("iris")).toHaveAttribute("data-cleared", "true");
  await one.page.screenshot({ path: `${scratch}match-talk.png` });
  await two.page.screenshot({ path: `${scratch}narrow-match-talk.png` });

  await ada.page.getByTestId("record").click();
  await expect(ada.page.getByTestId("recording-mark")).toHaveAttribute("data-state", "running");
  await ada.page.screenshot({ path: `${scratch}recorded-call.png` });
  await dora.sees("ada", 1, { frames: 30 });
  await ada.page.getByTestId("record").click();
  await expect(ada.page.getByTestId("recording-mark")).toHaveCount(0);
  await ada.page.goto(`${server.url}/recordings`);
  await expect(ada.page.getByTestId("recording")).toHaveAttribute("data-state", "ready");
  await ada.page.screenshot({ path: `${scratch}recordings.png` });
  await ada.page.setViewportSize({ width: 360, height: 740 });
  await ada.page.screenshot({ path: `${scratch}narrow-recordings.png` });
});
