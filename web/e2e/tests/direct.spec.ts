import type { Kind } from "../browsers.ts";
import { expect, test } from "../meeting.ts";
import type { Person } from "../person.ts";
import type { Server } from "../server.ts";

// Long enough to answer, short enough to wait for.
test.use({ settings: { ringMs: 10_000 } });

/** Somebody's own link, by which strangers write to them. */
async function contactLink(server: Server, who: Person): Promise<string> {
  await who.page.goto(`${server.url}/messages`);
  await who.page.getByTestId("new-message").click();
  const link = await who.page.getByTestId("contact-link").inputValue();
  await who.page.keyboard.press("Escape");
  return link;
}

/** Two strangers, each with a page of the conversation that both have accepted. */
async function befriend(server: Server, ada: Person, bob: Person): Promise<void> {
  await ada.enter(server.url);
  const link = await contactLink(server, ada);
  await bob.enter(link);
  await bob.page.getByTestId("write-person").click();
  await bob.says("Hello ada");
  await ada.page.getByTestId("go-messages").click();
  await ada.page.getByTestId("go-requests").click();
  await ada.page.getByTestId("request").getByTestId("accept-request").click();
  await ada.reads(["Hello ada"]);
}

for (const [one, other] of [
  ["chromium", "firefox"],
  ["firefox", "chromium"],
] as const satisfies [Kind, Kind][]) {
  test(`${other} writes to ${one} by their link, both ring each other, see each other and hang up`, async ({
    server,
    person,
  }) => {
    const ada = await person(one, `ada-${one}`, { id: 1 });
    const bob = await person(other, `bob-${other}`, { id: 2 });

    await test.step("what a stranger writes is a request first", async () => {
      await ada.enter(server.url);
      const link = await contactLink(server, ada);
      await bob.enter(link);
      await bob.isAccessible("somebody's link");
      await bob.page.getByTestId("write-person").click();
      await bob.says("Hello ada");
      await bob.reads(["Hello ada"]);
      await expect(ada.page.getByTestId("go-messages").getByTestId("count")).toBeVisible();
      await ada.page.getByTestId("go-messages").click();
      await ada.page.getByTestId("go-requests").click();
      await expect(ada.page.getByTestId("request")).toContainText("Hello ada");
      await ada.isAccessible("the requests");
      await ada.page.getByTestId("accept-request").click();
      await ada.reads(["Hello ada"]);
      await ada.says("Hi!");
      for (const each of [ada, bob]) await each.reads(["Hello ada", "Hi!"]);
    });

    await test.step("a call rings on another page, and both see moving pictures", async () => {
      await ada.page.getByTestId("go-home").click();
      await expect(ada.page.getByTestId("create-room")).toBeVisible();
      await bob.page.getByTestId("call-video").click();
      await expect(bob.page.getByTestId("outgoing")).toBeVisible();
      await expect(ada.page.getByTestId("incoming")).toContainText(bob.name);
      await ada.isAccessible("a call that rings");
      await ada.page.getByTestId("accept-call").click();
      for (const each of [ada, bob]) await each.connected();
      await ada.sees(bob.name, 2);
      await bob.sees(ada.name, 1);
    });

    await test.step("who hangs up ends it for both, and both are back at what they wrote", async () => {
      await bob.page.getByTestId("leave").click();
      for (const each of [ada, bob]) await each.reads(["Hello ada", "Hi!"]);
    });

    const written = bob.page.url();
    await test.step("who declines is said to have declined, who does not answer has missed it", async () => {
      await ada.page.getByTestId("call-voice").click();
      await bob.page.getByTestId("decline-call").click();
      await expect(ada.page.getByTestId("call-over")).toHaveAttribute("data-outcome", "declined");
      await ada.page.getByTestId("call-over-close").click();
      await ada.page.getByTestId("call-voice").click();
      await expect(bob.page.getByTestId("incoming")).toBeVisible();
      await expect(ada.page.getByTestId("call-over")).toHaveAttribute("data-outcome", "missed");
      await expect(bob.page.getByTestId("incoming")).toBeHidden();
      await expect(bob.page.getByTestId("go-calls").getByTestId("count")).toHaveText(/1/);
      await bob.page.getByTestId("go-calls").click();
      const calls = bob.page.getByTestId("past-call");
      await expect(calls).toHaveCount(3);
      await expect(calls.first()).toHaveAttribute("data-missed", "true");
      await expect(bob.page.getByTestId("go-calls").getByTestId("count")).toHaveCount(0);
      await bob.isAccessible("the calls");
    });

    await test.step("who loads the page of a call anew is asked before they are in it again", async () => {
      await ada.page.getByTestId("call-over-close").click();
      await bob.page.goto(written);
      await bob.page.getByTestId("call-voice").click();
      await ada.page.getByTestId("accept-call").click();
      for (const each of [ada, bob]) await each.connected();
      await ada.page.reload();
      await expect(ada.page.getByTestId("join")).toBeVisible();
    });
  });
}

