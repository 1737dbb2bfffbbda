import { expect, meet, seeAndHearEachOther, test } from "../meeting.ts";
import type { Person } from "../person.ts";

async function openHostPanel(host: Person): Promise<void> {
  if (await host.page.getByTestId("host-panel").isHidden()) await host.page.getByTestId("host").click();
  await expect(host.page.getByTestId("host-panel")).toBeVisible();
}

for (const kind of ["chromium", "firefox"] as const) {
  test(`who waits is let in by the host, who then locks the room (${kind})`, async ({ server, person }) => {
    const host = await person("chromium", "olga", { id: 1 });
    const guest = await person(kind, "ada", { id: 2 });
    const late = await person("chromium", "late", { id: 3 });
    const link = await meet(server, [host]);
    await openHostPanel(host);
    await host.page.getByTestId("waiting-room").click();
    await expect(host.page.getByTestId("waiting-room")).toHaveAttribute("aria-checked", "true");

    await guest.enter(link);
    await guest.page.getByTestId("join").click();
    await expect(guest.page.getByTestId("waiting")).toBeVisible();
    await guest.isAccessible("the waiting room");
    await expect(host.page.locator('[data-testid=waiter][data-nickname="ada"]')).toBeVisible();
    await host.isAccessible("the host's panel");
    // Who comes while all are muted begins muted, and sees it.
    await host.page.getByTestId("mute-all").click();
    await host.page.locator('[data-testid=waiter][data-nickname="ada"]').getByTestId("admit").click();
    await guest.connected();
    await expect(guest.page.getByTestId("microphone")).toHaveAccessibleName("Unmute microphone");
    await guest.sees("olga", 1);
    await host.sees("ada", 2);
    await guest.page.getByTestId("microphone").click();
    await host.hears("ada", 2);
    await expect(host.page.getByTestId("waiter")).toHaveCount(0);

    await host.page.getByTestId("lock").click();
    await expect(guest.page.getByTestId("notice")).toHaveText("olga locked the room.");
    await late.enter(link);
    await late.page.getByTestId("join").click();
    await expect(late.page.getByTestId("ended")).toHaveAttribute("data-kind", "refused");
    await expect(late.page.getByTestId("ended")).toContainText("locked");

    // Who knocks is told to the host who looks elsewhere.
    await host.page.getByTestId("lock").click();
    await host.page.getByTestId("close-panel").click();
    await expect(late.page.getByTestId("rejoin")).toHaveText("Try again");
    await late.page.getByTestId("rejoin").click();
    await late.page.getByTestId("join").click();
    await expect(late.page.getByTestId("waiting")).toBeVisible();
    await expect(host.page.getByTestId("notice")).toHaveText("late waits to be let in.");
  });

  test(`all are muted, one is shown large, and the call ends for all (${kind})`, async ({
    server,
    person,
  }) => {
    const host = await person("chromium", "olga", { id: 4 });
    const guest = await person(kind, "ada", { id: 5 });
    const other = await person("chromium", "bob", { id: 6 });
    await meet(server, [host, guest, other]);
    await seeAndHearEachOther([host, guest, other]);
    await openHostPanel(host);

    await host.page.getByTestId("mute-all").click();
    await other.hearsNot("ada", 5);
    await other.hears("olga", 4);
    await expect(guest.page.getByTestId("microphone")).toHaveAccessibleName("Unmute microphone");
    await guest.page.getByTestId("microphone").click();
    await other.hears("ada", 5);
    // Without leave to do so nobody unmutes themselves.
    await host.page.getByTestId("may-unmute").click();
    await other.hearsNot("ada", 5);
    await expect(guest.page.getByTestId("microphone")).toBeDisabled();
    await host.page.getByTestId("unmute-all").click();
    await expect(guest.page.getByTestId("microphone")).toBeEnabled();
    await guest.page.getByTestId("microphone").click();
    await other.hears("ada", 5);

    await host.page.getByTestId("people").click();
    await host.page
      .locator('[data-testid=person][data-nickname="ada"]')
      .getByTestId("person-actions")
      .click();
    await host.page.getByTestId("spotlight").click();
    await other.sees("ada", 5);
    await expect(other.page.getByTestId("spotlit")).toBeVisible();
    const [large, small] = [await other.tile("ada").boundingBox(), await other.tile("olga").boundingBox()];
    expect(large?.width ?? 0).toBeGreaterThan(2 * (small?.width ?? Number.POSITIVE_INFINITY));

    await host.page
      .locator('[data-testid=person][data-nickname="ada"]')
      .getByTestId("person-actions")
      .click();
    await host.page.getByTestId("disable-camera").click();
    await expect(other.tile("ada")).toHaveAttribute("data-shown", "false");
    await expect(guest.page.getByTestId("camera")).toBeDisabled();

    await openHostPanel(host);
    await host.page.getByTestId("end-all").click();
    await host.page.getByTestId("end-all-confirm").click();
    for (const everybody of [host, guest, other]) {
      await expect(everybody.page.getByTestId("ended")).toHaveAttribute("data-kind", "over");
      await expect(everybody.page.getByTestId("ended")).toContainText("The host ended the call for all.");
    }
  });
}
