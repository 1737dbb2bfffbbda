import { fileURLToPath } from "node:url";
import { expect, test } from "../meeting.ts";
import { ask } from "../rest.ts";
import { choose, group, message, openRoom, register, take } from "../talking.ts";

// Not a test: looks at the chat, wide and narrow, light and dark.
const scratch = process.env.PICTURES ?? fileURLToPath(new URL("../test-results/", import.meta.url));

const SIZES = [
  ["wide", { width: 1280, height: 800 }],
  ["narrow", { width: 360, height: 740 }],
] as const;

for (const colorScheme of ["light", "dark"] as const) {
  for (const [size, viewport] of SIZES) {
    test(`the chat, ${size} and ${colorScheme}`, async ({ server, person }) => {
      const mark = `${size}-${colorScheme}`;
      const ada = await person("chromium", `ada_${size}_${colorScheme}`, { id: 1, viewport, colorScheme });
      const bob = await person("chromium", `bob_${size}_${colorScheme}`, { id: 2 });
      const adas = await register(ada, server.url);
      await bob.enter(server.url);
      const bobs = await bob.session();
      const room = await group(server, adas, [bobs], "Community garden");
      const say = (login: typeof adas, text: string, rest: object = {}) =>
        ask<{ id: string }>(server, login, "POST", `/rooms/${room}/messages`, {
          clientId: `${Math.random()}`,
          content: { text },
          ...rest,
        });
      await ada.page.route("**/api/v1/cluster", async (route) => {
        const told = await route.fetch();
        const place = await told.json();
        await route.fulfill({ json: { ...place, features: { ...place.features, previews: true } } });
      });
      await ada.page.route("**/api/v1/previews?*", (route) =>
        route.fulfill({
          json: {
            url: "",
            title: "Sowing beans: when, how deep, how far apart",
            description:
              "Beans like warm soil. Wait until the last frost has gone, then sow them five centimetres deep.",
            siteName: "The Kitchen Garden",
            imageUrl: null,
          },
        }),
      );
      const first = await say(bobs, "Shall we plant tomatoes by the south wall this year?");
      await say(bobs, "The old trellis still stands there.");
      await say(adas, "Good idea. I read https://garden.example/beans about what goes with them.", {
        replyTo: first.id,
      });
      await say(bobs, "🎉");
      await openRoom(ada, server.url, room);
      await openRoom(bob, server.url, room);
      await take(bob, "Shall we plant", "react");
      await bob.page.locator('[data-testid=emoji][data-emoji="👍"]').click();
      await choose(ada, "Shall we plant", "pin");
      await expect(bob.page.getByTestId("system").last()).toContainText("pinned a message");
      await choose(bob, "trellis", "start-thread");
      await bob.page.getByTestId("thread-text").pressSequentially("It needs paint, though.");
      await bob.page.getByTestId("thread-send").click();
      await ada.page.getByTestId("add").click();
      await ada.page.getByTestId("ask").click();
      await ada.types("poll-question", "Which day suits everybody?");
      for (const [index, day] of ["Friday", "Sunday"].entries())
        await ada.page.getByTestId("poll-answer").nth(index).pressSequentially(day);
      await ada.page.getByTestId("poll-submit").click();
      await bob.page.getByTestId("answer").nth(1).click();
      await expect(ada.page.getByTestId("answer").nth(1)).toContainText("100 %");
      await ada.page.mouse.move(5, 5);
      await ada.page.screenshot({ path: `${scratch}chat-${mark}.png` });
      await message(ada, "trellis").getByTestId("thread-link").click();
      await expect(ada.page.getByTestId("thread-view")).toContainText("paint");
      await ada.page.screenshot({ path: `${scratch}chat-thread-${mark}.png` });
      await ada.page.getByTestId("close-chat-panel").click();
      await ada.page.getByTestId("open-threads").click();
      await ada.page.screenshot({ path: `${scratch}chat-threads-${mark}.png` });
      await ada.page.getByTestId("close-chat-panel").click();
      await ada.page.getByTestId("open-pins").click();
      await expect(ada.page.getByTestId("pinned")).toBeVisible();
      await ada.page.screenshot({ path: `${scratch}chat-pins-${mark}.png` });
      await ada.page.getByTestId("close-chat-panel").click();
      await take(ada, "Shall we plant", "message-menu");
      await ada.page.screenshot({ path: `${scratch}chat-menu-${mark}.png` });
    });
  }
}