test("a block ends the conversation for both, and is taken back where it is listed", async ({
  server,
  person,
}) => {
  const ada = await person("chromium", "ada-b", { id: 1 });
  const bob = await person("firefox", "bob-b", { id: 2 });
  await befriend(server, ada, bob);
  await ada.page.getByTestId("about").click();
  await ada.isAccessible("about a conversation");
  await ada.page.getByTestId("block-person").click();
  await expect(ada.page.getByTestId("notice")).toContainText("bob-b");
  // The other one is told nothing of it: to whoever writes on, the conversation is not there.
  await bob.says("Still there?");
  await expect(bob.page.getByTestId("room-out")).toBeVisible();
  await bob.isAccessible("a conversation that is over");
  await expect(ada.page.getByText("Still there?")).toHaveCount(0);
  await ada.page.goto(`${server.url}/blocked`);
  const row = ada.page.locator("[data-testid=blocked][data-nickname=bob-b]");
  await expect(row).toBeVisible();
  await ada.isAccessible("the blocked");
  await row.getByTestId("unblock").click();
  await expect(row).toBeHidden();
  // What the server refuses, a browser notes by itself.
  ada.complaints.length = 0;
  bob.complaints.length = 0;
});

test("three write in a group of theirs, name it, keep it quiet, and one leaves", async ({
  server,
  person,
}) => {
  const ada = await person("chromium", "ada-g", { id: 1 });
  const bob = await person("firefox", "bob-g", { id: 2 });
  const eve = await person("chromium", "eve-g", { id: 3, viewport: { width: 360, height: 740 } });
  await befriend(server, ada, bob);
  const link = await contactLink(server, ada);
  await eve.enter(link);
  await eve.page.getByTestId("write-person").click();
  await eve.says("Hello ada, too");
  await ada.page.getByTestId("go-requests").click();
  await ada.page.getByTestId("request").getByTestId("accept-request").click();
  await ada.reads(["Hello ada, too"]);

  await test.step("one is made of people whom one knows", async () => {
    await ada.page.getByTestId("go-messages").click();
    await ada.page.getByTestId("new-message").click();
    for (const name of [bob.name, eve.name])
      await ada.page.locator(`[data-testid=pick][data-nickname="${name}"]`).check();
    await ada.page.getByTestId("pick-done").click();
    await ada.says("Hello both");
    await ada.reads(["Hello both"]);
    const link = new URL(ada.page.url()).pathname;
    for (const each of [bob, eve]) {
      await each.page.goto(`${server.url}/messages`);
      await each.page.locator(`[data-testid=direct][href="${link}"]`).click();
      await each.reads(["Hello both"]);
    }
    await bob.says("Here I am");
    for (const each of [ada, bob, eve]) await each.reads(["Hello both", "Here I am"]);
  });

  await test.step("its name is everybody's", async () => {
    await ada.page.getByTestId("about").click();
    await expect(ada.page.getByTestId("direct-person")).toHaveCount(2);
    await ada.types("group-name", "The three");
    await ada.page.getByTestId("group-rename").click();
    for (const each of [ada, bob, eve])
      await expect(each.page.getByTestId("room-title")).toHaveText("The three");
    await ada.isAccessible("about a group");
  });

  await test.step("what one wants to hear of it is one's own", async () => {
    await bob.page.getByTestId("about").click();
    await bob.page.getByTestId("loud-level").selectOption("none");
    await expect(bob.page.getByTestId("loud-level")).toHaveValue("none");
    await bob.page.getByTestId("go-home").click();
    await ada.says("Bob, are you there?");
    const row = bob.page.locator("[data-testid=my-direct][data-name='The three']");
    await expect(row).toBeVisible();
    await expect(eve.page.getByTestId("message").last()).toContainText("Bob, are you there?");
    await expect(row.getByTestId("count")).toHaveCount(0);
    await row.click();
    await bob.page.getByTestId("about").click();
    await expect(bob.page.getByTestId("loud-level")).toHaveValue("none");
    await bob.page.getByTestId("loud-level").selectOption("all");
    await bob.page.getByTestId("go-home").click();
    await ada.says("Now?");
    await expect(row.getByTestId("count")).toBeVisible();
  });

  await test.step("who leaves is out of it", async () => {
    await eve.page.getByTestId("about").click();
    await eve.isAccessible("about a group, on a narrow page");
    await eve.fits("about a group");
    await eve.page.getByTestId("leave-group").click();
    await expect(eve.page.getByTestId("new-message")).toBeVisible();
    await expect(eve.page.locator("[data-testid=direct][data-name='The three']")).toHaveCount(0);
    await expect(ada.page.getByTestId("direct-person")).toHaveCount(1);
  });
});

test("who takes messages from nobody is not found by a stranger", async ({ server, person }) => {
  const ada = await person("chromium", "ada-n", { id: 1 });
  const bob = await person("firefox", "bob-n", { id: 2 });
  await ada.enter(server.url);
  const link = await contactLink(server, ada);
  const answered = ada.page.waitForResponse((it) => it.url().endsWith("/users/me/direct") && it.ok());
  await ada.page.getByTestId("taken-from").selectOption("nobody");
  await answered;
  await bob.enter(link);
  await bob.page.getByTestId("write-person").click();
  await expect(bob.page.getByRole("alert")).toBeVisible();
  bob.complaints.length = 0;
});
