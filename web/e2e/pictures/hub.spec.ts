import { fileURLToPath } from "node:url";
import { expect, test } from "../meeting.ts";
import { ask, guest } from "../rest.ts";

// Not a test: looks at the hub, its rooms, its conversations and its dialogs, in both sizes and lights.
const scratch = process.env.PICTURES ?? fileURLToPath(new URL("../test-results/", import.meta.url));

for (const [size, viewport, colorScheme] of [
  ["wide", { width: 1280, height: 800 }, "light"],
  ["narrow", { width: 360, height: 740 }, "dark"],
] as const) {
  test(`the hub, ${size}`, async ({ server, person }) => {
    const ada = await person("chromium", `ada-${size}`, { id: 1, viewport, colorScheme });
    const { page } = ada;
    const look = (name: string) => page.screenshot({ path: `${scratch}hub-${size}-${name}.png` });
    const [bob, eve] = [await guest(server, `bob-${size}`), await guest(server, `eve-${size}`)];
    await ask(server, bob, "POST", "/rooms", {
      kind: "group",
      name: "Chess club",
      visibility: "public",
      settings: { description: "Openings, endgames, and a game every Friday evening.", category: "gaming" },
    });
    await ask(server, bob, "POST", "/rooms", {
      kind: "broadcast",
      name: "Announcements of the house",
      visibility: "public",
      settings: { joinRequests: true, category: "social" },
    });
    await ask(server, eve, "POST", "/rooms", { kind: "call", name: "Friday evening", visibility: "public" });
    await ada.enter(server.url);
    await expect(page.getByTestId("room").first()).toBeVisible();
    await look("home");
    await page.getByTestId("create-room").click();
    await look("create");
    await page.keyboard.press("Escape");
    const { user } = await ada.session();
    const { room } = await ask<{ room: { id: string } }>(server, eve, "POST", "/dms", { userId: user.id });
    await ask(server, eve, "POST", `/rooms/${room.id}/messages`, {
      clientId: "1",
      content: { text: "Hello! We met last Friday. Do you play chess too?" },
    });
    await page.getByTestId("go-rooms").click();
    await look("directory");
    await page.getByTestId("room").filter({ hasText: "Chess club" }).first().getByTestId("room-join").click();
    await look("door");
    await page.getByTestId("door-join").click();
    await expect(page.getByTestId("log")).toBeVisible();
    await ada.says("Hello everybody");
    await ada.reads(["Hello everybody"]);
    await look("room");
    await page.getByTestId("about").click();
    await expect(page.getByTestId("member")).toHaveCount(2);
    await look("members");
    await page.getByTestId("member-actions").click();
    await look("member-menu");
    await page.keyboard.press("Escape");
    await page.getByTestId("tab-invites").click();
    await page.getByTestId("invite-make").click();
    await expect(page.getByTestId("invite-link")).toBeVisible();
    await look("invites");
    await page.goto(`${server.url}/messages/requests`);
    await expect(page.getByTestId("request").first()).toBeVisible();
    await look("requests");
    await page.getByTestId("accept-request").click();
    await expect(page.getByTestId("log")).toBeVisible();
    await look("direct");
    await page.getByTestId("call-video").click();
    await expect(page.getByTestId("outgoing")).toBeVisible();
    await look("outgoing");
    await page.getByTestId("cancel-call").click();
    await page.goto(`${server.url}/messages`);
    await expect(page.getByTestId("direct").first()).toBeVisible();
    await look("messages");
    await page.getByTestId("new-message").click();
    await look("new-message");
    await page.goto(`${server.url}/calls`);
    await expect(page.getByTestId("past-call").first()).toBeVisible();
    await look("calls");
    await page.goto(server.url);
    await page.getByTestId("create-room").click();
    await ada.types("room-name", "My own group");
    await page.getByTestId("kind-group").check();
    await page.getByTestId("visibility-private").check();
    await page.getByTestId("create-submit").click();
    await expect(page.getByTestId("log")).toBeVisible();
    await page.getByTestId("about").click();
    await page.getByTestId("tab-settings").click();
    await look("settings");
    await page.getByTestId("delete-room").click();
    await look("delete");
  });
}
