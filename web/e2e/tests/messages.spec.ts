import { expect, test } from "../meeting.ts";
import { ask } from "../rest.ts";
import { choose, group, message, openRoom, register, take } from "../talking.ts";

/** A red square of 8 by 8, as PNG. */
const PICTURE = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAEUlEQVR42mM4oKCAFTEMLQkAKj9AAQUJSn0AAAAASUVORK5CYII=",
  "base64",
);

test("two people reply, react, edit, delete, pin, vote, search and send a picture", async ({
  server,
  person,
}) => {
  // Her account takes the name for as long as the server runs, which other files share.
  const ada = await person("chromium", "mara", { id: 1 });
  const bob = await person("firefox", "bob", { id: 2 });
  const adas = await register(ada, server.url);
  await bob.enter(server.url);
  const room = await group(server, adas, [await bob.session()], "Garden");
  for (const one of [ada, bob]) await openRoom(one, server.url, room);
  await ada.says("shall we plant tomatoes?");
  await expect(message(bob, "tomatoes")).toBeVisible();

  await test.step("a reply quotes what it answers, and leads there", async () => {
    await take(bob, "tomatoes", "reply");
    await expect(bob.page.getByTestId("replying")).toContainText("mara");
    await bob.says("yes, by the wall");
    await expect(message(ada, "by the wall").getByTestId("quote")).toContainText("shall we plant tomatoes?");
    await message(ada, "by the wall").getByTestId("quote").click();
    await expect(message(ada, "shall we")).toHaveAttribute("data-marked", "true");
  });

  await test.step("a reaction is found by its name, counted, and taken back", async () => {
    await take(bob, "shall we plant", "react");
    await bob.page.getByTestId("emoji-search").pressSequentially("seedling");
    await bob.page.getByTestId("emoji-search").press("Enter");
    const seen = (one: typeof ada) => message(one, "shall we plant").getByTestId("reaction");
    await expect(seen(ada)).toHaveAccessibleName("🌱, 1 person");
    await expect(seen(ada)).toHaveAttribute("aria-pressed", "false");
    await seen(ada).click();
    for (const one of [ada, bob]) {
      await expect(seen(one)).toHaveAccessibleName("🌱, 2 people");
      await expect(seen(one)).toHaveAttribute("aria-pressed", "true");
    }
    await ada.page.reload();
    await expect(seen(ada)).toHaveAttribute("aria-pressed", "true");
    await seen(ada).click();
    await expect(seen(bob)).toHaveAccessibleName("🌱, 1 person");
  });

  await test.step("the last message is edited with the arrow key; a moderator reads what it said before", async () => {
    await bob.page.getByTestId("message-text").press("ArrowUp");
    await bob.types("edit-text", "yes, by the fence");
    await bob.page.getByTestId("edit-text").press("Enter");
    await expect(message(ada, "by the fence")).toContainText("(edited)");
    await choose(ada, "by the fence", "versions");
    await expect(ada.page.getByTestId("version")).toHaveText([/yes, by the wall/, /yes, by the fence/]);
    await ada.page.keyboard.press("Escape");
  });

  await test.step("a thread of its own", async () => {
    await choose(bob, "by the fence", "start-thread");
    await bob.page.getByTestId("thread-text").pressSequentially("or in pots");
    await bob.page.getByTestId("thread-send").click();
    await expect(message(ada, "by the fence").getByTestId("thread-link")).toContainText("1 reply");
    await expect(ada.page.getByTestId("log").getByText("or in pots")).toHaveCount(0);
    await message(ada, "by the fence").getByTestId("thread-link").click();
    await expect(ada.page.getByTestId("thread-view")).toContainText("or in pots");
    for (const one of [ada, bob]) await one.page.getByTestId("close-chat-panel").click();
  });

  await test.step("everybody votes", async () => {
    await ada.page.getByTestId("add").click();
    await ada.page.getByTestId("ask").click();
    await ada.types("poll-question", "Which day?");
    for (const [index, day] of ["Friday", "Sunday"].entries())
      await ada.page.getByTestId("poll-answer").nth(index).pressSequentially(day);
    await ada.page.getByTestId("poll-submit").click();
    await bob.page.getByTestId("answer").nth(1).click();
    await ada.page.getByTestId("answer").nth(1).click();
    for (const one of [ada, bob]) {
      await expect(one.page.getByTestId("answer").nth(1)).toHaveAccessibleName("Sunday: 2 votes, 100 %");
      await expect(one.page.getByTestId("answer").nth(1)).toHaveAttribute("aria-pressed", "true");
    }
    await bob.page.getByTestId("answer").nth(0).click();
    await expect(ada.page.getByTestId("answer").nth(0)).toHaveAccessibleName("Friday: 1 vote, 50 %");
  });

  await test.step("a picture of an account, checked first", async () => {
    const files = { name: "bed.png", mimeType: "image/png", buffer: PICTURE };
    await ada.page.getByTestId("file-input").setInputFiles(files);
    await expect(ada.page.getByTestId("upload")).toHaveAttribute("data-state", "ready");
    await ada.says("the bed");
    const picture = message(bob, "the bed").getByTestId("thumbnail");
    await expect(picture).toBeVisible();
    await expect
      .poll(() => picture.evaluate((it) => (it as HTMLImageElement).naturalWidth))
      .toBeGreaterThan(0);
    await message(bob, "the bed").getByTestId("picture").click();
    await expect(bob.page.getByTestId("lightbox").locator("img")).toBeVisible();
    await bob.page.keyboard.press("Escape");
    await expect(bob.page.getByTestId("lightbox")).toHaveCount(0);
  });

  await test.step("pinned, and told so", async () => {
    await choose(ada, "shall we plant", "pin");
    await expect(bob.page.getByTestId("system").last()).toContainText("mara pinned a message");
    await bob.page.getByTestId("open-pins").click();
    await expect(bob.page.getByTestId("pinned")).toContainText("shall we plant tomatoes?");
    await bob.page.getByTestId("pinned").click();
    await expect(message(bob, "shall we")).toHaveAttribute("data-marked", "true");
    await bob.page.getByTestId("close-chat-panel").click();
  });

  await test.step("what was called is marked, what is deleted is gone", async () => {
    await ada.page.getByTestId("message-text").pressSequentially("@bo");
    await ada.page.getByTestId("completion").first().waitFor();
    await ada.page.getByTestId("message-text").press("Enter");
    await ada.page.getByTestId("message-text").pressSequentially("look");
    await ada.page.getByTestId("send").click();
    await expect(message(bob, "look").getByTestId("mention")).toHaveText("@bob");
    await choose(ada, "@bob look", "delete");
    await ada.page.getByTestId("confirm-delete").click();
    await expect(bob.page.getByTestId("message").last()).toContainText("Message deleted");
  });

  await test.step("found by its words and its author", async () => {
    await bob.page.getByTestId("open-search").click();
    await bob.page.getByTestId("search-text").pressSequentially("from:mara tomatoes");
    await bob.page.getByTestId("search-text").press("Enter");
    await expect(bob.page.getByTestId("hit")).toHaveCount(1);
    await expect(bob.page.getByTestId("hit").locator("mark")).toHaveText("tomatoes");
    await bob.isAccessible("the search");
    await bob.page.getByTestId("hit").click();
    await expect(message(bob, "shall we")).toHaveAttribute("data-marked", "true");
  });
  for (const one of [ada, bob]) await one.isAccessible("the chat");
});

