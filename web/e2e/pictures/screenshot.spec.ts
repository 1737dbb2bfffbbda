import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, meet, test } from "../meeting.ts";

// Not a test: `npm run screenshot -w e2e` takes docs/screenshot.png from a call of four, and looks at the page's other sizes.
const portrait = readFileSync(fileURLToPath(new URL("../media/portrait.js", import.meta.url)), "utf8");
const docs = fileURLToPath(new URL("../../../docs/", import.meta.url));
const scratch = process.env.PICTURES ?? fileURLToPath(new URL("../test-results/", import.meta.url));

test("the picture of a call", async ({ server, person }) => {
  const names = ["ada", "bob", "cleo", "dan"];
  const people = [];
  for (const [index, name] of names.entries()) {
    const one = await person("chromium", name, { id: index + 1, screenId: 40 + index });
    await one.page.context().addInitScript({ content: portrait });
    people.push(one);
  }
  const [ada, bob, cleo, dan] = people as [
    (typeof people)[0],
    (typeof people)[0],
    (typeof people)[0],
    (typeof people)[0],
  ];
  await meet(server, people, "Friday evening");
  for (const one of people) await one.openChat();
  await bob.says("Hello everyone, can you hear me?");
  await ada.says("Loud and clear, good evening!");
  await cleo.says("Hi! Give me a minute, I am looking for my notes from last week.");
  await dan.says("No hurry. I will share the plan when you are back.");
  await ada.says("Sounds good");
  for (const name of ["bob", "cleo", "dan"])
    await expect(ada.tile(name)).toHaveAttribute("data-shown", "true");
  await expect
    .poll(() =>
      ada
        .tile("bob")
        .locator("video")
        .evaluate((video) => (video as HTMLVideoElement).videoWidth),
    )
    .toBeGreaterThanOrEqual(320);
  await dan.page.getByTestId("microphone").click();
  await expect(ada.tile("dan")).toHaveAccessibleName("dan, microphone off");
  await expect(ada.tile("dan")).toHaveAttribute("data-speaking", "false");
  await expect(ada.tile("bob")).toHaveAttribute("data-speaking", "true");
  await ada.page.getByTestId("message-text").blur();
  await ada.page.mouse.move(640, 20);
  await ada.page.screenshot({ path: `${docs}screenshot.png` });

  await ada.page.emulateMedia({ colorScheme: "dark" });
  await ada.page.getByTestId("people").click();
  await ada.page.screenshot({ path: `${scratch}dark-people.png` });
  await ada.page.setViewportSize({ width: 360, height: 740 });
  await ada.page.screenshot({ path: `${scratch}narrow-people.png` });
  await ada.page.getByTestId("close-panel").click();
  await expect(ada.tile("bob")).toHaveAttribute("data-shown", "true");
  await ada.page.screenshot({ path: `${scratch}narrow-call.png` });
  await ada.page.getByTestId("chat").click();
  await ada.page.screenshot({ path: `${scratch}narrow-chat.png` });
  await ada.page.getByTestId("close-panel").click();
  await bob.page.getByTestId("share").click();
  await expect(ada.tile("bob", "screen")).toHaveAttribute("data-shown", "true");
  await ada.page.screenshot({ path: `${scratch}narrow-share.png` });
  await ada.page.setViewportSize({ width: 1280, height: 720 });
  for (const name of ["bob", "cleo", "dan"])
    await expect(ada.tile(name)).toHaveAttribute("data-shown", "true");
  await ada.page.screenshot({ path: `${scratch}dark-share.png` });
});
