import { expect, meet, test } from "../meeting.ts";

test("chat survives a lost socket without loss or double, and the seat in the call is kept", async ({
  server,
  person,
}) => {
  const line = await server.line();
  const ada = await person("chromium", "ada", { id: 1 });
  const bob = await person("firefox", "bob", { id: 2 });
  const link = await meet(server, [bob]);
  await ada.enter(link.replace(server.url, line.url));
  await ada.join();
  for (const one of [ada, bob]) await one.openChat();
  await ada.says("one");
  for (const one of [ada, bob]) await one.reads(["one"]);

  await test.step("what is written meanwhile, on both sides, arrives once", async () => {
    line.cut();
    await expect(ada.page.getByTestId("connection")).not.toHaveAttribute("data-socket", "open");
    await expect(ada.page.getByTestId("connection")).toContainText("Reconnecting");
    await bob.says("two");
    await bob.reads(["one", "two"]);
    await ada.says("three");
    await expect(ada.page.getByTestId("message").last()).toHaveAttribute("data-state", "sending");
    // Media goes on: it does not need the socket.
    await bob.sees("ada", 1);
    await ada.sees("bob", 2);
    line.mend();
    await ada.connected();
    for (const one of [ada, bob]) await one.reads(["one", "two", "three"]);
  });

  await test.step("a message whose acknowledgement is lost is not sent twice", async () => {
    line.deafen();
    await ada.says("four");
    await bob.reads(["one", "two", "three", "four"]);
    await expect(ada.page.getByTestId("message").last()).toHaveAttribute("data-state", "sending");
    line.cut();
    line.mend();
    for (const one of [ada, bob]) await one.reads(["one", "two", "three", "four"]);
  });

  await test.step("the call never stopped", async () => {
    await ada.connected();
    await bob.sees("ada", 1);
    for (const { page } of [ada, bob]) expect(await page.evaluate(() => globalThis.__media.offers)).toBe(1);
  });
  // A browser says of a refused connection in the console what it is; that is this test's doing.
  ada.complaints.length = 0;
});

test("one's own messages can be edited and deleted; who comes later reads the last fifty", async ({
  server,
  person,
}) => {
  const ada = await person("chromium", "ada", { id: 1 });
  const bob = await person("chromium", "bob", { id: 2 });
  const link = await meet(server, [ada]);
  await ada.openChat();
  await ada.says("helo");
  await ada.says("<b>bold</b>");
  await ada.reads(["helo", "<b>bold</b>"]);
  await bob.enter(link);
  await bob.join();
  await bob.openChat();
  await bob.reads(["helo", "<b>bold</b>"]);
  // Nobody but the author edits; nobody but the author or a host deletes.
  await bob.page.getByTestId("message").first().hover();
  await bob.page.getByTestId("message-menu").click();
  await expect(bob.page.getByTestId("report-message")).toBeVisible();
  await expect(bob.page.getByTestId("edit")).toHaveCount(0);
  await expect(bob.page.getByTestId("delete")).toHaveCount(0);
  await bob.page.keyboard.press("Escape");

  const first = ada.page.getByTestId("message").first();
  await first.hover();
  await first.getByTestId("edit").click();
  await ada.types("edit-text", "hello");
  await ada.page.getByTestId("save").click();
  await expect(bob.page.getByTestId("message").first()).toContainText("hello");
  await expect(bob.page.getByTestId("message").first()).toContainText("(edited)");
  const second = ada.page.getByTestId("message").nth(1);
  await second.hover();
  await second.getByTestId("message-menu").click();
  await ada.page.getByTestId("delete").click();
  await ada.page.getByTestId("confirm-delete").click();
  await expect(bob.page.getByTestId("message").nth(1)).toContainText("Message deleted");

  await bob.page.getByTestId("message-text").pressSequentially("writing");
  await expect(ada.page.getByText("bob is typing…")).toBeVisible();
});

test("a page reloaded in the call comes back as the same person", async ({ server, person }) => {
  const ada = await person("chromium", "ada", { id: 1 });
  const bob = await person("chromium", "bob", { id: 2 });
  await meet(server, [ada, bob]);
  await bob.sees("ada", 1);
  await ada.page.reload();
  await ada.join();
  await ada.sees("bob", 2);
  await bob.sees("ada", 1);
  await expect(bob.page.locator("[data-testid=tile]")).toHaveCount(2);
});