test("a lost socket loses nothing that happens to messages meanwhile", async ({ server, person }) => {
  const line = await server.line();
  const ada = await person("chromium", "cleo", { id: 3 });
  const bob = await person("firefox", "dan", { id: 4 });
  for (const [one, url] of [
    [ada, line.url],
    [bob, server.url],
  ] as const)
    await one.enter(url);
  const room = await group(server, await ada.session(), [await bob.session()], "Kitchen");
  await openRoom(ada, line.url, room);
  await openRoom(bob, server.url, room);
  await ada.says("first");
  await bob.says("second");
  for (const one of [ada, bob]) await one.reads(["first", "second"]);
  line.cut();
  await take(bob, "first", "react");
  await bob.page.locator('[data-testid=emoji][data-emoji="🎉"]').click();
  await choose(bob, "second", "delete");
  await bob.page.getByTestId("confirm-delete").click();
  await take(bob, "first", "reply");
  await bob.says("third");
  await ada.says("written without a line");
  await expect(message(ada, "without a line")).toHaveAttribute("data-state", "sending");
  line.mend();
  for (const one of [ada, bob]) {
    const settled = one.page.locator('[data-testid=message][data-state="sent"] [data-testid=text]');
    await expect(settled).toHaveText(["first", "third", "written without a line"]);
    await expect(message(one, "first").getByTestId("reaction")).toHaveAccessibleName("🎉, 1 person");
    await expect(one.page.getByText("Message deleted")).toHaveCount(1);
  }
  // A browser says of a refused connection in the console what it is; that is this test's doing.
  ada.complaints.length = 0;
});

test("thousands of messages stay light, and the past is a jump away", async ({ server, person }) => {
  const ada = await person("chromium", "eve", { id: 5, viewport: { width: 360, height: 740 } });
  await ada.enter(server.url);
  const login = await ada.session();
  const room = await group(server, login, [], "Archive");
  const said = async (text: string) => {
    const headers = { authorization: `Bearer ${login.accessToken}`, "content-type": "application/json" };
    const body = JSON.stringify({ clientId: text, content: { text } });
    const answer = await fetch(`${server.url}/api/v1/rooms/${room}/messages`, {
      method: "POST",
      headers,
      body,
    });
    expect(answer.status).toBe(201);
  };
  for (let number = 0; number < 300; number++) await said(`entry ${number}`);
  await openRoom(ada, server.url, room);
  await expect(message(ada, "entry 299")).toBeVisible();
  await ada.fits("the chat");
  await ada.page.getByTestId("open-search").click();
  await ada.page.getByTestId("search-text").pressSequentially('"entry 20"');
  await ada.page.getByTestId("search-text").press("Enter");
  await ada.page.getByTestId("hit").click();
  await expect(ada.page.locator("[data-testid=message][data-marked=true]")).toContainText("entry 20");
  expect(await ada.page.getByTestId("message").count()).toBeLessThan(80);
  await ada.page.getByTestId("newest").click();
  await expect(message(ada, "entry 299")).toBeVisible();
  await expect(ada.page.getByTestId("log")).toHaveAttribute("data-at-end", "true");
  await ada.isAccessible("the chat on a narrow page");
});

test("five thousand messages are few in the page, and none of them is out of reach", async ({
  server,
  person,
}) => {
  for (const kind of ["chromium", "firefox"] as const) {
    const ada = await person(kind, kind === "chromium" ? "fay" : "gus", { id: 6 });
    await ada.enter(server.url);
    const login = await ada.session();
    const room = await group(server, login, [], "Long");
    const said = await Promise.all(
      Array.from({ length: 60 }, (_, number) =>
        ask<{ id: string; createdAt: string }>(server, login, "POST", `/rooms/${room}/messages`, {
          clientId: `n${number}`,
          content: { text: `newest ${number}` },
        }),
      ),
    );
    // All that is older comes as one page: what the server would give in a hundred.
    const [oldest] = said.sort((one, other) => (one.id < other.id ? -1 : 1));
    const older = Array.from({ length: 5_000 }, (_, number) => ({
      ...oldest,
      id: `00000000-0000-7000-8000-${String(99_999 - number).padStart(12, "0")}`,
      clientId: `o${number}`,
      content: { text: `old ${4_999 - number}${number % 7 === 0 ? " in\nthree\nlines" : ""}` },
    }));
    await ada.page.route(/\/messages\?.*before=/, (route) =>
      route.fulfill({ json: { messages: older, next: null } }),
    );
    await openRoom(ada, server.url, room);
    const log = ada.page.getByTestId("log");
    const rows = ada.page.getByTestId("message");
    await expect(log).toHaveAttribute("data-at-end", "true");
    await expect
      .poll(async () => {
        await log.evaluate((it) => it.scrollTo({ top: 0 }));
        return log.evaluate((it) => it.scrollHeight);
      })
      .toBeGreaterThan(100_000);
    await expect
      .poll(async () => {
        await log.evaluate((it) => it.scrollTo({ top: 0 }));
        return ada.page.getByText("old 0", { exact: false }).first().isVisible();
      })
      .toBe(true);
    expect(await rows.count()).toBeLessThan(80);
    await log.evaluate((it) => it.scrollTo({ top: it.scrollHeight / 2 }));
    await expect(rows.first()).toBeVisible();
    expect(await rows.count()).toBeLessThan(80);
    await ada.page.getByTestId("newest").click();
    await expect(log).toHaveAttribute("data-at-end", "true");
    // Whoever is back at the newest has let go of what is far above.
    await expect.poll(() => log.evaluate((it) => it.scrollHeight)).toBeLessThan(60_000);
    await ada.says("still here");
    await expect(message(ada, "still here")).toHaveAttribute("data-state", "sent");
  }
});

test("what is marked as unread stays so while one looks at it", async ({ server, person }) => {
  const ada = await person("chromium", "hal", { id: 8 });
  const bob = await person("firefox", "ida", { id: 9 });
  for (const one of [ada, bob]) await one.enter(server.url);
  const login = await bob.session();
  const room = await group(server, await ada.session(), [login], "Marked");
  for (const one of [ada, bob]) await openRoom(one, server.url, room);
  await ada.says("one");
  await ada.says("two");
  await expect(message(bob, "two")).toBeVisible();
  const unread = async () =>
    (await ask<{ unread: number }>(server, login, "GET", `/rooms/${room}/unread`)).unread;
  await bob.page.bringToFront();
  await expect.poll(unread).toBe(0);
  await choose(bob, "one", "mark-unread");
  await expect.poll(unread).toBe(2);
  await ada.says("three");
  await expect(message(bob, "three")).toBeVisible();
  await expect.poll(unread).toBe(3);
});

test("what a link leads to is shown as text, where the server looks", async ({ server, person }) => {
  const ada = await person("firefox", "joy", { id: 10 });
  await ada.enter(server.url);
  const room = await group(server, await ada.session(), [], "Links");
  // A server that looks needs a page on a public network.
  await ada.page.route("**/api/v1/cluster", async (route) => {
    const told = await route.fetch();
    const place = await told.json();
    await route.fulfill({ json: { ...place, features: { ...place.features, previews: true } } });
  });
  const asked: (string | null)[] = [];
  await ada.page.route("**/api/v1/previews?*", (route) => {
    const url = new URL(route.request().url()).searchParams.get("url");
    asked.push(url);
    const seen = {
      url,
      title: "<b>Beans</b>",
      description: "How to sow.",
      siteName: "Garden",
      imageUrl: null,
    };
    return route.fulfill({ json: seen });
  });
  await openRoom(ada, server.url, room);
  await ada.says("no javascript:alert(1), but https://garden.example/beans?a=1&b=2.");
  const card = ada.page.getByTestId("link-card");
  await expect(card).toContainText("<b>Beans</b>");
  await expect(card).toHaveAttribute("href", "https://garden.example/beans?a=1&b=2");
  await ada.says("again https://garden.example/beans?a=1&b=2");
  await expect(card).toHaveCount(2);
  expect(asked).toEqual(["https://garden.example/beans?a=1&b=2"]);
  await ada.isAccessible("a link that was looked at");
});
